"""What the runs before found: the drift table, looked up by partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.data import sinks

if TYPE_CHECKING:
    from lasso_jobs.jobs.score_rows import Scoring

WANTED = (
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
    """Whether predictions were affected, by feature and partition.

    Of partitions such as days the order is that of their names; a table without partitions has one
    row for each run, in the order of the runs.

    Parameters
    ----------
    by_feature : dict
        Of each feature, by partition or run.
    """

    by_feature: dict[str, dict[str, bool]]

    @classmethod
    def of(cls, path: str, model: str, scoring: "Scoring") -> "History":
        """The runs with the same version of the same model, but for this one.

        Of several runs of a partition the last one counts.
        """
        if not sinks.exists(path):
            return cls({})
        ours = {"model": model, "model_version": scoring.model_version, "segment": ""}
        table = sinks.read_where(path, WANTED, ours, {"run_id": scoring.run_id})
        rows = sorted(table.to_pylist(), key=lambda row: row["scored_at"])
        history = cls({})
        for row in rows:
            if row["kind"] != "correlation" and (scoring.partition_by or row["partition"] == "all"):
                key = row["partition"] if scoring.partition_by else row["scored_at"].isoformat()
                history.add(key, row["feature"], _affected(row))
        return history

    def add(self, partition: str, feature: str, affected: bool) -> None:
        """Note a partition."""
        self.by_feature.setdefault(feature, {})[partition] = affected

    def affected(self, partition: str, feature: str) -> list[bool]:
        """Of the earlier partitions, the newest first."""
        known = self.by_feature.get(feature, {})
        earlier = sorted((p for p in known if partition == "all" or p < partition), reverse=True)
        return [known[p] for p in earlier]


def _affected(row: Mapping[str, Any]) -> bool:
    """As `lasso_jobs.core.verdicts.affected`, of a row that was stored."""
    number = {k: np.nan if row[k] is None else row[k] for k in WANTED[4:]}
    unusable = number["missing_share"] + np.nan_to_num(number["unseen_share"])
    changed = row["kind"] == "prediction" and number["psi"] > number["psi_limit"]
    return bool(
        abs(number["score_shift"]) > number["shift_limit"]
        or changed
        or unusable > number["missing_limit"]
    )
