"""A run's drift as plain values: for JSON and for the terminal."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from lasso_jobs.artifacts.drift_facts import DriftFacts, Row, headline, partitions, segments

Values = dict[str, Any]

_BARS = "▁▂▃▄▅▆▇█"


def of_drift_run(facts: DriftFacts) -> Values:
    """A run's drift, as ``drift show --json`` prints it."""
    run = facts.shown[0]
    groups = [("partitions", partitions(facts)), ("segments", segments(facts))]
    return {
        "run_id": run.run_id,
        "model": run.model,
        "model_version": run.model_version,
        "scored_at": run.scored_at.astimezone(UTC).isoformat(),
        "verdict": facts.verdict,
        "summary": " ".join(headline(facts)),
        "partition": facts.partition,
        "n": run.n,
        "prediction": facts.prediction and _of_row(facts.prediction),
        "features": [_of_row(row) for row in facts.features],
        "correlations": [_of_row(row) for row in facts.pairs],
        **{
            name: [
                {
                    name.removesuffix("s"): group.name,
                    "n": group.n,
                    "verdict": group.verdict,
                    "prediction_shift": group.prediction and group.prediction.score_shift,
                    "most_moved_by": group.mover and group.mover.feature,
                }
                for group in found
            ]
            for name, found in groups
        },
        "history": {
            feature: [dataclasses.asdict(then) for then in found]
            for feature, found in facts.history.items()
        },
    }


def _of_row(row: Row) -> Values:
    values = dataclasses.asdict(row)
    of_run = ("run_id", "scored_at", "model", "model_version", "partition", "segment")
    return {name: value for name, value in values.items() if name not in of_run}


def in_words(facts: DriftFacts) -> Mapping[str, str]:
    """The run, and its verdict first."""
    run = facts.shown[0]
    return {
        "verdict": facts.verdict,
        "because": " ".join(headline(facts)),
        "run": f"{run.run_id[:12]}, {run.scored_at:%Y-%m-%d %H:%M} UTC, {run.model_version}",
        "rows": f"{run.n:,} in {facts.partition}",
    }


def of_features(facts: DriftFacts, most: int = 20) -> list[Values]:
    """The features that moved the mean prediction most, for a table in a terminal."""
    rows = [*([facts.prediction] if facts.prediction else []), *facts.features[:most]]
    return [
        {
            "feature": row.feature,
            "score_shift": row.score_shift,
            "mean then": row.reference_mean,
            "now": row.mean,
            "psi": row.psi,
            "history": _bars([t.score_shift for t in facts.history.get(row.feature, ())][-12:]),
            "verdict": row.verdict,
            "reason": row.reason,
        }
        for row in rows
    ]


def of_raised_elsewhere(facts: DriftFacts) -> list[Values]:
    """What is not ok in the run's other partitions."""
    return [
        {name: getattr(row, name) for name in ("partition", "feature", "verdict", "reason")}
        for row in facts.raised
        if row.partition != facts.partition
    ]


def _bars(shifts: Sequence[float]) -> str:
    """The sizes of shifts, relative to the largest."""
    top = max(map(abs, shifts), default=0.0)
    return "".join(_BARS[round(abs(s) / top * (len(_BARS) - 1)) if top else 0] for s in shifts)
