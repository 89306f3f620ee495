"""Says a run's drift as plain values for JSON, and in words and tables for a terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from math import isfinite
from typing import Any

from lasso_jobs.core.drift.drift import Drift, none_for_nan
from lasso_jobs.drift.facts import (
    DriftFacts,
    GroupDrift,
    HistoryPoint,
    headline,
    partitions,
    segments,
)

Values = dict[str, Any]

_BARS = "▁▂▃▄▅▆▇█"


def as_values(facts: DriftFacts) -> Values:
    """A run's drift, as ``drift show --json`` prints it."""
    run, prediction = facts.run, facts.prediction
    return {
        "run_id": run.id,
        "model": run.model,
        "model_version": run.model_version,
        "scored_at": run.scored_at.astimezone(UTC).isoformat(),
        "verdict": facts.verdict,
        "summary": " ".join(headline(facts)),
        "partition": facts.partition,
        "n": facts.shown[0].n,
        "prediction": None if prediction is None else prediction.as_values(),
        "features": [drift.as_values() for drift in facts.features],
        "correlations": [drift.as_values() for drift in facts.pairs],
        "partitions": [_group("partition", group) for group in partitions(facts)],
        "segments": [_group("segment", group) for group in segments(facts)],
        "history": {
            feature: [_point(point) for point in points]
            for feature, points in facts.history.items()
        },
    }


def _group(kind: str, group: GroupDrift) -> Values:
    values = {
        kind: group.name,
        "n": group.n,
        "verdict": group.verdict,
        "prediction_shift": group.prediction and group.prediction.score_shift,
        "most_moved_by": group.mover and group.mover.feature,
    }
    return none_for_nan(values)


def _point(point: HistoryPoint) -> Values:
    return none_for_nan(
        {
            "label": point.label,
            "mean": point.mean,
            "score_shift": point.score_shift,
            "verdict": point.verdict,
        }
    )


def in_words(facts: DriftFacts) -> Mapping[str, str]:
    """The run, and its verdict first."""
    run = facts.run
    return {
        "verdict": facts.verdict,
        "because": " ".join(headline(facts)),
        "run": f"{run.id[:12]}, {run.scored_at:%Y-%m-%d %H:%M} UTC, {run.model_version}",
        "rows": f"{facts.shown[0].n:,} in {facts.partition}",
    }


def feature_rows(facts: DriftFacts, most: int = 20) -> list[Values]:
    """The features that moved the mean prediction most, for a table in a terminal."""
    drifts = [*([facts.prediction] if facts.prediction else []), *facts.features[:most]]
    return [_feature_row(drift, facts.history.get(drift.feature, ())) for drift in drifts]


def _feature_row(drift: Drift, points: Sequence[HistoryPoint]) -> Values:
    values = {
        "feature": drift.feature,
        "score_shift": drift.score_shift,
        "mean then": drift.reference_mean,
        "now": drift.mean,
        "psi": drift.psi,
        "history": _bars([point.score_shift for point in points][-12:]),
        "verdict": drift.verdict,
        "reason": drift.reason,
    }
    return none_for_nan(values)


def raised_elsewhere(facts: DriftFacts) -> list[Values]:
    """What is not ok in the run's other partitions."""
    names = ("partition", "feature", "verdict", "reason")
    rows = [row.as_values() for row in facts.raised if row.partition != facts.partition]
    return [{name: row[name] for name in names} for row in rows]


def _bars(shifts: Sequence[float]) -> str:
    """The sizes of shifts, relative to the largest."""
    sizes = [abs(shift) for shift in shifts]
    top = max(filter(isfinite, sizes), default=0.0)
    full = len(_BARS) - 1
    places = [(round(s / top * full) if top else 0) if isfinite(s) else full for s in sizes]
    return "".join(_BARS[place] for place in places)
