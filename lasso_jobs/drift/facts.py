"""Gathers what is known of a run's drift: its rows, ranked and grouped, and the runs before it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

from lasso_jobs.core.drift.drift import Drift, Severity
from lasso_jobs.drift.history import HISTORY
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.drift.table import DriftRow, night_of, series_of
from lasso_jobs.drift.verdict import because, verdict_of, verdict_of_group
from lasso_jobs.drift.watch import Run
from lasso_jobs.pages.page import number, signed

WORDS: Mapping[Severity, str] = {
    "ok": "OK",
    "unknown": "Not judged",
    "watch": "Watch",
    "alarm": "Alarm",
}
_GRAVITY = tuple(WORDS)
_WORST_FIRST = _GRAVITY[::-1]


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """A feature in an earlier run, or in the run itself; the label names its night or time."""

    label: str
    mean: float
    score_shift: float
    verdict: Severity


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """What is known of a run's drift.

    Parameters
    ----------
    rows : sequence of DriftRow
        All of the run.
    partition : str
        The one to show in full.
    history : mapping of str to sequence of HistoryPoint
        By feature: the partition that is shown, and those before it, oldest first.
    target : str or None
        The name of what is predicted, where it is known.
    """

    rows: Sequence[DriftRow]
    partition: str
    history: Mapping[str, Sequence[HistoryPoint]] = field(default_factory=dict)
    target: str | None = None

    @property
    def run(self) -> Run:
        """The run that the rows are of."""
        return self.rows[0].run

    @property
    def verdict(self) -> Severity:
        """The gravest of the run's partitions."""
        return verdict_of(self.rows)

    @property
    def shown(self) -> list[Drift]:
        """Drift in the partition that is shown, without its segments."""
        return [r.drift for r in self.rows if r.partition == self.partition and not r.segment]

    @property
    def prediction(self) -> Drift | None:
        """That of the predictions."""
        return _prediction(self.shown)

    @property
    def features(self) -> list[Drift]:
        """Features, by how much they moved the mean prediction."""
        return _features(self.shown)

    @property
    def pairs(self) -> list[Drift]:
        """Pairs of features whose correlation was compared."""
        return [drift for drift in self.shown if drift.kind == "correlation"]

    @property
    def raised(self) -> list[DriftRow]:
        """All rows of the run to watch or with an alarm, the gravest first."""
        raised = [row for row in self.rows if row.drift.verdict in ("watch", "alarm")]
        gravity = _WORST_FIRST.index
        return sorted(raised, key=lambda r: (gravity(r.drift.verdict), *_by_shift(r.drift)))


def facts_of(
    rows: Sequence[DriftRow],
    past: Iterable[DriftRow],
    *,
    target: str | None = None,
    among: Iterable[DriftRow] | None = None,
) -> DriftFacts:
    """What is known of a run: its partition with the gravest verdict is shown, the last of several.

    Parameters
    ----------
    rows : sequence of DriftRow
        All of the run.
    past : iterable of DriftRow
        Whole partitions of runs of the same version of the same model; the run itself does not
        count.
    target : str, optional
        The name of what is predicted.
    among : iterable of DriftRow, optional
        Of the run: the partition that is shown is one of theirs.
    """
    chosen = partition_shown(rows if among is None else among)
    before = [row for row in past if row.run.id != chosen.run.id]
    return DriftFacts(rows, chosen.partition, _history([*before, *rows], chosen), target)


def partition_shown(rows: Iterable[DriftRow]) -> DriftRow:
    """A row of the partition with the gravest verdict, the last of several."""
    whole = [row for row in rows if not row.segment]
    verdicts = {name: verdict_of_group(own) for name, own in _by("partition", whole)}
    return max(whole, key=lambda row: (_GRAVITY.index(verdicts[row.partition]), row.partition))


def _history(rows: Iterable[DriftRow], chosen: DriftRow) -> dict[str, list[HistoryPoint]]:
    """By feature, the partition that is shown and those before it.

    Partitions that name a night are ordered by it, and a night that was scored again counts as it
    was last; other partitions are ordered by the time of their runs.
    """
    night, series = night_of(chosen.partition), series_of(chosen.partition)
    last = night or _time(chosen)
    points: dict[str, dict[str, Drift]] = {}
    for row in sorted(rows, key=lambda row: row.run.scored_at):
        at = night_of(row.partition) or _time(row)
        before = at < last or (at == last and row.run.id == chosen.run.id)
        alike = not row.segment and series_of(row.partition) == series
        if before and alike and not isnan(row.drift.score_shift):
            points.setdefault(row.drift.feature, {})[at] = row.drift
    return {
        feature: [
            HistoryPoint(at if night else at[:16], drift.mean, drift.score_shift, drift.verdict)
            for at, drift in sorted(of_feature.items())[-HISTORY:]
        ]
        for feature, of_feature in points.items()
    }


