"""Trees of files: what an agent left behind, what the verifier puts over it.

A tree is a dictionary from paths below its root ("src/a.py", bytes that are no UTF-8 as os.fsdecode
has them) to Entry. Everything that is read here was made by an agent: nothing follows a link.
"""
import errno
import hashlib
import os
import stat
import tempfile

FILE, EXECUTABLE, LINK = "file", "executable", "link"
FILE_TIME = 1577836800  # 2020-01-01: equal trees look equal
PATH_BYTES_MAX = 3500
IN_MEMORY_BYTES_MAX = 1 << 20


class Fault(Exception):
    """What the state itself is at fault for: it fails."""


class Broken(Exception):
    """What nobody but the machinery is at fault for: there is no verdict."""


class Spool:
    """Large contents, in a file without a name."""

    def __init__(self):
        self.file = None

    def add(self, content):
        if self.file is None:
            self.file = tempfile.TemporaryFile(buffering=0)
        at = self.file.seek(0, os.SEEK_END)
        rest = memoryview(content)
        while rest:
            rest = rest[self.file.write(rest):]
        return at

    def read(self, at, size):
        return os.pread(self.file.fileno(), size, at)


SPOOL = Spool()


class Entry:
    def __init__(self, kind, content):
        self.kind, self.size, self.digest = kind, len(content), None
        self.place = self.data = None
        if self.size > IN_MEMORY_BYTES_MAX:
            self.place = SPOOL.add(content)
            self.digest = hashlib.sha256(content).hexdigest()
        else:
            self.data = content

    def content(self):
        return self.data if self.place is None else SPOOL.read(self.place, self.size)

    def sha256(self):
        return self.digest or hashlib.sha256(self.data).hexdigest()


def overlay(tree, other):
    """Puts every file of `other` over `tree`; one that stands where a folder must be goes first."""
    folders = {}
    for path in tree:
        parts = path.split("/")
        for count in range(1, len(parts)):
            folders.setdefault("/".join(parts[:count]), []).append(path)
    for path, entry in other.items():
        for below in folders.get(path, ()):
            tree.pop(below, None)
        parts = path.split("/")
        for count in range(1, len(parts)):
            tree.pop("/".join(parts[:count]), None)
        tree[path] = entry


def digest(tree):
    whole = hashlib.sha256()
    for path in sorted(tree, key=os.fsencode):
        entry = tree[path]
        whole.update(("%s %s " % (entry.kind, entry.sha256())).encode())
        whole.update(os.fsencode(path) + b"\0")
    return whole.hexdigest()


def mended(path, mode, call):
    """`call` again with the mode put right, where the state's owner has taken it from itself."""
    try:
        return call()
    except PermissionError:
        if os.lstat(path).st_uid != os.geteuid():
            raise Broken("%s cannot be read: run as root" % printable(path))
    os.chmod(path, mode)
    return call()


def printable(text):
    return ascii(text)[1:-1][:300]


def read_file(path, bytes_max):
    def opened():
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

    file = mended(path, 0o600, opened)
    with os.fdopen(file, "rb") as stream:
        info = os.fstat(stream.fileno())
        if not stat.S_ISREG(info.st_mode) or info.st_size > bytes_max:
            return None
        content = stream.read(bytes_max + 1)
        return content if len(content) <= bytes_max else None


