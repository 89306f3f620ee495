"""Files whose names have their digest: what an attempt wrote can be checked at any time after."""

import hashlib
import os
import re
import uuid
from pathlib import Path

import pyarrow as pa

is_ours = re.compile(r"lasso-.+-([0-9a-f]{32})\.parquet").fullmatch


def write(folder: Path, readable: str, content: pa.Buffer) -> Path:
    """Write a Parquet file to the disk itself; return its path, unique to this attempt.

    A log that names the file must not outlive it, so a power cut must not take it either.
    """
    name = f"lasso-{readable}-{uuid.uuid4().hex[:8]}-{_digest(content)}.parquet"
    target = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return target


def damage(path: Path, size_bytes: int) -> str | None:
    """What is wrong with a file that `write` wrote, or None if it is whole."""
    match = is_ours(path.name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    if len(content) != size_bytes:
        return f"has {len(content):,} bytes, not {size_bytes:,}"
    if match is None or match[1] != _digest(content):
        return "does not match the digest in its name"
    return None


def _digest(content: pa.Buffer | bytes) -> str:
    """Half of a SHA-256: what names have room for."""
    return hashlib.sha256(content).hexdigest()[:32]
