"""What monitoring found, in a Delta table: a row for each model, period, version and segment.

A period that is measured again, once more of its outcomes are known, replaces its own rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lasso_jobs.artifacts.model import Expectation
from lasso_jobs.core.drift import Verdict
from lasso_jobs.core.outcomes import Tally
from lasso_jobs.core.verdicts import worst
from lasso_jobs.data import sinks

_BY = ("model", "period", "model_version")
_NUMBERS = (
    *("known_share", "mse", "rmse", "mae", "r2", "bias", "coverage"),
    *("expected_mse", "expected_mse_se", "expected_rmse", "expected_mae"),
    *("expected_bias", "expected_bias_se", "expected_coverage"),
)
SCHEMA = pa.schema(
    [
        ("monitored_at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in (*_BY, "segment")),
        *((name, pa.int64()) for name in ("n_scored", "n_known", "n_unpredicted")),
        *((name, pa.float64()) for name in _NUMBERS),
        *((name, pa.string()) for name in ("verdict", "reason")),
    ]
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The errors of a period, or of a segment of it.

    Parameters
    ----------
    model, model_version, period : str
    segment : str
        Empty for all rows, else COLUMN=VALUE.
    tally : Tally
    n_unpredicted : int or None
        Outcomes of the period without a prediction; None where it is not known which are of it.
    expected : Expectation or None
    verdict : {"ok", "watch", "alarm"}
    reason : str
    """

    model: str
    model_version: str
    period: str
    segment: str
    tally: Tally
    n_unpredicted: int | None
    expected: Expectation | None
    verdict: Verdict
    reason: str

    def values(self) -> dict[str, Any]:
        """As the table has it, but for its time; what is not defined is None."""
        tally, expected = self.tally, self.expected
        found: dict[str, Any] = {
            "model": self.model,
            "period": self.period,
            "model_version": self.model_version,
            "segment": self.segment,
            "n_scored": tally.n_scored,
            "n_known": tally.n_known,
            "n_unpredicted": self.n_unpredicted,
            **{name: getattr(tally, name) for name in _NUMBERS[:7]},
            **dict.fromkeys(_NUMBERS[7:]),
            "verdict": self.verdict,
            "reason": self.reason,
        }
        if expected is not None:
            found |= {
                "expected_mse": expected.squared_error.mean,
                "expected_mse_se": expected.squared_error.standard_error,
                "expected_rmse": math.sqrt(expected.squared_error.mean),
                "expected_mae": expected.absolute_error.mean,
                "expected_bias": expected.error.mean,
                "expected_bias_se": expected.error.standard_error,
                "expected_coverage": expected.covered.mean,
            }
        return {
            name: None if isinstance(v, float) and math.isnan(v) else v for name, v in found.items()
        }


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """A finished monitoring run.

    Parameters
    ----------
    rows : tuple of Measured
        By period, model version and segment.
    n_repeated : int
        Outcomes that a row had more than one of.
    history_version : int
        Of the table of results; -1 if the job keeps none.
    seconds : mapping of str to float
    """

    rows: tuple[Measured, ...]
    n_repeated: int
    history_version: int
    seconds: Mapping[str, float]

    @property
    def verdict(self) -> Verdict:
        """The gravest of all rows."""
        return worst([row.verdict for row in self.rows])

    def values(self) -> dict[str, Any]:
        """As ``monitor --json`` prints it."""
        return {
            "verdict": self.verdict,
            "rows": [row.values() for row in self.rows],
            "n_repeated": self.n_repeated,
            "history_version": self.history_version,
            "seconds": dict(self.seconds),
        }


def check(path: str) -> None:
    """Refuse early what `record` would refuse.

    Raises
    ------
    OutputError
    """
    sinks.check(path, SCHEMA, _BY)


def record(path: str, rows: Sequence[Measured], at: datetime) -> int:
    """Show these rows in place of those of their periods and versions, in one commit.

    Returns
    -------
    int
        The table's version.

    Raises
    ------
    OutputError
    """
    values = [{"monitored_at": at, **row.values()} for row in rows]
    table, attempt = pa.Table.from_pylist(values, SCHEMA), f"monitor {at.isoformat()}"
    files = sinks.write_files(table, path, _BY, attempt)
    return sinks.commit(path, files, table.schema, _BY, attempt, {})
