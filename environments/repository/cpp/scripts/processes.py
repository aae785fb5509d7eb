"""Ends what code under test has left behind, before anything of the verifier's is in its reach.

Stands before the scripts that use it.
"""
import os
import signal
import time


def kill_others():
    """Everything but this program and the sandbox's own."""
    if os.getppid() != 1:
        return
    for _ in range(200):
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.002)
