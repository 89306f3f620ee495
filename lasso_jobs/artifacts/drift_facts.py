"""What is known of a run's drift: the rows of its table, ranked, grouped, and in a few words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lasso_jobs.artifacts.page import number, signed

PREDICTION = "prediction"
_GRAVITY = ("ok", "watch", "alarm")
_WORST_FIRST = _GRAVITY[::-1]
WORDS = {"ok": "OK", "watch": "Watch", "alarm": "Alarm"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the drift table; its fields are the table's columns."""

    run_id: str
    scored_at: datetime
    model: str
    model_version: str
    partition: str
    segment: str
    feature: str
    kind: str
    n: int
    missing_share: float | None
    reference_missing_share: float | None
    n_nonfinite: int | None
    minimum: float | None
    maximum: float | None
    mean: float | None
    sd: float | None
    reference_mean: float | None
    reference_sd: float | None
    psi: float | None
    ks: float | None
    js: float | None
    wasserstein: float | None
    chi2: float | None
    out_of_range_share: float | None
    unseen_share: float | None
    score_shift: float | None
    variance_shift: float | None
    bins: Sequence[str] | None
    counts: Sequence[int] | None
    reference_shares: Sequence[float] | None
    shift_limit: float | None
    psi_limit: float | None
    missing_limit: float | None
    raised: str
    verdict: str
    reason: str

    @property
    def shares(self) -> list[tuple[str, float, float]]:
        """Label, share in training and share now of each bin."""
        if not (self.bins and self.counts and self.reference_shares):
            return []
        total = max(sum(self.counts), 1)
        now = [count / total for count in self.counts]
        return list(zip(self.bins, self.reference_shares, now, strict=True))


@dataclass(frozen=True, slots=True)
class Then:
    """A feature at an earlier time, or at that of the run itself."""

    label: str
    mean: float | None
    score_shift: float
    verdict: str


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """What is known of a run's drift.

    Parameters
    ----------
    rows : sequence of Row
        All of the run.
    partition : str
        The one to show in full.
    history : mapping of str to sequence of Then
        By feature: the partition that is shown, and those before it, oldest first.
    target : str or None
        The name of what is predicted, where it is known.
    """

    rows: Sequence[Row]
    partition: str
    history: Mapping[str, Sequence[Then]] = field(default_factory=dict)
    target: str | None = None

    @property
    def verdict(self) -> str:
        """The gravest of the run."""
        return gravest(self.rows)

    @property
    def shown(self) -> list[Row]:
        """Rows of the partition that is shown, without those of segments."""
        return [row for row in self.rows if row.partition == self.partition and not row.segment]

    @property
    def prediction(self) -> Row | None:
        """The predictions' own row."""
        return next((row for row in self.shown if row.feature == PREDICTION), None)

    @property
    def features(self) -> list[Row]:
        """Features, by how much they moved the mean prediction."""
        return sorted(
            (row for row in self.shown if row.kind in ("numeric", "categorical")), key=_by_shift
        )

    @property
    def pairs(self) -> list[Row]:
        """Pairs of features whose correlation was compared."""
        return [row for row in self.shown if row.kind == "correlation"]

    @property
    def raised(self) -> list[Row]:
        """All rows of the run that are not ok, the gravest first."""
        found = [row for row in self.rows if row.verdict != "ok"]
        return sorted(found, key=lambda row: (_WORST_FIRST.index(row.verdict), *_by_shift(row)))


@dataclass(frozen=True, slots=True)
class Group:
    """A partition or a segment, summed up."""

    name: str
    n: int
    verdict: str
    prediction: Row | None
    mover: Row | None


def gravest(rows: Sequence[Row]) -> str:
    """The gravest verdict."""
    return max((row.verdict for row in rows), key=_GRAVITY.index, default="ok")


def partitions(facts: DriftFacts) -> list[Group]:
    """The run's partitions, in order of their names."""
    whole = [row for row in facts.rows if not row.segment]
    return [_group(name, rows) for name, rows in _by("partition", whole)]


def segments(facts: DriftFacts) -> list[Group]:
    """The segments of the partition that is shown."""
    rows = [row for row in facts.rows if row.segment and row.partition == facts.partition]
    return [_group(name, found) for name, found in _by("segment", rows)]


def headline(facts: DriftFacts) -> tuple[str, ...]:
    """The verdict's facts, a sentence each."""
    sentences = []
    of_target = f" of {facts.target}" if facts.target else ""
    row = facts.prediction
    if row and row.mean is not None and row.reference_mean is not None:
        moved = row.mean - row.reference_mean
        sentences.append(
            f"The mean prediction{of_target} is {number(row.mean)}, "
            + (
                f"{number(abs(moved))} {'above' if moved > 0 else 'below'} that of training "
                f"({number(row.reference_mean)})."
                if moved
                else "as in training."
            )
        )
    features = facts.features
    if features and features[0].score_shift:
        sentences.append(
            f"{features[0].feature} moved it most, by {signed(features[0].score_shift)}."
        )
    counts = {
        v: sum(row.verdict == v for row in [*features, *([row] if row else [])]) for v in WORDS
    }
    words = {"alarm": "alarm", "watch": "to watch", "ok": "ok"}
    said = [f"{counts[v]} {words[v]}" for v in _WORST_FIRST if counts[v]]
    where = "" if len(partitions(facts)) == 1 else f" in {facts.partition}"
    sentences.append(f"Features and the predictions{where}: {', '.join(said) or 'none'}.")
    return tuple(sentences)


def _group(name: str, rows: Sequence[Row]) -> Group:
    features = sorted((r for r in rows if r.kind in ("numeric", "categorical")), key=_by_shift)
    prediction = next((row for row in rows if row.feature == PREDICTION), None)
    mover = features[0] if features and features[0].score_shift else None
    return Group(name, max(row.n for row in rows), gravest(rows), prediction, mover)


def _by(name: str, rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    yield from sorted(found.items())


def _by_shift(row: Row) -> tuple[float, float, str]:
    return -abs(row.score_shift or 0.0), -(row.psi or 0.0), row.feature
