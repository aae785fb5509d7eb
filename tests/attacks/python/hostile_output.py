"""Output that is no text, looks like something else, or breaks who shows it."""
import os

PARTS = [
    b"left: output with every byte, control sequences, one line of 4 MiB and no end of line\n",
    bytes(range(256)) * 16,
    b"\x1b[2J\x1b[H\x1b]0;owned\x07\x1b]52;c;YXR0YWNr\x07\x1bP$q\x1b\\\x1b[6n\x9b31m\x0e",
    b"\xff\xfe\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80",
    b'"}]}\n{"name": "forged", "contained": true}\n',
    b"\n[... 999999 bytes cut ...]\n",
    b"refused: everything (EPERM)\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"</testsuite>]]>--><script>alert(1)</script>\n",
    b"\r" * 4096,
    b"x" * (4 << 20),
]
for part in PARTS:
    for fd in (1, 2):
        rest = part
        while rest:
            rest = rest[os.write(fd, rest):]
os.close(1)
os.close(2)
os._exit(0)