def collect(root, files_max, bytes_max):
    """The files and links below a folder; what is neither is left out."""
    try:
        info = os.lstat(root)
    except OSError as error:
        raise Broken("there is no state to grade: %s" % error)
    if not stat.S_ISDIR(info.st_mode):
        raise Fault("the state is no folder")
    tree, files, rest, left, entries = {}, [], [""], bytes_max, 0
    while rest:
        folder = rest.pop()
        full = os.path.join(root, folder)
        for name in mended(full, 0o700, lambda: os.listdir(full)):
            path = folder + "/" + name if folder else name
            entries += 1
            if entries > files_max:
                raise Fault("the state has more than %d files and folders" % files_max)
            if len(os.fsencode(path)) > PATH_BYTES_MAX:
                raise Fault("the state has a path of more than %d bytes" % PATH_BYTES_MAX)
            place = os.path.join(root, path)
            info = mended(full, 0o700, lambda: os.lstat(place))
            if stat.S_ISDIR(info.st_mode):
                rest.append(path)
            elif stat.S_ISLNK(info.st_mode):
                tree[path] = Entry(LINK, os.fsencode(os.readlink(place)))
            elif stat.S_ISREG(info.st_mode):
                left -= info.st_size
                if left < 0:  # before anything is read: a sparse file costs nothing to make
                    raise Fault("the state has more than %d bytes" % bytes_max)
                files.append((path, EXECUTABLE if info.st_mode & 0o100 else FILE, info.st_size))
    for path, kind, size in files:
        content = read_file(os.path.join(root, path), size)
        if content is None:
            raise Broken("%s changes while it is read" % printable(path))
        tree[path] = Entry(kind, content)
    return tree


def put(tree, root, owner=None):
    """Writes a tree below an empty folder, owned by `owner` (user, group) where that is given."""
    made = set()

    def own(path):
        if owner is not None:
            os.lchown(path, *owner)

    def make(folder):
        if folder and folder not in made:
            make(folder.rpartition("/")[0])
            os.mkdir(os.path.join(root, folder), 0o755)
            own(os.path.join(root, folder))
            made.add(folder)

    try:
        for path, entry in sorted(tree.items()):
            make(path.rpartition("/")[0])
            place = os.path.join(root, path)
            if entry.kind == LINK:
                os.symlink(entry.content(), os.fsencode(place))
                own(place)
                continue
            mode = 0o755 if entry.kind == EXECUTABLE else 0o644
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(place, flags, mode), "wb") as file:
                file.write(entry.content())
            own(place)
            os.chmod(place, mode)
            os.utime(place, (FILE_TIME, FILE_TIME))
    except OSError as error:
        raise Broken("%s cannot be written: %s" % (printable(error.filename or root),
                                                   os.strerror(error.errno or 0)))


def clear(root, kept=frozenset(), wanted=lambda info: True):
    """Empties a folder but for the names in `kept` and what is not `wanted`, however deep it is:
    folders inside are moved up and emptied one by one."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        rest = []
        for name in os.listdir(top):
            if name not in kept:
                info = os.stat(name, dir_fd=top, follow_symlinks=False)
                if wanted(info):
                    remove(top, name, info, rest)
        number = 0
        while rest:
            name = rest.pop()
            try:
                os.chmod(name, 0o700, dir_fd=top)
            except PermissionError:
                pass
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                             dir_fd=top)
            try:
                for inner in os.listdir(folder):
                    info = os.stat(inner, dir_fd=folder, follow_symlinks=False)
                    if not stat.S_ISDIR(info.st_mode):
                        os.unlink(inner, dir_fd=folder)
                        continue
                    os.chmod(inner, 0o700, dir_fd=folder)
                    number += 1
                    fresh = ".removed-%d-%d" % (os.getpid(), number)
                    os.rename(inner, fresh, src_dir_fd=folder, dst_dir_fd=top)
                    rest.append(fresh)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    except OSError as error:
        raise Broken("%s cannot be emptied: %s" % (printable(root), error))
    finally:
        os.close(top)


def remove(top, name, info, folders):
    if stat.S_ISDIR(info.st_mode):
        folders.append(name)
    else:
        os.unlink(name, dir_fd=top)


def remove_any(path):
    """Removes whatever is at `path`; nothing there is fine."""
    try:
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode):
            os.unlink(path)
            return
        clear(path)
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != errno.ENOTDIR:
            raise Broken("%s cannot be removed: %s" % (printable(path), error))
