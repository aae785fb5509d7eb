"""What the host sees of a server and its sandboxes: processes, descriptors, memory, groups."""

import ctypes
import os
import pathlib
import socket
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """What a killed child leaves behind becomes this process's own, and so stays in sight."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become the parent of orphans")


def free_port() -> int:
    """A free port that no connection is given by chance: a server that is away gets it back."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(first - 1, 1024, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError("no port is free below those of outgoing connections")


def _fields(pid: int) -> list:
    """State, parent and the rest of /proc/PID/stat; empty for a process that is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def command_of(pid: int) -> str:
    try:
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace").strip()


def descendants(root: int) -> dict:
    """Living processes below `root`: by pid what was started (its first 160 characters)."""
    children = {}
    for name in os.listdir("/proc"):
        fields = _fields(int(name)) if name.isdigit() else []
        if fields and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(name))
    found, open_ends = {}, [root]
    while open_ends:
        for pid in children.get(open_ends.pop(), []):
            found[pid] = command_of(pid)[:160]
            open_ends.append(pid)
    return found


def processes_with(word: str) -> list:
    """Of the whole machine, those with `word` among what they were started with."""
    return [command_of(int(name))[:160] for name in os.listdir("/proc")
            if name.isdigit() and word in command_of(int(name)).split()]


def measure(pid: int) -> dict:
    """Resident memory in MiB, descriptors and threads of a process."""
    status = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {"at": time.monotonic(), "pid": pid,
            "rss_mib": int(status["VmRSS"].split()[0]) / 1024,
            "threads": int(status["Threads"]),
            "files": len(os.listdir(f"/proc/{pid}/fd"))}


def control_groups(pids) -> list:
    """Folders of control groups that the processes `pids` made for their sandboxes."""
    prefixes = tuple(f"taskmint-{pid}-" for pid in pids)
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup", onerror=lambda error: None):
        found += [os.path.join(folder, name) for name in names if name.startswith(prefixes)]
    return found


def wait_until(condition, seconds: float, pause_s: float = 0.5) -> bool:
    """Whether `condition` came to hold within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
    return True
