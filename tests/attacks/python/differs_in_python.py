"""A program whose every run says something else, as far as it is let."""
import os
import platform
import random
import socket
import tempfile
import threading
import time
import uuid

from attack import left

observations = {
    "hash of a text": hash("attack"),
    "order of a set": list({"a", "b", "c", "d", "e", "f"}),
    "address": id(object()),
    "random": random.random(),
    "uuid of the host": uuid.uuid1(),
    "uuid": uuid.uuid4(),
    "time": time.time(),
    "monotonic": time.monotonic(),
    "local time": time.localtime().tm_gmtoff,
    "process": os.getpid(),
    "thread": threading.get_ident(),
    "temporary name": tempfile.mkdtemp(),
    "host name": socket.gethostname(),
    "machine": platform.uname(),
    "processors": os.cpu_count(),
    "load": os.getloadavg(),
    "order of a folder": os.listdir("/usr/bin")[:5],
    "inode": os.stat(".").st_ino,
    "user": os.getuid(),
    "umask": os.umask(0o22),
}
for name, value in observations.items():
    print(f"{name}: {value}", flush=True)
left(f"{len(observations)} observations that may differ from run to run")
