"""Looks up a feature's drift in the runs before one."""

from collections.abc import Iterable
from dataclasses import dataclass

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.drift.table import DriftRow, night_of, series_of
from lasso_jobs.drift.watch import Run


@dataclass(frozen=True, slots=True)
class History:
    """Drift by feature and run.

    Of partitions by night, what came before a partition is the earlier nights, other things being
    equal; of others, it is the runs of the same partition that came before this run did first.

    Parameters
    ----------
    at : str
        When this run was scored, for the first time.
    known : dict
        By feature and series of partitions, for each night or time of a run.
    """

    at: str
    known: dict[tuple[str, str], dict[str, Drift]]

    @classmethod
    def of(cls, past: Iterable[DriftRow], run: Run) -> "History":
        """The runs with the same version of the same model; of each partition the last counts."""
        rows = sorted(past, key=lambda row: row.run.scored_at)
        own = [row.run.scored_at for row in rows if row.run.id == run.id]
        history = cls(min([*own, run.scored_at]).isoformat(), {})
        for row in rows:
            if row.run.id != run.id and row.drift.kind != "correlation":
                at = night_of(row.partition) or row.run.scored_at.isoformat()
                key = row.drift.feature, series_of(row.partition)
                history.known.setdefault(key, {})[at] = row.drift
        return history

    def add(self, row: DriftRow) -> None:
        """Note a partition of this run."""
        key = row.drift.feature, series_of(row.partition)
        self.known.setdefault(key, {})[night_of(row.partition) or self.at] = row.drift

    def before(self, partition: str, feature: str) -> list[Drift]:
        """The feature's drift before a partition, the newest first."""
        at = night_of(partition) or self.at
        known = self.known.get((feature, series_of(partition)), {})
        return [known[earlier] for earlier in sorted(known, reverse=True) if earlier < at]
