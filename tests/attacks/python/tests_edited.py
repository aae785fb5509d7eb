"""Every file outside the writable folders is tried, those of the tests and runners first."""
import os
import sys

from attack import is_own, left, refused, through, time_left

FOLDERS = ["/grader", "/tests", "/sbx", "/usr/lib/python3", *sys.path, "/usr/share", "/etc"]
tried = 0
last_error = OSError(0, "nothing to try")
for folder in dict.fromkeys(FOLDERS):
    if not folder or is_own(folder):
        continue
    for parent, _, names in os.walk(folder):
        if not time_left() or tried > 20000:
            break
        for name in names:
            path = os.path.join(parent, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            tried += 1
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            except OSError as error:
                last_error = error
            else:
                through(f"{path} can be edited")
refused(f"each of {tried} files that are not its own", last_error)
left(f"{tried} files tried")
