"""Clocks changed for the machine, for this process and for files."""
import ctypes
import os
import subprocess
import sys
import time

from attack import left, must_fail, refused, through

before = time.time()
for name in ("CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_TAI"):
    clock = getattr(time, name)
    must_fail(f"set {name}", time.clock_settime, clock, time.clock_gettime(clock))
libc = ctypes.CDLL(None, use_errno=True)
delta = (ctypes.c_long * 2)(0, 1)


def adjust():
    if libc.adjtime(ctypes.byref(delta), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


must_fail("adjtime by 1 microsecond", adjust)
try:
    with open("/proc/self/timens_offsets", "w", encoding="ascii") as file:
        file.write("monotonic 86400 0\n")
except OSError as error:
    refused("offsets of clocks", error)
else:
    through("offsets of clocks")

# In this process any clock may be had; it must not reach another one.
time.time = lambda: 0.0
time.monotonic = time.perf_counter = lambda: 1e9
code = "import time; print(int(time.time()))"
fresh = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
if fresh.returncode == 0 and abs(int(fresh.stdout) - before) > 60:
    through("another process sees another time")
with open("from-the-future", "wb"):
    pass
os.utime("from-the-future", (2**34, 2**34))
with open("from-before", "wb"):
    pass
os.utime("from-before", (-(2**31), -(2**31)))
left("clocks of this process that stand still, files of the years 1901 and 2514")
