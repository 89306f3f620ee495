"""Draws a run's drift as one HTML page: the verdict, what moved the predictions, since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from markupsafe import Markup

from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.drift.facts import WORDS, DriftFacts, headline, partitions, segments
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import aligned, limit, number, render, share, signed
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error

PICTURED = 30
"""Features with pictures; the table has all."""


def drift_page(facts: DriftFacts) -> str:
    """The page of a run.

    Parameters
    ----------
    facts : DriftFacts
        With at least one row.

    Returns
    -------
    str
        HTML that needs no other file. The `PICTURED` most moving features have pictures.
    """
    features, groups = facts.features, partitions(facts)
    return render(
        "drift.html",
        title=f"Drift: {facts.run.model}, {facts.partition}: {WORDS[facts.verdict]}",
        facts=facts,
        run=facts.run,
        is_defined=isfinite,
        words=WORDS,
        sentences=headline(facts),
        movers=_movers(facts),
        level=_level(facts),
        cards=[_card(i, drift, facts) for i, drift in enumerate(features[:PICTURED])],
        segments=segments(facts),
        partitions=groups if len(groups) > 1 else [],
    )


class BinShares(NamedTuple):
    """A bin's share of the training rows, and of the rows now."""

    label: str
    training: float
    now: float


@dataclass(frozen=True, slots=True)
class Card:
    """A feature with its pictures."""

    drift: Drift
    histogram: Markup | None
    moved_bins: Sequence[BinShares]
    trace: Markup | None
    since: str


def _card(i: int, drift: Drift, facts: DriftFacts) -> Card:
    bins = _few(_shares(drift), drift.kind)
    picture = None
    if bins:
        said = ", ".join(f"{b.label} {share(b.training)} then {share(b.now)} now" for b in bins)
        about = f"Distribution of {drift.feature}, training and now"
        picture = svg.histogram(f"h{i}", about, f"Shares of the rows: {said}", bins)
    moved = sorted(bins, key=lambda b: -abs(b.now - b.training))
    past = facts.history.get(drift.feature, ())
    trace, since = None, ""
    if len(past) > 1:
        since = f"{past[0].label} to {past[-1].label}"
        about = f"How {drift.feature} moved the mean prediction, {since}"
        said = ", ".join(f"{t.label} {signed(t.score_shift)} ({t.verdict})" for t in past)
        values = [(t.score_shift, t.verdict) for t in past]
        limit_of_shift = drift.shift_limit if isfinite(drift.shift_limit) else None
        trace = svg.sparkline(f"s{i}", about, said, values, limit=limit_of_shift)
    return Card(
        drift=drift,
        histogram=picture,
        moved_bins=[b for b in moved[:3] if b.training != b.now],
        trace=trace,
        since=since,
    )


def _shares(drift: Drift) -> list[BinShares]:
    total = sum(drift.counts)
    if not (drift.bins and total and drift.reference_shares):
        return []
    return [
        BinShares(label, training, count / total)
        for label, training, count in zip(
            drift.bins, drift.reference_shares, drift.counts, strict=True
        )
    ]


def _few(bins: list[BinShares], kind: str, most: int = 12) -> list[BinShares]:
    """All bins of a number; of many levels the most frequent, and the others together."""
    if kind != "categorical" or len(bins) <= most + 1:
        return bins
    levels = sorted(bins[:-1], key=lambda b: -max(b.training, b.now))
    others = levels[most - 1 :]
    training, now = sum(b.training for b in others), sum(b.now for b in others)
    together = BinShares(f"{len(others)} other levels", training, now)
    return [*levels[: most - 1], together, bins[-1]]


def _level(facts: DriftFacts) -> Markup | None:
    """The mean prediction over the runs, with training's."""
    past = [point for point in facts.history.get(PREDICTION, ()) if isfinite(point.mean)]
    prediction = facts.prediction
    if len(past) < 2 or prediction is None or not isfinite(prediction.reference_mean):
        return None
    means, training = [point.mean for point in past], prediction.reference_mean
    reach = svg.padded([*means, training], 0.12)
    plot = svg.Plot(x=(0, len(past) - 1), y=reach, height=180, bottom=20)
    points = [plot.at(i, mean) for i, mean in enumerate(means)]
    ends = [(0.0, past[0].label), (len(past) - 1.0, past[-1].label)]
    parts = [
        plot.y_axis([(value, limit(value)) for value in svg.ticks(*plot.y)]),
        plot.x_axis(ends),
        plot.level(training, "limit"),
        svg.path(points, "trace"),
        *(svg.verdict_mark(*at, point.verdict) for at, point in zip(points, past, strict=True)),
    ]
    said = ", ".join(f"{p.label} {number(p.mean)} ({p.verdict})" for p in past)
    title = f"Mean prediction, {past[0].label} to {past[-1].label}"
    return plot.figure("level", title, said, parts)


def _movers(facts: DriftFacts, most: int = 8) -> list[tuple[str, Markup, str]]:
    """Name, bar and score shift of the first features, of the others together, and of all."""
    features = facts.features
    if not any(isfinite(drift.score_shift) for drift in features):
        return []
    moved = [(drift.feature, _shift(drift)) for drift in features[:most]]
    others = sum(map(_shift, features[most:]))
    sums = [(f"{len(features) - most} others", others)] if len(features) > most else []
    if features and facts.prediction:
        sums.append(("Mean prediction", _shift(facts.prediction)))
    lines, largest = [*moved, *sums], abs(moved[0][1]) if moved else 0.0
    texts = aligned([shift for _, shift in lines])
    bars = [svg.signed_bar(shift, largest) for _, shift in moved] + [Markup("")] * len(sums)
    return [(name, bar, text) for (name, _), bar, text in zip(lines, bars, texts, strict=True)]


def _shift(drift: Drift) -> float:
    return drift.score_shift if isfinite(drift.score_shift) else 0.0


def place_of_page(root: str, run_id: str) -> str:
    """Where a run's page is; readers of Delta tables pass over names that begin so."""
    return storage.join(root, "_pages", f"{run_id}.html")


def write_page(root: str, facts: DriftFacts) -> str:
    """Write a run's page beside the drift table; return its place.

    Raises
    ------
    OutputError
    """
    place = place_of_page(root, facts.run.id)
    save_page(place, facts)
    return place


def save_page(place: str, facts: DriftFacts) -> None:
    """Write a page to a file or URI.

    Raises
    ------
    OutputError
    """
    with as_output_error(
        place, "a place that can be written to", "Make room or give access, or name another"
    ):
        storage.replace(place, drift_page(facts).encode())
