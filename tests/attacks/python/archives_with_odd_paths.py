"""Archives whose members lead out of the folder in which they are unpacked."""
import io
import tarfile
import zipfile

from attack import left

CANARY = "/tmp/taskmint-attack-canary"
UP = "../" * 12 + "tmp/taskmint-attack-canary"


def member(name, kind=tarfile.REGTYPE, link="", size=6, mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = size if kind == tarfile.REGTYPE else 0
    return info


MEMBERS = [
    member(CANARY), member(UP), member("a/../../" + UP), member("/" + UP), member("./" + CANARY),
    member("link", tarfile.SYMTYPE, "/tmp"), member("link/taskmint-attack-canary"),
    member("up", tarfile.SYMTYPE, "../" * 12), member("up/tmp/taskmint-attack-canary"),
    member("hard", tarfile.LNKTYPE, "/etc/passwd"), member("hard"),
    member("device", tarfile.CHRTYPE), member("fifo", tarfile.FIFOTYPE),
    member("setuid", mode=0o6777), member("name\nwith line"), member("twice"), member("TWICE"),
    member("twice"), member("n" * 255), member("d/" * 400 + "deep"), member("C:\\tmp\\canary"),
    member(".git/hooks/post-checkout", mode=0o755), member("\udcff\udcfe"),
]
for name, mode in (("odd.tar", "w"), ("odd.tar.gz", "w:gz"), ("odd.tar.xz", "w:xz")):
    with tarfile.open(name, mode, format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for info in MEMBERS:
            archive.addfile(info, io.BytesIO(b"attack"))
with zipfile.ZipFile("odd.zip", "w") as archive:
    for info in MEMBERS:
        if info.type == tarfile.REGTYPE and "\udcff" not in info.name:
            archive.writestr(zipfile.ZipInfo(info.name), b"attack")
    link = zipfile.ZipInfo("zip-link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    archive.writestr(link, "/tmp")
    archive.writestr("zip-link/taskmint-attack-canary", b"attack")
with open("odd.whl", "wb") as copy, open("odd.zip", "rb") as original:
    copy.write(original.read())
with open("cut.tar.gz", "wb") as copy, open("odd.tar.gz", "rb") as original:
    copy.write(original.read()[:-20])
left(f"6 archives with {len(MEMBERS)} members each, which would make {CANARY}")
