"""Runs code that may do anything, and is left with nothing of it when it is over.

As root the code runs as a user of its own, which owns nothing but the folder it works in and may
not gain more. Without root it is the grader's own user: it is killed and cleaned up after as well,
but what one user may do to itself it may do to the grader. Whatever it starts stays below this
process, which takes orphans in (a subreaper): that is how all of it is found.
"""
import ctypes
import os
import pwd
import resource
import select
import signal
import stat
import struct
import sys
import time

from grader.state import Broken, clear, printable

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 36, 38
IPC_RMID = 0
SETTLE_S_MAX = 20.0
ENTRIES_MAX = 5_000_000
FIRST_USER, USERS = 61000, 1000
USER_NAME = "dev"
STATUS = struct.Struct("ii")
LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    return LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def processes():
    """{pid: (parent, state, users)} of all that can be seen."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/status" % name, "rb") as file:
                fields = dict(line.split(b":", 1) for line in file.read().splitlines()
                              if b":" in line)
            table[int(name)] = (int(fields[b"PPid"]), fields[b"State"].split()[0],
                                {int(user) for user in fields[b"Uid"].split()})
        except (OSError, ValueError, KeyError, IndexError):
            pass  # it has ended
    return table


class Ending:
    """How a command ended: `why` is "exited", "signalled", "wall-time" or "output"."""

    def __init__(self, why, exit_code=0, number=0, wall_ms=0):
        self.why, self.exit_code, self.signal, self.wall_ms = why, exit_code, number, wall_ms


class Containment:
    """Made before any foreign code runs. `work` is the folder that it may write, `private` the
    grader's own beside `programs`, where its files are, and `rewards` (or none); `limits` holds
    processes_max, file_bytes_max, open_files_max, and memory_bytes_max or none."""

    def __init__(self, work, private, programs, rewards, limits):
        self.work, self.limits, self.root = work, limits, os.geteuid() == 0
        self.private, self.programs = private, programs
        self.user = self.choose_user() if self.root else None
        if not self.root and not self.is_disposable():
            raise Broken("run this as root inside a container: it kills and removes what its own "
                         "user leaves behind")
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        prctl(PR_SET_DUMPABLE, 0)  # nobody of this user reads its memory or its descriptors
        self.modes, self.places = [], {}
        own = [folder for folder in (programs, rewards) if folder]
        for folder in own if self.root else ():
            self.restrict(folder, 0o077)
        self.walk()
        self.files = self.stamps()

    def choose_user(self):
        """(user, group) of the user made for this, else of one that nobody is."""
        busy = set().union(*(users for _, _, users in processes().values()))
        try:
            made = pwd.getpwnam(USER_NAME)
            if made.pw_uid != 0 and made.pw_uid not in busy:
                return made.pw_uid, made.pw_gid
        except KeyError:
            pass
        for user in range(FIRST_USER, FIRST_USER + USERS):
            if user not in busy:
                return user, user
        raise Broken("no user is left to run the tests as")

    def is_disposable(self):
        if any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv")) or \
                os.environ.get("container") or os.environ.get("KUBERNETES_SERVICE_HOST"):
            return True
        table, pid = processes(), os.getpid()
        spared = {1}
        while pid and pid not in spared:
            spared.add(pid)
            pid = table.get(pid, (0,))[0]
        return set(table) <= spared | set(self.descendants())

    # What it may write, and what is left there.

    def restrict(self, path, bits):
        """Takes mode bits away until `release`."""
        try:
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            if mode & bits:
                os.chmod(path, mode & ~bits)
                self.modes.append((path, mode))
        except OSError:
            pass  # a read-only file system: nobody else writes there either

    def release(self):
        while self.modes:
            path, mode = self.modes.pop()
            try:
                os.chmod(path, mode)
            except OSError:
                pass

    def may_write(self, path, info):
        if not self.root:
            return os.access(path, os.W_OK)
        return bool(info.st_mode & 0o002) or info.st_uid == self.user[0] or \
            (info.st_gid == self.user[1] and bool(info.st_mode & 0o020))

    def walk(self):
        """Finds the folders that the code may write to, and what stands there before it runs."""
        skipped = {"/proc", "/sys", self.work, self.private}
        rest, entries, device_writable = ["/"], 0, {}
        while rest:
            folder = rest.pop()
            try:
                info = os.lstat(folder)
                if info.st_dev not in device_writable:
                    flags = os.statvfs(folder).f_flag
                    device_writable[info.st_dev] = not flags & os.ST_RDONLY
                writable = self.may_write(folder, info)
                if writable and device_writable[info.st_dev]:
                    if self.root and not info.st_mode & stat.S_ISVTX and folder != "/":
                        self.restrict(folder, 0o002)
                    self.places[folder] = frozenset(os.listdir(folder))
                with os.scandir(folder) as inner:
                    for entry in inner:
                        entries += 1
                        if entry.is_dir(follow_symlinks=False):
                            if entry.path not in skipped:
                                rest.append(entry.path)
                        elif self.root and device_writable[info.st_dev] and entry.is_file(
                                follow_symlinks=False):
                            if entry.stat(follow_symlinks=False).st_mode & 0o002:
                                self.restrict(entry.path, 0o002)
            except OSError:
                continue  # not to be opened: it is nobody's place
            if entries > ENTRIES_MAX:
                raise Broken("this machine's file system is too large to be watched")

    def stamps(self):
        """Without root: what would change with the grader's own files."""
        found = {}
        for folder, _, names in () if self.root else os.walk(self.programs):
            for name in names:
                info = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (info.st_ino, info.st_size, info.st_mtime_ns,
                                                     info.st_ctime_ns)
        return found

    def clean(self):
        """Removes what the code left outside of its folder, so that the next run learns nothing
        of this one. False when it has changed files of the grader."""
        def of_user(info):
            return not self.root or info.st_uid == self.user[0]

        for folder, kept in self.places.items():
            if os.path.isdir(folder):
                clear(folder, kept, of_user)
        self.remove_shared_memory()
        try:
            return self.stamps() == self.files
        except OSError:
            return False

    def remove_shared_memory(self):
        user = self.user[0] if self.root else os.geteuid()
        for kind, remove in (("shm", lambda key: LIBC.shmctl(key, IPC_RMID, None)),
                             ("msg", lambda key: LIBC.msgctl(key, IPC_RMID, None)),
                             ("sem", lambda key: LIBC.semctl(key, 0, IPC_RMID))):
            try:
                with open("/proc/sysvipc/" + kind) as file:
                    head, *rows = [line.split() for line in file]
            except (OSError, ValueError):
                continue
            for row in rows:
                if int(row[head.index("uid")]) == user:
                    remove(int(row[1]))

    # Running.

    def become(self):
        """In a child: the rights and the limits of foreign code."""
        limits = self.limits
        wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, limits["file_bytes_max"]),
                  (resource.RLIMIT_NOFILE, limits["open_files_max"])]
        if self.root:
            wanted.append((resource.RLIMIT_NPROC, limits["processes_max"]))
        if limits.get("memory_bytes_max"):
            wanted.append((resource.RLIMIT_AS, limits["memory_bytes_max"]))
        if hasattr(resource, "RLIMIT_MSGQUEUE"):
            wanted.append((resource.RLIMIT_MSGQUEUE, 0))  # a queue would outlive the run
        for limit, most in wanted:
            hard = resource.getrlimit(limit)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (most, most))
        if self.root:
            os.setgroups([])
            os.setresgid(self.user[1], self.user[1], self.user[1])
            os.setresuid(self.user[0], self.user[0], self.user[0])
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)

    def keep(self, argv, variables, folder, log, given, report):
        """The child that stands between: the code's parent, which it may try to kill or to speak
        for. Does not return."""
        os.setsid()
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                os.dup2(given, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                self.become()
                os.umask(0o022)
                os.chdir(folder)
                os.execve(argv[0], argv, variables)
            except OSError as error:
                os.write(2, ("the run cannot be started: %s\n" % error).encode())
            finally:
                os._exit(126)
        status = os.waitpid(child, 0)[1]
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        os.write(report, STATUS.pack(code, number))
        os._exit(0)

    def run(self, argv, variables, folder, log, wall_ms_max, output_bytes_max, given=None):
        """Runs a command to its end and kills whatever it has started. `log` is a descriptor that
        takes what it prints, `given` one that it reads."""
        begin = time.monotonic()
        sys.stdout.flush()
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        reader, writer = os.pipe()
        keeper = os.fork()
        if keeper == 0:
            try:
                os.close(reader)
                self.keep(argv, variables, folder, log, null if given is None else given, writer)
            finally:
                os._exit(125)
        os.close(writer)
        os.close(null)
        try:
            ending = self.wait(reader, begin + wall_ms_max / 1000, log, output_bytes_max)
        finally:
            os.close(reader)
            self.settle()
        ending.wall_ms = int((time.monotonic() - begin) * 1000)
        return ending

    def wait(self, reader, limit, log, output_bytes_max):
        while True:
            left = limit - time.monotonic()
            if left <= 0:
                return Ending("wall-time")
            if select.select([reader], [], [], min(left, 0.5))[0]:
                status = os.read(reader, STATUS.size)
                if len(status) != STATUS.size:
                    return Ending("signalled", number=signal.SIGKILL)
                code, number = STATUS.unpack(status)
                return Ending("signalled" if number else "exited", code, number)
            if os.fstat(log).st_size > output_bytes_max:
                return Ending("output")

    # Killing.

    def descendants(self):
        table = processes()
        found, rest = [], [os.getpid()]
        children = {}
        for pid, (parent, _, _) in table.items():
            children.setdefault(parent, []).append(pid)
        while rest:
            below = children.get(rest.pop(), [])
            found += below
            rest += below
        if self.root and self.user:
            found += [pid for pid, (_, _, users) in table.items()
                      if self.user[0] in users and pid not in found]
        return [pid for pid in found if table[pid][1] != b"Z"]

    def kill_user(self):
        """Everything of the user at once: a fork bomb cannot outrun it."""
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(self.user[0], self.user[0], self.user[0])
                os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    def settle(self):
        """Until nothing of the code runs any more."""
        limit = time.monotonic() + SETTLE_S_MAX
        while True:
            if self.root:
                self.kill_user()
            left = self.descendants()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass
            if not left:
                return
            if time.monotonic() > limit:
                raise Broken("processes of the code under test cannot be killed: %s" %
                             printable(str(left[:10])))
            time.sleep(0.002)
