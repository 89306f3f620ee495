"""What a run has done so far: a driver that is killed and started again repeats only the rest.

``OUTPUT/_lasso/journal/RUN_ID/`` has ``run.json`` and a file for each accepted unit of work, each
written beside its place and renamed into it. The run's id is a hash of the job, the model and the
source files, so a journal can never be another run's. An entry counts only if its own digest is
right, and the files that it names have their sizes and digests; else its unit is scored anew.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lasso_jobs.core import drift as d
from lasso_jobs.data import sinks, staged
from lasso_jobs.data.dataset import Partition
from lasso_jobs.errors import OutputError
from lasso_jobs.jobs.scored import Counts, Scored

JOURNAL = "journal"
_HEAD = "run.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one run.

    Parameters
    ----------
    root, quarantine : str
        The tables whose files its entries name.
    run_id : str
    """

    root: str
    quarantine: str
    run_id: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return journals(self.root) / self.run_id

    def scored_at(self) -> datetime | None:
        """When the run was first started; None if there is no journal, or another version's."""
        head = _read(self.folder / _HEAD)
        if head is None or head["version"] != _version():
            return None
        return datetime.fromisoformat(head["scored_at"])

    def begin(self, scored_at: datetime, date: str | None) -> None:
        """Start the journal, unless it goes on; one of another version is thrown away."""
        if self.scored_at() != scored_at:
            self.end()
            at = scored_at.isoformat()
            head = {"run_id": self.run_id, "date": date, "scored_at": at, "version": _version()}
            _write(self.folder / _HEAD, head)

    def accepted(self, partitions: Sequence[Partition]) -> dict[int, Scored]:
        """Units of work that are done, by position: those whose entries and files are intact."""
        found: dict[int, Scored] = {}
        at = self.scored_at()
        for position, partition in enumerate(partitions if at else ()):
            entry = _read(self.folder / _entry_name(partition))
            # Two drivers may have begun the same run at once, at times of their own.
            if entry is None or at is None or entry["scored_at"] != at.isoformat():
                continue
            if self._intact(scored := _scored(entry)):
                found[position] = scored
        return found

    def accept(self, partition: Partition, scored: Scored, scored_at: datetime) -> None:
        """Note that a unit of work is done."""
        values = {**_values(scored), "scored_at": scored_at.isoformat()}
        _write(self.folder / _entry_name(partition), values)

    def named_files(self) -> set[str]:
        """Paths, below their tables, of the files that its entries name."""
        entries = (_read(path) for path in sorted(self.folder.glob("unit-*.json")))
        units = (_scored(entry) for entry in entries if entry is not None)
        return {file.path for unit in units for file in (*unit.files, *unit.quarantined_files)}

    def end(self, date: str | None = None) -> None:
        """Forget the run, and all others of its night: it is committed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for run_id, other in _started(self.root):
            if date is not None and other == date:
                shutil.rmtree(journals(self.root) / run_id, ignore_errors=True)

    def _intact(self, scored: Scored) -> bool:
        both = ((self.root, scored.files), (self.quarantine, scored.quarantined_files))
        return all(
            staged.damage(Path(root, file.path), file.size_bytes) is None
            for root, files in both
            for file in files
        )


def journals(root: str) -> Path:
    """The folder of an output's journals."""
    return Path(root, sinks.BESIDE, JOURNAL)


def unfinished(root: str) -> set[str]:
    """Nights that were started and have not been committed."""
    return {date for _, date in _started(root) if date is not None}


def _started(root: str) -> list[tuple[str, str | None]]:
    """Runs that have a journal, and their nights."""
    heads = (_read(path) for path in sorted(journals(root).glob(f"*/{_HEAD}")))
    return [(head["run_id"], head["date"]) for head in heads if head is not None]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a small file so that a reader finds the old one or the new one, whole.

    Raises
    ------
    OutputError
    """
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("x", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        expected, remedy = "a folder that can be written to", "Mend that, then run this again"
        raise OutputError(str(path), str(error), expected, remedy) from error


def _write(path: Path, body: Mapping[str, Any]) -> None:
    write_json(path, {"digest": _digest(body), "body": body})


def _read(path: Path) -> Any:
    """What was written; None if it is not there, or not as it was written."""
    try:
        values = json.loads(path.read_bytes())
        return values["body"] if values["digest"] == _digest(values["body"]) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _version() -> str:
    return version("lasso_jobs")


def _entry_name(partition: Partition) -> str:
    """The unit's own name: another cut of the same files is other units."""
    pieces = [(p.file.name, p.row_groups, p.first_row, p.rows) for p in partition.pieces]
    return f"unit-{hashlib.sha256(json.dumps(pieces).encode()).hexdigest()[:32]}.json"


def _values(scored: Scored) -> dict[str, Any]:
    return {
        "files": [asdict(file) for file in scored.files],
        "quarantined_files": [asdict(file) for file in scored.quarantined_files],
        "counts": [asdict(counts) for counts in scored.counts],
        "bytes_read": scored.bytes_read,
        "watched": [
            [key, {n: [c.counts.tolist(), c.mean] for n, c in features.items()}]
            for key, features in scored.watched.items()
        ],
        "reasons": dict(scored.reasons),
    }


def _scored(values: Mapping[str, Any]) -> Scored:
    return Scored(
        tuple(map(_file, values["files"])),
        tuple(map(_file, values["quarantined_files"])),
        tuple(Counts(**counts) for counts in values["counts"]),
        values["bytes_read"],
        {
            _key(key): {
                name: d.Current(np.array(counts, np.int64), mean)
                for name, (counts, mean) in features.items()
            }
            for key, features in values["watched"]
        },
        values["reasons"],
    )


def _file(values: Mapping[str, Any]) -> sinks.WrittenFile:
    partition, columns = _key(values["partition"]), tuple(values["columns"])
    return sinks.WrittenFile(**{**values, "partition": partition, "columns": columns})


def _key(pairs: Sequence[Sequence[Any]]) -> sinks.Partition:
    return tuple((name, value) for name, value in pairs)
