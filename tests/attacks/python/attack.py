"""What each attack program in Python prints; see attack.h for the protocol."""
import errno
import os
import sys
import time

SECONDS_MAX = 20
_START = time.monotonic()


def say(line):
    os.write(1, line.encode("utf-8", "backslashreplace") + b"\n")


def refused(what, error):
    number = getattr(error, "errno", None)
    how = errno.errorcode.get(number, str(error) or type(error).__name__)
    say(f"refused: {what} ({how})")


def left(what):
    say(f"left: {what}")


def through(what):
    say(f"through: {what}")
    os._exit(42)


def must_fail(what, attempt, *arguments, **options):
    try:
        attempt(*arguments, **options)
    except (OSError, ValueError, OverflowError) as error:
        refused(what, error)
    else:
        through(what)


def write(path, text):
    """Writes a file; whether that was allowed."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        refused(f"write {path}", error)
        return False
    return True


def is_own(path):
    """Whether a path lies where the sandboxed program is meant to write."""
    real = os.path.realpath(path)
    folders = ("/tmp", "/dev/shm", os.path.realpath("."))
    return any(real == folder or real.startswith(folder + "/") for folder in folders)


def seconds_passed():
    return time.monotonic() - _START


def time_left():
    return seconds_passed() < SECONDS_MAX


sys.dont_write_bytecode = True
