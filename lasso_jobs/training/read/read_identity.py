"""Computes the keys of cache entries: what identifies a read, but for its columns."""

import dataclasses
import hashlib
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lasso_jobs.data.dataset import Piece, WorkUnit
from lasso_jobs.data.where import Condition
from lasso_jobs.storage.json_text import json_text
from lasso_jobs.training.read.reading import Reading

ROOMS_THAT_READ = ("core", "data", "storage", "training/read")
"""All that decides what a read leaves; see `code_digest`."""
_MERGED = "merged-"
_PACKAGE = Path(__file__).parents[2]


def keys(
    kind: str,
    units: Sequence[WorkUnit],
    where: Sequence[Condition],
    also: Sequence[object] = (),
) -> list[str]:
    """What identifies a read of each unit, but for the columns.

    Parameters
    ----------
    kind : str
        What is read, such as ``moments``.
    units : sequence of WorkUnit
    where : sequence of Condition
        Those on folder names only do not count: they have chosen the files already.
    also : sequence of object
        What else decides what a row leaves, as JSON has it.
    """
    common = _hash([kind, code_digest(_PACKAGE), _versions(), platform.machine(), *also])
    return [f"{kind}-{_hash([common, *_facts_of(unit, where)])}" for unit in units]


def keys_of_reading(kind: str, units: Sequence[WorkUnit], reading: Reading) -> list[str]:
    """What identifies a read of training rows of each unit, but for their features."""
    others = {
        field.name: getattr(reading, field.name)
        for field in dataclasses.fields(reading)
        if field.name not in ("columns", "where", "n_folds", "holdout_where")
    }
    held_out = [condition.text for condition in reading.holdout_where or ()]
    return keys(kind, units, reading.where, also=[others, held_out])


def joined_key(left: str, right: str) -> str:
    """What identifies two reads that are merged.

    Examples
    --------
    >>> joined_key("levels-1f", "levels-2e").rpartition("-")[0]
    'merged-levels'
    """
    kind = left.rpartition("-")[0].removeprefix(_MERGED)
    return f"{_MERGED}{kind}-{_hash([left, right])}"


def _hash(facts: Sequence[object]) -> str:
    return hashlib.sha256(json_text(facts).encode()).hexdigest()[:40]


@cache
def _versions() -> list[str]:
    return [version(name) for name in ("numpy", "pyarrow")]


def _facts_of(unit: WorkUnit, where: Sequence[Condition]) -> list[object]:
    constants = set.intersection(*({n for n, _ in piece.file.constants} for piece in unit.pieces))
    conditions = [c.text for c in where if not c.columns or not c.columns <= constants]
    return [[_facts(piece) for piece in unit.pieces], conditions]


def _facts(piece: Piece) -> list[object]:
    file = piece.file
    constants = [[name, str(value.type), str(value)] for name, value in file.constants]
    # Columns without values do not count: an entry says which columns it has.
    converted = [[name, str(type_)] for name, type_ in file.converted]
    identity = [file.path, file.name, file.size_bytes, file.stamp, file.deletions]
    return [*identity, constants, converted, piece.row_groups, piece.first_row, piece.rows]


@cache
def code_digest(package: Path) -> str:
    """A hash of the code that reads: another version may leave other bits.

    Parameters
    ----------
    package : Path
        Where the package is. All modules of the rooms that read are hashed, however deep.
    """
    sha = hashlib.sha256()
    for room in ROOMS_THAT_READ:
        for path in sorted((package / room).rglob("*.py")):
            sha.update(f"{path.relative_to(package).as_posix()}\0".encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()
