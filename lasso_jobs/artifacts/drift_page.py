"""A run's drift as one HTML page: the verdict, then what moved the predictions, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lasso_jobs.artifacts import svg
from lasso_jobs.artifacts.drift_facts import (
    PREDICTION,
    WORDS,
    DriftFacts,
    Row,
    headline,
    partitions,
    segments,
)
from lasso_jobs.artifacts.page import aligned, limit, number, render, share, signed

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
    features, first = facts.features, facts.shown[0]
    groups = partitions(facts)
    return render(
        "drift.html",
        title=f"Drift: {first.model}, {facts.partition}: {WORDS[facts.verdict]}",
        facts=facts,
        run=first,
        version=first.model_version.rpartition("@")[2],
        words=WORDS,
        sentences=headline(facts),
        movers=_movers(facts),
        level=_level(facts),
        cards=[_card(i, row, facts) for i, row in enumerate(features[:PICTURED])],
        segments=segments(facts),
        partitions=groups if len(groups) > 1 else [],
    )


@dataclass(frozen=True, slots=True)
class Card:
    """A feature with its pictures."""

    row: Row
    histogram: Markup | None
    moved_bins: Sequence[tuple[str, str, str]]
    trace: Markup | None
    since: str


def _card(i: int, row: Row, facts: DriftFacts) -> Card:
    bins = _few(row.shares, row.kind)
    picture = None
    if bins:
        said = ", ".join(
            f"{label} {share(then)} then {share(now)} now" for label, then, now in bins
        )
        about = f"Distribution of {row.feature}, training and now"
        picture = svg.histogram(f"h{i}", about, f"Shares of the rows: {said}", bins)
    moved = sorted(bins, key=lambda each: -abs(each[2] - each[1]))
    past = facts.history.get(row.feature, ())
    trace = None
    if len(past) > 1:
        about = f"How {row.feature} moved the mean prediction, {past[0].label} to {past[-1].label}"
        said = ", ".join(f"{t.label} {signed(t.score_shift)} ({t.verdict})" for t in past)
        values = [(t.score_shift, t.verdict) for t in past]
        trace = svg.sparkline(f"s{i}", about, said, values, row.shift_limit)
    return Card(
        row,
        picture,
        [(label, share(then), share(now)) for label, then, now in moved[:3] if then != now],
        trace,
        f"{past[0].label} to {past[-1].label}" if len(past) > 1 else "",
    )


def _few(
    bins: list[tuple[str, float, float]], kind: str, most: int = 12
) -> list[tuple[str, float, float]]:
    """All bins of a number; of many levels the most frequent, and the others together."""
    if kind != "categorical" or len(bins) <= most + 1:
        return bins
    levels = sorted(bins[:-1], key=lambda each: -max(each[1], each[2]))
    others = levels[most - 1 :]
    together = (f"{len(others)} other levels", sum(o[1] for o in others), sum(o[2] for o in others))
    return [*levels[: most - 1], together, bins[-1]]


def _level(facts: DriftFacts) -> Markup | None:
    """The mean prediction over the runs, with training's."""
    past = [then for then in facts.history.get(PREDICTION, ()) if then.mean is not None]
    row = facts.prediction
    if len(past) < 2 or row is None or row.reference_mean is None:
        return None
    means = [then.mean for then in past if then.mean is not None]
    plot = svg.Plot(
        (0, len(past) - 1), svg.padded([*means, row.reference_mean], 0.12), bottom=20, height=180
    )
    points = [plot.at(i, mean) for i, mean in enumerate(means)]
    level = plot.at(0, row.reference_mean)[1]
    ends = [(0.0, past[0].label), (len(past) - 1.0, past[-1].label)]
    parts = [
        plot.y_axis([(value, limit(value)) for value in svg.ticks(*plot.y)]),
        plot.x_axis(ends),
        svg.segment((plot.left, level), (plot.width - plot.right, level), "limit"),
        svg.path(points, "trace"),
        *(svg.verdict_mark(*point, then.verdict) for point, then in zip(points, past, strict=True)),
    ]
    said = ", ".join(f"{then.label} {number(then.mean)} ({then.verdict})" for then in past)
    title = f"Mean prediction, {past[0].label} to {past[-1].label}"
    return svg.figure("level", title, said, plot.width, plot.height, parts)


def _movers(facts: DriftFacts, most: int = 8) -> list[tuple[str, Markup, str]]:
    """Name, bar and score shift of the first features, of the others together, and of all."""
    features = facts.features
    moved = [(row.feature, row.score_shift or 0.0) for row in features[:most]]
    others = sum(row.score_shift or 0.0 for row in features[most:])
    sums = [(f"{len(features) - most} others", others)] if len(features) > most else []
    if features and facts.prediction:
        sums.append(("Mean prediction", facts.prediction.score_shift or 0.0))
    lines, largest = [*moved, *sums], abs(moved[0][1]) if moved else 0.0
    texts = aligned([shift for _, shift in lines])
    bars = [svg.signed_bar(shift, largest) for _, shift in moved] + [Markup("")] * len(sums)
    return [(name, bar, text) for (name, _), bar, text in zip(lines, bars, texts, strict=True)]
