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
_PACKAGE = Path(__file__).parents[2]


def key(
    kind: str,
    units: Sequence[WorkUnit],
    where: Sequence[Condition],
    also: Sequence[object] = (),
) -> str:
    """What identifies a read of units, but for the columns.

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
    files = (piece.file for unit in units for piece in unit.pieces)
    constants = set.intersection(*({name for name, _ in file.constants} for file in files))
    facts = [
        kind,
        code_digest(_PACKAGE),
        [version(name) for name in ("numpy", "pyarrow")],
        platform.machine(),
        [[_facts(piece) for piece in unit.pieces] for unit in units],
        [part.text for part in where if not part.columns or not part.columns <= constants],
        *also,
    ]
    return f"{kind}-{hashlib.sha256(json_text(facts).encode()).hexdigest()[:40]}"


def key_of_reading(kind: str, units: Sequence[WorkUnit], reading: Reading) -> str:
    """What identifies a read of training rows, but for their features."""
    others = {
        field.name: getattr(reading, field.name)
        for field in dataclasses.fields(reading)
        if field.name not in ("columns", "where", "n_folds", "holdout_where")
    }
    held_out = [condition.text for condition in reading.holdout_where or ()]
    return key(kind, units, reading.where, also=[others, held_out])


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