def _time(row: DriftRow) -> str:
    return f"{row.run.scored_at:%Y-%m-%d %H:%M:%S.%f}"


@dataclass(frozen=True, slots=True)
class GroupDrift:
    """The drift of a partition or a segment, summed up.

    Parameters
    ----------
    name : str
    n : int
        Its rows.
    verdict : {"ok", "unknown", "watch", "alarm"}
        The gravest of what is judged.
    prediction : Drift or None
    mover : Drift or None
        The feature that moved the mean prediction most.
    """

    name: str
    n: int
    verdict: Severity
    prediction: Drift | None
    mover: Drift | None


def partitions(facts: DriftFacts) -> list[GroupDrift]:
    """The run's partitions, in order of their names."""
    whole = [row for row in facts.rows if not row.segment]
    return [_group(name, rows) for name, rows in _by("partition", whole)]


def segments(facts: DriftFacts) -> list[GroupDrift]:
    """The segments of the partition that is shown."""
    rows = [row for row in facts.rows if row.segment and row.partition == facts.partition]
    return [_group(name, own) for name, own in _by("segment", rows)]


def headline(facts: DriftFacts) -> tuple[str, ...]:
    """The verdict's facts, a sentence each."""
    sentences = []
    if facts.verdict == "unknown":
        reason = because(facts.rows)
        sentences.append(f"{reason[0].upper()}{reason[1:]}.")
    of_target = f" of {facts.target}" if facts.target else ""
    prediction = facts.prediction
    if prediction and not isnan(moved := prediction.mean - prediction.reference_mean):
        sentences.append(
            f"The mean prediction{of_target} is {number(prediction.mean)}, "
            + (
                f"{number(abs(moved))} {'above' if moved > 0 else 'below'} that of training "
                f"({number(prediction.reference_mean)})."
                if moved
                else "as in training."
            )
        )
    features = facts.features
    if features and _size(features[0].score_shift):
        sentences.append(_most_moved(features[0]))
    judged = [*features, *([prediction] if prediction else [])]
    counts = {verdict: sum(d.verdict == verdict for d in judged) for verdict in WORDS}
    words = {"alarm": "alarm", "watch": "to watch", "unknown": "not judged", "ok": "ok"}
    said = [f"{counts[v]} {words[v]}" for v in _WORST_FIRST if counts[v]]
    if known := sum(bool(drift.acknowledged) for drift in judged):
        said.append(f"of which {known} as acknowledged")
    where = "" if len(partitions(facts)) == 1 else f" in {facts.partition}"
    sentences.append(f"Features and the predictions{where}: {', '.join(said) or 'none'}.")
    return tuple(sentences)


def _most_moved(drift: Drift) -> str:
    """What moved the mean prediction most, and how much of that is left."""
    said = f"{drift.feature} moves it most, by {signed(drift.score_shift)} by itself"
    if _size(drift.net_shift) < _size(drift.score_shift) and not isnan(drift.net_shift):
        rest = signed(drift.net_shift) if drift.net_shift else "nothing"
        return f"{said}, of which the other features leave {rest}."
    if not isnan(drift.shift_share):
        return f"{said}: {drift.shift_share:.0%} of its movement."
    return f"{said}."


def _group(name: str, rows: Sequence[DriftRow]) -> GroupDrift:
    drifts = [row.drift for row in rows]
    features = _features(drifts)
    mover = features[0] if features and _size(features[0].score_shift) else None
    return GroupDrift(
        name=name,
        n=max(drift.n for drift in drifts),
        verdict=verdict_of_group(rows),
        prediction=_prediction(drifts),
        mover=mover,
    )


def _by(name: str, rows: Sequence[DriftRow]) -> Iterator[tuple[str, list[DriftRow]]]:
    groups: dict[str, list[DriftRow]] = {}
    for row in rows:
        groups.setdefault(getattr(row, name), []).append(row)
    yield from sorted(groups.items())


def _prediction(drifts: Sequence[Drift]) -> Drift | None:
    return next((drift for drift in drifts if drift.feature == PREDICTION), None)


def _features(drifts: Sequence[Drift]) -> list[Drift]:
    features = (drift for drift in drifts if drift.kind in ("numeric", "categorical"))
    return sorted(features, key=_by_shift)


def _by_shift(drift: Drift) -> tuple[float, float, str]:
    return -_size(drift.score_shift), -_size(drift.psi), drift.feature


def _size(value: float) -> float:
    return 0.0 if isnan(value) else abs(value)
