"""Records errors in a Delta table: a row for each model, period, model version and segment.

A period that is measured again, once more of its outcomes are known, replaces its own rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lasso_jobs.core.drift.drift import Severity, none_for_nan
from lasso_jobs.core.drift.outcomes import Expectation, Tally
from lasso_jobs.core.drift.verdicts import worst
from lasso_jobs.sinks import delta
from lasso_jobs.sinks.protocol import Change

_BY = ("model", "period", "model_version")
_MEASURED = ("known_share", "mse", "rmse", "mae", "r2", "bias", "coverage")
_EXPECTED = (
    *("expected_mse", "expected_mse_se", "expected_rmse", "expected_mae"),
    *("expected_bias", "expected_bias_se", "expected_coverage"),
)
MOST_REASONS = 3
SCHEMA = pa.schema(
    [
        ("monitored_at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in (*_BY, "segment")),
        *((name, pa.int64()) for name in ("n_scored", "n_known", "n_unpredicted")),
        *((name, pa.float64()) for name in (*_MEASURED, *_EXPECTED)),
        *((name, pa.string()) for name in ("verdict", "reason")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodErrors:
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
    verdict : {"ok", "unknown", "watch", "alarm"}
    reason : str
    """

    model: str
    model_version: str
    period: str
    segment: str
    tally: Tally
    n_unpredicted: int | None
    expected: Expectation | None
    verdict: Severity
    reason: str

    def as_values(self) -> dict[str, Any]:
        """As the table has it, but for its time; what is not defined is None."""
        tally = self.tally
        values = {
            "model": self.model,
            "period": self.period,
            "model_version": self.model_version,
            "segment": self.segment,
            "n_scored": tally.n_scored,
            "n_known": tally.n_known,
            "n_unpredicted": self.n_unpredicted,
            **{name: getattr(tally, name) for name in _MEASURED},
            **(dict.fromkeys(_EXPECTED) if self.expected is None else _expected(self.expected)),
            "verdict": self.verdict,
            "reason": self.reason,
        }
        return none_for_nan(values)


def _expected(expected: Expectation) -> dict[str, float | None]:
    return {
        "expected_mse": expected.squared_error.mean,
        "expected_mse_se": expected.squared_error.standard_error,
        "expected_rmse": expected.rmse,
        "expected_mae": expected.absolute_error.mean,
        "expected_bias": expected.error.mean,
        "expected_bias_se": expected.error.standard_error,
        "expected_coverage": None if expected.covered is None else expected.covered.mean,
    }


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """A finished monitoring run.

    Parameters
    ----------
    rows : tuple of PeriodErrors
        By period, model version and segment.
    n_repeated : int
        Outcomes that a row had more than one of.
    history_version : int
        Of the table of results; -1 if the job keeps none.
    seconds : mapping of str to float
    """

    rows: tuple[PeriodErrors, ...]
    n_repeated: int
    history_version: int
    seconds: Mapping[str, float]

    @property
    def verdict(self) -> Severity:
        """The gravest of all periods, and of the segments that can be judged."""
        judged = (row for row in self.rows if not row.segment or row.verdict != "unknown")
        return worst([row.verdict for row in judged])

    @property
    def because(self) -> str:
        """Why the verdict is what it is."""
        if not self.rows:
            return "not judged: no rows were scored"
        grave = [row for row in self.rows if row.verdict == self.verdict]
        periods = [row for row in self.rows if not row.segment]
        if self.verdict == "ok":
            return f"errors are as expected in {_counted(len(periods), 'period')}"
        if self.verdict == "unknown":
            unjudged = [row for row in grave if not row.segment]
            last = unjudged[-1]
            of = f"{len(unjudged)} of {_counted(len(periods), 'period')}"
            return f"{of} cannot be judged, such as {last.period}: {last.reason}"
        said = [f"{r.period} {r.segment}".rstrip() + f": {r.reason}" for r in grave]
        more = [f"and {len(said) - MOST_REASONS} more"] if len(said) > MOST_REASONS else []
        return "; ".join([*said[:MOST_REASONS], *more])

    def as_values(self) -> dict[str, Any]:
        """As ``monitor --json`` prints it."""
        return {
            "verdict": self.verdict,
            "because": self.because,
            "rows": [row.as_values() for row in self.rows],
            "n_repeated": self.n_repeated,
            "history_version": self.history_version,
            "seconds": dict(self.seconds),
        }


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def check(path: str) -> None:
    """Refuse early what `record` would refuse.

    Raises
    ------
    OutputError
    """
    delta.check(Change(root=path, schema=SCHEMA, partition_by=_BY, run_id=""))


def record(path: str, rows: Sequence[PeriodErrors], at: datetime) -> int:
    """Show these rows in place of those of their periods and versions, in one commit.

    Returns
    -------
    int
        The table's version.

    Raises
    ------
    OutputError
    """
    values = [{"monitored_at": at, **row.as_values()} for row in rows]
    table, attempt = pa.Table.from_pylist(values, SCHEMA), f"monitor {at.isoformat()}"
    files = delta.write_files(table, path, _BY, attempt)
    return delta.commit(
        Change(root=path, schema=SCHEMA, partition_by=_BY, run_id=attempt, files=files)
    )
