"""make_wheel.py FOLDER NAME VERSION [REQUIREMENT...]: a wheel whose files come from standard input,
a JSON object of path -> text; "entry_points.txt" goes into its metadata."""
import json
import sys
import zipfile

folder, name, version, *requirements = sys.argv[1:]
files = json.load(sys.stdin)
info = "%s-%s.dist-info/" % (name, version)
files[info + "METADATA"] = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s" % (
    name, version, "".join("Requires-Dist: %s\n" % line for line in requirements))
files[info + "WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
if "entry_points.txt" in files:
    files[info + "entry_points.txt"] = files.pop("entry_points.txt")
files[info + "RECORD"] = "".join("%s,,\n" % path for path in [*files, info + "RECORD"])
with zipfile.ZipFile("%s/%s-%s-py3-none-any.whl" % (folder, name, version), "w") as archive:
    for path, text in files.items():
        archive.writestr(zipfile.ZipInfo(path), text)
