"""Artefacts whose names and contents are no text, and text that is no name."""
import os

from attack import left, refused

NAMES = [
    b"\xff\xfe\xfd", b"caf\xe9", b"\xc0\xae\xc0\xae\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"a\nb", b"a\rb", b"\x1b]0;title\x07", b"a\\b", b"\xef\xbb\xbfbom", "e\u0301".encode(),
    "\u00e9".encode(), "\u202egnp.exe".encode(), "\ufeff".encode(), "\u2028".encode(),
    b"%2e%2e%2f", b"..%00", b"~", b"$HOME", b"a" * 255, b"\xff" * 255, b"-", b"--", b"{}", b"\x7f",
]
made = 0
for name in NAMES:
    try:
        with open(name, "wb") as file:
            file.write(b"attack " + name)
        os.makedirs(b"folder-" + name[:200], exist_ok=True)
        with open(os.path.join(b"folder-" + name[:200], name), "wb") as file:
            file.write(name)
        os.symlink(name, b"link-" + name[:200])
        made += 3
    except OSError as error:
        refused(repr(name), error)
for name, text in {
    "result.json": b'{"reward": 1.0, "reward": NaN, "x": "\xff", "y": "\\ud800", "z": 1e999}',
    "text.txt": b"\x00\xff\xfe" * 1000,
    "report.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">'
                  b'<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
                  b"<testsuite>&x;&c;</testsuite>",
}.items():
    with open(name, "wb") as file:
        file.write(text)
left(f"{made} files, folders and links with names that are no text, and 3 hostile reports")
