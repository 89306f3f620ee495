"""Journals a run's scored work units, so that a driver that dies and starts again does the rest.

``OUTPUT/_lasso/journal/RUN_ID/`` has ``run.json``, and a file for each accepted work unit; each is
there whole or not at all. The run's id is a hash of the job, the model and the source files: so a
journal can never be that of another run. An entry counts only if its own digest is right, and the
files that it names have their sizes and digests. Otherwise its work unit is scored again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.scoring.scored_unit import ScoredUnit
from lasso_jobs.sinks import protocol, written_file
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import packing
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.json_text import json_text, json_values

FORMAT = 2
"""Of the entries. A journal of another format is not continued: its run starts again."""

_HEAD = "run.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one run.

    Parameters
    ----------
    root, quarantine : str
        The tables that have the files that its entries name.
    run_id : str
    format : {"delta", "parquet"}
        The format of the tables.
    """

    root: str
    quarantine: str
    run_id: str
    format: protocol.Format = "delta"

    @property
    def folder(self) -> str:
        """The folder of the journal."""
        return storage.join(journals_folder(self.root), self.run_id)

    def scored_at(self) -> datetime | None:
        """When the run was first started; None if no journal of this version says so."""
        head = _read(storage.join(self.folder, _HEAD))
        if head is None or head["version"] != _version():
            return None
        return datetime.fromisoformat(head["scored_at"])

    def begin(self, scored_at: datetime, date: str | None) -> None:
        """Start the journal, unless it is continued; one of another version is thrown away."""
        if self.scored_at() != scored_at:
            self.end()
            at = scored_at.isoformat()
            head = {"run_id": self.run_id, "date": date, "scored_at": at, "version": _version()}
            _write(storage.join(self.folder, _HEAD), head)

    def accepted(self, units: Sequence[WorkUnit]) -> dict[int, ScoredUnit]:
        """The work units that are done, by position: those whose entries and files are intact."""
        accepted: dict[int, ScoredUnit] = {}
        at = self.scored_at()
        for position, unit in enumerate(units if at else ()):
            entry = _read(storage.join(self.folder, _entry_name(unit)))
            # Two drivers may have begun the same run at once, at times of their own.
            if entry is None or at is None or entry.pop("scored_at") != at.isoformat():
                continue
            arrays = packing.from_lists(entry.pop("arrays"))
            if self._is_intact(scored := packing.unpack(ScoredUnit, entry, arrays)):
                accepted[position] = scored
        return accepted

    def accept(self, unit: WorkUnit, scored: ScoredUnit, scored_at: datetime) -> None:
        """Note that a work unit is done."""
        content, arrays = packing.pack(scored)
        added = {"arrays": packing.as_lists(arrays), "scored_at": scored_at.isoformat()}
        _write(storage.join(self.folder, _entry_name(unit)), {**content, **added})

    def named_files(self) -> set[str]:
        """Paths, below their tables, of the files that its entries name; also of other formats."""
        names = (name for name in _names(self.folder) if name.startswith("unit-"))
        entries = (_read(storage.join(self.folder, name)) for name in names)
        return {
            file["path"]
            for entry in entries
            if entry is not None
            for file in (*entry["files"], *entry["quarantined_files"])
        }

    def end(self, date: str | None = None) -> None:
        """Remove the journal, and those of other runs of its night: the night is committed."""
        runs = [run_id for run_id, other in _started(self.root) if date and other == date]
        with as_output_error(self.folder, "a folder that can be removed", "Remove it"):
            for run_id in (self.run_id, *runs):
                storage.remove_all(storage.join(journals_folder(self.root), run_id))

    def _is_intact(self, scored: ScoredUnit) -> bool:
        both = ((self.root, scored.files), (self.quarantine, scored.quarantined_files))
        place_of = protocol.folder_sink(self.format).place_of
        return all(
            written_file.damage(place_of(root, file.path), file) is None
            for root, files in both
            for file in files
        )


def journals_folder(root: str) -> str:
    """The folder of an output's journals."""
    return storage.join(root, protocol.JOURNALS)


def unfinished_nights(root: str) -> set[str]:
    """The nights that were started and have not been committed."""
    return {date for _, date in _started(root) if date is not None}


def _started(root: str) -> list[tuple[str, str | None]]:
    """The runs that have a journal, and their nights."""
    folder = journals_folder(root)
    names = (name for name in _names(folder) if name.endswith(f"/{_HEAD}"))
    heads = (_read(storage.join(folder, name)) for name in names)
    return [(head["run_id"], head["date"]) for head in heads if head is not None]


def _names(folder: str) -> list[str]:
    with as_output_error(
        folder, "a folder that can be read", "Mend the credentials or rights, then run this again"
    ):
        return storage.names(folder)


def write_json(place: str, values: Mapping[str, Any]) -> None:
    """Write a small JSON file; a reader finds the old one or the new one, whole.

    Raises
    ------
    OutputError
    """
    with as_output_error(
        place, "a folder that can be written to", "Make room or give access, then run this again"
    ):
        storage.replace(place, (json_text(values) + "\n").encode())


def _write(place: str, body: Mapping[str, Any]) -> None:
    write_json(place, {"digest": _digest(body), "body": body})


def _read(place: str) -> Any:
    """What was written; None if it is not there, or not as it was written."""
    with as_output_error(
        place, "a file that can be read", "Restore it or give access, then run this again"
    ):
        try:
            values = json_values(storage.read(place))
            return values["body"] if values["digest"] == _digest(values["body"]) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _digest(body: Any) -> str:
    return hashlib.sha256(json_text(body, sort_keys=True).encode()).hexdigest()


def _version() -> str:
    return f"{version('lasso_jobs')}, format {FORMAT}"


def _entry_name(unit: WorkUnit) -> str:
    """The name of a work unit's entry: another cut of the same files has other names."""
    pieces = [(p.file.name, p.row_groups, p.first_row, p.rows) for p in unit.pieces]
    return f"unit-{hashlib.sha256(json_text(pieces).encode()).hexdigest()[:32]}.json"
