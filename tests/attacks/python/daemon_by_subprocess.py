"""A daemon by the usual call, which inherits the output and holds it."""
import os
import subprocess
import sys

from attack import left, refused

CODE = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(15)
os.write(1, b"through: a daemon outlived its command by 15 s\\n")
"""
for options in ({"start_new_session": True}, {"process_group": 0}, {"preexec_fn": os.setpgrp}):
    try:
        subprocess.Popen([sys.executable, "-c", CODE], **options)
    except (OSError, TypeError) as error:
        refused("a daemon", error)
subprocess.Popen(["sh", "-c", "nohup sleep 15 & disown 2>/dev/null; exec setsid sleep 15"])
left("5 daemons that hold stdout")
