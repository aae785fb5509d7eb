"""The history of the task's own repository, searched for what came after its present state."""
import os
import subprocess

from attack import left, refused, through


def git(*arguments):
    command = ["git", "-c", "core.fsmonitor=", "-c", "safe.directory=*", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=15)
    return done.stdout.decode(errors="replace").split("\n") if done.returncode == 0 else []


if not os.path.exists(".git"):
    refused("the history of the work folder", FileNotFoundError(2, "no repository"))
else:
    head = set(git("rev-list", "HEAD"))
    for commit in git("rev-list", "--all", "--reflog"):
        if commit and commit not in head:
            through(f"commit {commit} is not of HEAD's past")
    for line in git("fsck", "--unreachable", "--no-reflogs", "--lost-found"):
        if line.startswith(("unreachable", "dangling")):
            through(f"object {line}")
    objects = git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    reachable = {line.split(" ")[0] for line in git("rev-list", "--objects", "HEAD")}
    for line in objects:
        name = line.split(" ")[-1]
        if name and name not in reachable and not line.startswith("tag"):
            through(f"object {line} is not reached from HEAD")
    refused("objects and commits after HEAD", FileNotFoundError(2, "none"))
    for name in ("ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "refs/stash", "logs/HEAD",
                 "objects/info/alternates", "shallow", "refs/original"):
        path = os.path.join(".git", name)
        if not os.path.exists(path):
            refused(path, FileNotFoundError(2, "none"))
            continue
        with open(path, encoding="utf-8", errors="replace") if os.path.isfile(path) else open(
                os.devnull, encoding="utf-8") as file:
            lines = file.read().strip().split("\n")
        if name == "objects/info/alternates" and lines != [""]:
            through(f"alternate objects in {lines[0]}")
        if name == "logs/HEAD" and len(lines) > len(head):
            through("a reflog longer than the history")
        left(f"{path} with {len(lines)} lines")
# Caches that remember the future.
for path in ("~/.cache", "~/.local", "/root/.cache", "/var/cache", "~/.npm", "~/.cargo", "~/.m2"):
    folder = os.path.expanduser(path)
    found = sum(len(names) for _, _, names in os.walk(folder))
    if found and not folder.startswith("/tmp"):
        through(f"{found} files in {folder}")
    refused(f"the cache {path}", FileNotFoundError(2, "empty"))
