"""Looks up the drift of the runs before one."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isnan

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.drift.table import DriftRow, as_read_back, night_of, past_rows, series_of
from lasso_jobs.drift.watch import Run
from lasso_jobs.sinks import delta_log

HISTORY = 30
"""Points of a feature's history that a page shows."""


@dataclass(frozen=True, slots=True)
class RunOfNight:
    """What one run has of a night: its rows, and their drift by feature."""

    scored_at: datetime
    rows: list[DriftRow] = field(default_factory=list)
    drifts: dict[str, Drift] = field(default_factory=dict)


Nights = dict[str, dict[str, dict[str, RunOfNight]]]
"""By series of partitions, by night or time of a run, by run."""


class Past:
    """What a drift table has of whole partitions, kept in memory while runs follow each other.

    The table is read again if another program has written to it, or another version of the model
    is asked for. Read for each night of a range, it was a quarter of the time of 100 nights, and
    more of each further one.

    Parameters
    ----------
    root : str
        The drift table.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: tuple[int, str, str] | None = None
        self._has_counts, self._fewest = False, sys.maxsize
        self._nights: Nights = {}

    def before(self, run: Run, fewest: int, min_rows: int) -> "History":
        """What came before a run, with the counts of bins if some rows are too few to be judged.

        Parameters
        ----------
        run : Run
        fewest : int
            The rows of its smallest partition.
        min_rows : int
        """
        known = (delta_log.version(self._root), run.model, run.model_version)
        if self._known != known:
            self._read(run, counts=False)
        if min(fewest, self._fewest) < min_rows and not self._has_counts:
            self._read(run, counts=True)
        self._known = known
        return History(run, self._nights)

    def add(self, run: Run, rows: Sequence[DriftRow], version: int) -> None:
        """Note the rows of a run, which the table has from this version on."""
        before, self._known = self._known, None
        if before is None or version != before[0] + 1:  # another program has written, too
            return
        for nights in self._nights.values():
            for runs in nights.values():
                runs.pop(run.id, None)
        self._note(as_read_back(rows, counts=self._has_counts))
        self._known = (version, *before[1:])

    def _read(self, run: Run, *, counts: bool) -> None:
        self._has_counts, self._fewest, self._nights = counts, sys.maxsize, {}
        self._note(past_rows(self._root, run, counts=counts))

    def _note(self, rows: Iterable[DriftRow]) -> None:
        for row in rows:
            self._fewest = min(self._fewest, row.drift.n)
            if row.drift.kind != "correlation":
                nights = self._nights.setdefault(series_of(row.partition), {})
                at = night_of(row.partition) or row.run.scored_at.isoformat()
                runs = nights.setdefault(at, {})
                of_run = runs.setdefault(row.run.id, RunOfNight(row.run.scored_at))
                of_run.rows.append(row)
                of_run.drifts[row.drift.feature] = row.drift


class History:
    """Drift of each feature before a run, by night or run.

    Of partitions by night, what came before a partition is the earlier nights, other things being
    equal; of others, it is the runs of the same partition that came before this run did first. Of
    several runs of a night the last counts.

    Parameters
    ----------
    run : Run
    nights : dict
        As of `Past`.
    """

    def __init__(self, run: Run, nights: Nights) -> None:
        self._run, self._nights = run, nights
        self._own: dict[str, dict[str, dict[str, Drift]]] = {}
        both = (runs.get(run.id) for ats in nights.values() for runs in ats.values())
        scored = [own.scored_at for own in both if own is not None]
        self._at = min([*scored, run.scored_at]).isoformat()

    def add(self, row: DriftRow) -> None:
        """Note a partition of this run."""
        nights = self._own.setdefault(series_of(row.partition), {})
        at = night_of(row.partition) or self._at
        nights.setdefault(at, {})[row.drift.feature] = row.drift

    def before(self, partition: str) -> list[dict[str, Drift]]:
        """The drift before a partition by feature, the newest first."""
        own = self._own.get(series_of(partition), {})
        nights = (
            _together([*(run.drifts for run in runs), own.get(at, {})])
            for at, runs in self._earlier(partition)
        )
        return [night for night in nights if night]

    def recent(self, partition: str, features: Iterable[str]) -> list[DriftRow]:
        """The rows of other runs before a partition, of as many nights as a page shows."""
        lacking, rows = dict.fromkeys(features, HISTORY), list[DriftRow]()
        for _, runs in self._earlier(partition):
            rows += (row for run in runs for row in run.rows)
            for name, drift in _together([run.drifts for run in runs]).items():
                if name in lacking and not isnan(drift.score_shift):
                    lacking[name] -= 1
            lacking = {name: n for name, n in lacking.items() if n > 0}
            if not lacking:
                break
        return rows

    def _earlier(self, partition: str) -> Iterator[tuple[str, list[RunOfNight]]]:
        """Nights before a partition, the newest first: other runs, the last one last."""
        series, last = series_of(partition), night_of(partition) or self._at
        nights = self._nights.get(series, {})
        for at in sorted({*nights, *self._own.get(series, {})}, reverse=True):
            if at < last:
                others = (run for id_, run in nights.get(at, {}).items() if id_ != self._run.id)
                yield at, sorted(others, key=lambda run: run.scored_at)


def _together(drifts: Sequence[dict[str, Drift]]) -> dict[str, Drift]:
    known = [each for each in drifts if each]
    return known[0] if len(known) == 1 else {k: d for each in known for k, d in each.items()}
