"""Looks up the drift of the runs before one."""

from collections.abc import Iterable
from dataclasses import dataclass

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.drift.table import DriftRow, night_of, series_of
from lasso_jobs.drift.watch import Run


@dataclass(frozen=True, slots=True)
class History:
    """Drift of each feature, by night or run.

    Of partitions by night, what came before a partition is the earlier nights, other things being
    equal; of others, it is the runs of the same partition that came before this run did first.

    Parameters
    ----------
    at : str
        When this run was scored, for the first time.
    known : dict
        By series of partitions, for each night or time of a run: the drift by feature.
    """

    at: str
    known: dict[str, dict[str, dict[str, Drift]]]

    @classmethod
    def of(cls, past: Iterable[DriftRow], run: Run) -> "History":
        """The runs with the same version of the same model; of each partition the last counts."""
        rows = sorted(past, key=lambda row: row.run.scored_at)
        own = [row.run.scored_at for row in rows if row.run.id == run.id]
        history = cls(min([*own, run.scored_at]).isoformat(), {})
        for row in rows:
            if row.run.id != run.id and row.drift.kind != "correlation":
                history._note(row, row.run.scored_at.isoformat())
        return history

    def add(self, row: DriftRow) -> None:
        """Note a partition of this run."""
        self._note(row, self.at)

    def _note(self, row: DriftRow, at: str) -> None:
        nights = self.known.setdefault(series_of(row.partition), {})
        night = nights.setdefault(night_of(row.partition) or at, {})
        night[row.drift.feature] = row.drift

    def before(self, partition: str) -> list[dict[str, Drift]]:
        """The drift before a partition by feature, the newest first."""
        at = night_of(partition) or self.at
        nights = self.known.get(series_of(partition), {})
        return [nights[earlier] for earlier in sorted(nights, reverse=True) if earlier < at]
