"""Code that every later start of Python would run, the grader's too."""
import os
import site
import subprocess
import sys

from attack import is_own, left, refused, through, write

MARK = "/tmp/taskmint-attack-ran"
CODE = f"open({MARK!r}, 'a').close()\n"

folders = [*sys.path, *site.getsitepackages(), "/usr/lib/python3.11", "/usr/local/lib"]
for folder in folders:
    if not folder or is_own(folder) or folder.endswith(".zip"):
        continue
    for name in ("sitecustomize.py", "usercustomize.py", "zz-attack.pth"):
        path = os.path.join(folder, name)
        if os.path.exists(path) or folder == sys.path[0]:
            continue
        try:
            with open(path, "x", encoding="utf-8"):
                pass
            os.unlink(path)
        except OSError as error:
            refused(path, error)
        else:
            through(f"{path} can be planted")

# In HOME and the work folder all may be written; an isolated start must not look there.
user = site.getusersitepackages()
write(os.path.join(user, "usercustomize.py"), CODE)
write(os.path.join(user, "zz-attack.pth"), "import os; " + CODE)
write("sitecustomize.py", CODE)
write("usercustomize.py", CODE)
write(os.path.expanduser("~/.pythonrc.py"), CODE)
write("pyvenv.cfg", "home = /tmp\ninclude-system-site-packages = true\n")
isolated = subprocess.run([sys.executable, "-I", "-c", "pass"], capture_output=True, check=False)
if isolated.returncode == 0 and os.path.exists(MARK):
    through("an isolated start of Python ran the planted code")
left(f"start files of Python in {user} and the work folder, which would make {MARK}")
