"""Writes deletion vectors into a Delta table, by the protocol's text: deltalake reads them only.

A vector is a magic number and a map of roaring bitmaps, in a file with its length and CRC-32, or
inline in the log.
"""

import base64
import json
import string
import struct
import time
import uuid
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

MAGIC = 1681511377
NO_RUNS = 12346
MOST_IN_ARRAY = 4096
_RFC1924 = (
    string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"
)
_Z85 = string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"


def delete(
    root: Path, rows: Mapping[str, Iterable[int]], *, inline: bool = False, stats: bool = True
) -> None:
    """Delete rows of a local table's files, by their positions, in one commit.

    Parameters
    ----------
    root : Path
    rows : mapping
        Of a file's path, as the log has it, to all positions that are deleted now.
    inline : bool
        Whether the vectors stand in the log.
    stats : bool
        Whether the log says how many rows the files have, as the protocol asks for.
    """
    log = sorted((root / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for path in log for line in path.read_text().splitlines()]
    live = {a["add"]["path"]: a["add"] for a in actions if "add" in a}
    now = int(time.time() * 1000)
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    new: list[object] = [{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}]
    for path, positions in rows.items():
        old = live[path]
        vector = _vector(sorted(set(positions)))
        described = _inline(vector) if inline else _in_file(root, vector)
        cardinality = {"cardinality": len(set(positions))}
        removed = {"path": path, "deletionTimestamp": now, "dataChange": True}
        if "deletionVector" in old:
            removed["deletionVector"] = old["deletionVector"]
        new.append({"remove": removed})
        if not stats:
            old.pop("stats", None)
        new.append({"add": {**old, "deletionVector": described | cardinality}})
    target = root / "_delta_log" / f"{len(log):020}.json"
    target.write_text("".join(json.dumps(action) + "\n" for action in new))


def _in_file(root: Path, vector: bytes) -> dict[str, object]:
    name = uuid.uuid4()
    crc = struct.pack(">I", zlib.crc32(vector))
    content = b"\1" + struct.pack(">i", len(vector)) + vector + crc
    (root / f"deletion_vector_{name}.bin").write_bytes(content)
    return {
        "storageType": "u",
        "pathOrInlineDv": _z85(name.bytes),
        "offset": 1,
        "sizeInBytes": len(vector),
    }


def _inline(vector: bytes) -> dict[str, object]:
    padded = vector + bytes(-len(vector) % 4)
    return {"storageType": "i", "pathOrInlineDv": _z85(padded), "sizeInBytes": len(vector)}


def _z85(content: bytes) -> str:
    return base64.b85encode(content).decode().translate(str.maketrans(_RFC1924, _Z85))


def _vector(positions: list[int]) -> bytes:
    """Positions as a map of their high to bitmaps of their low 32 bits."""
    assert all(position < 2**32 for position in positions)
    return struct.pack("<iqi", MAGIC, 1, 0) + _bitmap(np.array(positions, np.int64))


def _bitmap(positions: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> bytes:
    """A roaring bitmap without runs: arrays, and sets of bits where there are many."""
    keys, counts = np.unique(positions >> 16, return_counts=True)
    containers = []
    for key, count in zip(keys, counts, strict=True):
        low = (positions[positions >> 16 == key] & 0xFFFF).astype("<u2")
        if count <= MOST_IN_ARRAY:
            containers.append(low.tobytes())
        else:
            bits = np.zeros(2**16, bool)
            bits[low] = True
            containers.append(np.packbits(bits, bitorder="little").tobytes())
    header = struct.pack("<ii", NO_RUNS, len(keys))
    header += b"".join(struct.pack("<HH", k, c - 1) for k, c in zip(keys, counts, strict=True))
    at = len(header) + 4 * len(keys)
    for container in containers:
        header += struct.pack("<i", at)
        at += len(container)
    return header + b"".join(containers)
