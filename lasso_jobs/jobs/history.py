"""What the runs before found: the drift table, looked up by partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.data import sinks
from lasso_jobs.data.times import is_date

if TYPE_CHECKING:
    from lasso_jobs.jobs.score_rows import Scoring

WANTED = (
    "run_id",
    "scored_at",
    "partition",
    "feature",
    "kind",
    "psi",
    "score_shift",
    "missing_share",
    "unseen_share",
    "shift_limit",
    "psi_limit",
    "missing_limit",
)


@dataclass(frozen=True, slots=True)
class History:
    """Whether predictions were affected, by feature and run.

    Of partitions by date, what came before a partition is the earlier dates, other things being
    equal; of others, it is the runs of the same partition that came before this run did first.

    Parameters
    ----------
    at : str
        When this run was scored, for the first time.
    known : dict
        By feature and partition without its date, for each date or time of a run.
    """

    at: str
    known: dict[tuple[str, str], dict[str, bool]]

    @classmethod
    def of(cls, path: str, model: str, scoring: "Scoring") -> "History":
        """The runs with the same version of the same model; of each partition the last counts."""
        rows: list[dict[str, Any]] = []
        if sinks.exists(path):
            ours = {"model": model, "model_version": scoring.model_version, "segment": ""}
            rows = sinks.read_where(path, WANTED, ours).to_pylist()
        own = [row["scored_at"] for row in rows if row["run_id"] == scoring.run_id]
        history = cls(min([*own, scoring.scored_at]).isoformat(), {})
        for row in sorted(rows, key=lambda row: row["scored_at"]):
            if row["run_id"] != scoring.run_id and row["kind"] != "correlation":
                key, at = _place(row["partition"], row["scored_at"].isoformat())
                history.known.setdefault((row["feature"], key), {})[at] = _affected(row)
        return history

    def add(self, partition: str, feature: str, affected: bool) -> None:
        """Note a partition of this run."""
        key, at = _place(partition, self.at)
        self.known.setdefault((feature, key), {})[at] = affected

    def affected(self, partition: str, feature: str) -> list[bool]:
        """What came before, the newest first."""
        key, at = _place(partition, self.at)
        known = self.known.get((feature, key), {})
        return [known[earlier] for earlier in sorted(known, reverse=True) if earlier < at]


def _place(partition: str, at: str) -> tuple[str, str]:
    """What a partition has in common with those before it, and where it is among them."""
    first, _, rest = partition.partition("/")
    column, _, value = first.partition("=")
    return (f"{column}/{rest}", value) if is_date(value) else (partition, at)


def _affected(row: Mapping[str, Any]) -> bool:
    """As `lasso_jobs.core.verdicts.affected`, of a row that was stored."""
    number = {k: np.nan if row[k] is None else row[k] for k in WANTED[5:]}
    unusable = number["missing_share"] + np.nan_to_num(number["unseen_share"])
    changed = row["kind"] == "prediction" and number["psi"] > number["psi_limit"]
    return bool(
        abs(number["score_shift"]) > number["shift_limit"]
        or changed
        or unusable > number["missing_limit"]
    )
