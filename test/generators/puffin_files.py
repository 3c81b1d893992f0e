"""Creates test/fixtures/made/puffin: Puffin files that the specification allows but Iceberg's library does not write.

  python puffin_files.py

Blobs are compressed with PyPI's lz4 and zstandard. DataSketches creates the sketches (see theta_sketches.py). The tests contain the number
of values in each sketch. Needs `pip install datasketches lz4 zstandard`.
"""

import json
import os
import struct

import datasketches
import lz4.frame
import zstandard

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "puffin")
MAGIC = b"PFA1"
CODECS = {
    None: lambda b: b,
    "lz4": lambda b: lz4.frame.compress(b, store_size=True, block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=False),
    "snappy": lambda b: b,
    "zstd": lambda b: zstandard.ZstdCompressor(write_content_size=True).compress(b),
}


def sketch(count: int, lg_k: int = 14) -> bytes:
    made = datasketches.update_theta_sketch(lg_k)
    for i in range(count):
        made.update(i)
    return made.compact().serialize()


def write(name: str, blobs: list[dict], lz4_footer: bool = False) -> None:
    out = bytearray(MAGIC)
    described = []
    for blob in blobs:
        data = CODECS[blob.get("codec")](blob["data"])
        said = {"type": blob.get("type", "apache-datasketches-theta-v1"), "fields": blob["fields"], "snapshot-id": blob.get("snapshot", 9007199254740993), "sequence-number": 1, "offset": len(out), "length": len(data)}
        if "codec" in blob:
            said["compression-codec"] = blob["codec"]
        if "properties" in blob:
            said["properties"] = blob["properties"]
        described.append(said)
        out += data
    payload = json.dumps({"blobs": described, "properties": {"created-by": "puffin_files.py"}}).encode()
    if lz4_footer:
        payload = CODECS["lz4"](payload)
    out += MAGIC + payload + struct.pack("<iI", len(payload), 1 if lz4_footer else 0) + MAGIC
    with open(os.path.join(TARGET, f"{name}.puffin"), "wb") as file:
        file.write(out)


def main() -> None:
    os.makedirs(TARGET, exist_ok=True)
    small, large = sketch(300), sketch(9_000)
    write("codecs", [
        {"fields": [1], "data": small, "properties": {"ndv": "300"}},
        {"fields": [2], "data": small, "codec": "lz4"},
        {"fields": [3], "data": small, "codec": "zstd"},
        {"fields": [4], "data": large, "codec": "lz4"},
        {"fields": [5], "data": large, "codec": "zstd"},
    ])
    write("lz4_footer", [{"fields": [7], "data": small, "codec": "lz4"}], lz4_footer=True)
    write("others", [
        {"fields": [1, 2], "data": small},
        {"fields": [3], "data": b"bitmap", "type": "deletion-vector-v1"},
        {"fields": [4], "data": small, "snapshot": 12},
        {"fields": [5], "data": sketch(100_000, 12), "properties": {"ndv": "99000"}},
        {"fields": [6], "data": b"a sketch of a later version", "properties": {"ndv": "42"}},
    ])
    write("unknown_codec", [{"fields": [1], "data": small, "codec": "snappy"}])


main()
