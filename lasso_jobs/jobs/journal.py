"""What a run has done so far: a driver that is killed and started again repeats only the rest.

``OUTPUT/_lasso/journal/RUN_ID/`` has ``run.json`` and a file for each accepted unit of work, each
there whole or not at all. The run's id is a hash of the job, the model and the
source files, so a journal can never be another run's. An entry counts only if its own digest is
right, and the files that it names have their sizes and digests; else its unit is scored anew.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from lasso_jobs.core.current import Current
from lasso_jobs.core.moments import Moments
from lasso_jobs.data import staged, staging, storage
from lasso_jobs.data.dataset import Partition
from lasso_jobs.jobs.scored import Counts, Observed, Scored

_HEAD = "run.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one run.

    Parameters
    ----------
    root, quarantine : str
        The tables whose files its entries name.
    run_id : str
    format : {"delta", "parquet"}
        Of the tables.
    """

    root: str
    quarantine: str
    run_id: str
    format: staging.Format = "delta"

    @property
    def folder(self) -> str:
        """Where it is."""
        return storage.join(journals(self.root), self.run_id)

    def scored_at(self) -> datetime | None:
        """When the run was first started; None if there is no journal, or another version's."""
        head = _read(storage.join(self.folder, _HEAD))
        if head is None or head["version"] != _version():
            return None
        return datetime.fromisoformat(head["scored_at"])

    def begin(self, scored_at: datetime, date: str | None) -> None:
        """Start the journal, unless it goes on; one of another version is thrown away."""
        if self.scored_at() != scored_at:
            self.end()
            at = scored_at.isoformat()
            head = {"run_id": self.run_id, "date": date, "scored_at": at, "version": _version()}
            _write(storage.join(self.folder, _HEAD), head)

    def accepted(self, partitions: Sequence[Partition]) -> dict[int, Scored]:
        """Units of work that are done, by position: those whose entries and files are intact."""
        found: dict[int, Scored] = {}
        at = self.scored_at()
        for position, partition in enumerate(partitions if at else ()):
            entry = _read(storage.join(self.folder, _entry_name(partition)))
            # Two drivers may have begun the same run at once, at times of their own.
            if entry is None or at is None or entry["scored_at"] != at.isoformat():
                continue
            if self._intact(scored := _scored(entry)):
                found[position] = scored
        return found

    def accept(self, partition: Partition, scored: Scored, scored_at: datetime) -> None:
        """Note that a unit of work is done."""
        values = {**_values(scored), "scored_at": scored_at.isoformat()}
        _write(storage.join(self.folder, _entry_name(partition)), values)

    def named_files(self) -> set[str]:
        """Paths, below their tables, of the files that its entries name."""
        names = (name for name in _names(self.folder) if name.startswith("unit-"))
        entries = (_read(storage.join(self.folder, name)) for name in names)
        units = (_scored(entry) for entry in entries if entry is not None)
        return {file.path for unit in units for file in (*unit.files, *unit.quarantined_files)}

    def end(self, date: str | None = None) -> None:
        """Forget the run, and all others of its night: it is committed."""
        runs = [run_id for run_id, other in _started(self.root) if date and other == date]
        with staging.told(self.folder, "a folder that can be removed", "Remove it"):
            for run_id in (self.run_id, *runs):
                storage.remove_all(storage.join(journals(self.root), run_id))

    def _intact(self, scored: Scored) -> bool:
        both = ((self.root, scored.files), (self.quarantine, scored.quarantined_files))
        place_of = staging.folder_sink(self.format).place_of
        return all(
            staged.damage(place_of(root, file.path), file) is None
            for root, files in both
            for file in files
        )


def journals(root: str) -> str:
    """The folder of an output's journals."""
    return storage.join(root, staging.JOURNALS)


def unfinished(root: str) -> set[str]:
    """Nights that were started and have not been committed."""
    return {date for _, date in _started(root) if date is not None}


def _started(root: str) -> list[tuple[str, str | None]]:
    """Runs that have a journal, and their nights."""
    folder = journals(root)
    names = (name for name in _names(folder) if name.endswith(f"/{_HEAD}"))
    heads = (_read(storage.join(folder, name)) for name in names)
    return [(head["run_id"], head["date"]) for head in heads if head is not None]


def _names(folder: str) -> list[str]:
    with staging.told(folder, "a folder that can be read", "Check it, and the credentials"):
        return storage.names(folder)


def write_json(place: str, values: Mapping[str, Any]) -> None:
    """Write a small file so that a reader finds the old one or the new one, whole.

    Raises
    ------
    OutputError
    """
    with staging.told(place, "a folder that can be written to", "Mend that, then run this again"):
        storage.replace(place, (json.dumps(values) + "\n").encode())


def _write(place: str, body: Mapping[str, Any]) -> None:
    write_json(place, {"digest": _digest(body), "body": body})


def _read(place: str) -> Any:
    """What was written; None if it is not there, or not as it was written."""
    with staging.told(place, "a file that can be read", "Mend that, then run this again"):
        try:
            values = json.loads(storage.read(place))
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
            [*group, {n: _lists(c) for n, c in seen.features.items()}, _lists(seen.moments)]
            for group, seen in scored.watched.items()
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
            (_key(key), segment): Observed(
                {name: _restored(Current, values) for name, values in features.items()},
                _restored(Moments, moments),
            )
            for key, segment, features, moments in values["watched"]
        },
        values["reasons"],
    )


def _lists(value: Any) -> Any:
    """The fields of counts or moments, for JSON, which has each number in full."""
    if value is None:
        return None
    numbers = (getattr(value, field.name) for field in fields(value))
    return [[str(n.dtype), n.tolist()] if isinstance(n, np.ndarray) else n for n in numbers]


def _restored(type_: Any, values: Any) -> Any:
    if values is None:
        return None
    return type_(*(np.array(v[1], v[0]) if isinstance(v, list) else v for v in values))


def _file(values: Mapping[str, Any]) -> staging.WrittenFile:
    partition, columns = _key(values["partition"]), tuple(values["columns"])
    return staging.WrittenFile(**{**values, "partition": partition, "columns": columns})


def _key(pairs: Sequence[Sequence[Any]]) -> staging.Partition:
    return tuple((name, value) for name, value in pairs)
