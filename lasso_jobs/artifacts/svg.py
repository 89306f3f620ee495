"""Small pictures as inline SVG: numbers in, markup out.

Colours are classes, so that the page's style sheet decides them for light, dark and paper. Every
text is escaped by `markupsafe.Markup.format`, and every number is written by this module.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Point = tuple[float, float]


def figure(
    key: str, title: str, description: str, width: float, height: float, parts: Iterable[Markup]
) -> Markup:
    """A picture with its name and its content in words.

    Parameters
    ----------
    key : str
        Unique in the page; letters, digits and hyphens.
    title, description : str
        For those who cannot see it.
    width, height : float
        Of the drawing; the style sheet scales it.
    parts : iterable of Markup
    """
    return Markup(
        '<svg class="figure" viewBox="0 0 {} {}" role="img" aria-labelledby="{k}-t {k}-d">'
        '<title id="{k}-t">{}</title><desc id="{k}-d">{}</desc>{}</svg>'
    ).format(_n(width), _n(height), title, description, Markup("").join(parts), k=key)


def rect(x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> Markup:
    """A rectangle; the tip shows where a mouse rests on it."""
    inner = Markup("<title>{}</title>").format(tip) if tip else Markup("")
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}">{}</rect>').format(
        _n(x), _n(y), _n(max(width, 0)), _n(max(height, 0)), kind, inner
    )


def segment(start: Point, end: Point, kind: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        _n(start[0]), _n(start[1]), _n(end[0]), _n(end[1]), kind
    )


def path(points: Sequence[Point], kind: str, closed: bool = False) -> Markup:
    """A line through points, or an area."""
    steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
    return Markup('<path d="M{}{}" class="{}"/>').format(steps, "Z" if closed else "", kind)


def text(x: float, y: float, words: str, kind: str = "tick", anchor: str = "start") -> Markup:
    """A few words."""
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        _n(x), _n(y), kind, anchor, words
    )


def verdict_mark(x: float, y: float, verdict: str, size: float = 4) -> Markup:
    """A verdict as a shape, so that colour is not its only sign: circle, triangle, square."""
    if verdict == "alarm":
        return rect(x - size, y - size, 2 * size, 2 * size, "mark alarm")
    if verdict == "unknown":
        return segment((x - size, y), (x + size, y), "mark unknown")
    if verdict == "watch":
        corners = [(x, y - 1.2 * size), (x + 1.1 * size, y + size), (x - 1.1 * size, y + size)]
        return path(corners, "mark watch", closed=True)
    return dot(x, y, size, "mark ok")


def dot(x: float, y: float, radius: float, kind: str) -> Markup:
    """A filled circle."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(
        _n(x), _n(y), _n(radius), kind
    )


@dataclass(frozen=True, slots=True)
class Plot:
    """A rectangle of the picture, and the ranges of the values that it shows.

    Parameters
    ----------
    x, y : tuple of float
        Least and largest value.
    width, height : float
        Of the whole picture.
    left, right, top, bottom : float
        Margins.
    """

    x: Point
    y: Point
    width: float = 360
    height: float = 200
    left: float = 52
    right: float = 10
    top: float = 10
    bottom: float = 34

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values is in the picture."""
        return (
            self.left + _share(x, self.x) * (self.width - self.left - self.right),
            self.height - self.bottom - _share(y, self.y) * (self.height - self.top - self.bottom),
        )

    def y_axis(self, ticks: Sequence[tuple[float, str]]) -> Markup:
        """Lines across the picture, with their values."""
        parts = []
        for value, label in ticks:
            y = self.at(self.x[0], value)[1]
            parts.append(segment((self.left, y), (self.width - self.right, y), "grid"))
            parts.append(text(self.left - 6, y + 3.5, label, anchor="end"))
        return Markup("").join(parts)

    def x_axis(self, ticks: Sequence[tuple[float, str]], name: str = "") -> Markup:
        """Values below the picture, and what they are."""
        base, parts = self.height - self.bottom, []
        for value, label in ticks:
            x = self.at(value, self.y[0])[0]
            at_end = x > self.width - self.right - 18
            anchor = "start" if x <= self.left else "end" if at_end else "middle"
            parts.append(text(x, base + 14, label, anchor=anchor))
        middle = (self.left + self.width - self.right) / 2
        return Markup("").join([*parts, text(middle, self.height - 4, name, "name", "middle")])


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that span a range: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Iterable[float], share: float = 0.06) -> Point:
    """The range of values, and a little more on both sides."""
    found = [*values]
    low, high = min(found), max(found)
    more = (high - low) * share or abs(high) * share or 1.0
    return low - more, high + more


def histogram(
    key: str,
    title: str,
    description: str,
    bins: Sequence[tuple[str, float, float]],
    apart: int = 1,
    width: float = 300,
    height: float = 88,
) -> Markup:
    """Shares of the reference (behind, wide) and of the current rows (in front, narrow) by bin.

    Parameters
    ----------
    key, title, description
        As of `figure`.
    bins : sequence of (label, reference, current)
    apart : int
        So many of the last bins, such as that of nulls, stand apart.
    width, height : float
    """
    top, gap = max((max(r, c) for _, r, c in bins), default=0.0) or 1.0, 8.0
    step = (width - (gap if apart else 0)) / max(len(bins), 1)
    parts, base = [], height - 1
    for i, (label, reference, current) in enumerate(bins):
        x = i * step + (gap if i >= len(bins) - apart else 0)
        tip = f"{label}: {reference:.1%} in training, {current:.1%} now"
        for share, kind, inset in ((reference, "reference", 0.06), (current, "current", 0.26)):
            tall = share / top * (height - 6)
            parts.append(
                rect(x + step * inset, base - tall, step * (1 - 2 * inset), tall, kind, tip)
            )
    parts.append(segment((0, base), (width, base), "axis"))
    return figure(key, title, description, width, height, parts)


def sparkline(
    key: str,
    title: str,
    description: str,
    values: Sequence[tuple[float, str]],
    limit: float | None = None,
    width: float = 300,
    height: float = 56,
) -> Markup:
    """Values over time around zero, each with its verdict; the last is emphasised.

    The limit is in the picture wherever there is one, so that what is small looks small.

    Parameters
    ----------
    key, title, description
        As of `figure`.
    values : sequence of (value, verdict)
        Oldest first.
    limit : float, optional
        Dashed lines at plus and minus this.
    width, height : float
    """
    found = [value for value, _ in values]
    sides = [] if limit is None else [-limit, limit]
    low, high = min([0.0, *found, *sides]), max([0.0, *found, *sides])
    plot = Plot((0, max(len(found) - 1, 1)), padded([low, high]), width, height, 6, 8, 4, 4)
    parts = [segment(plot.at(0, 0), plot.at(plot.x[1], 0), "axis")]
    parts += [segment(plot.at(0, side), plot.at(plot.x[1], side), "limit") for side in sides]
    points = [plot.at(i, value) for i, value in enumerate(found)]
    if len(points) > 1:
        parts.append(path(points, "trace"))
    for i, ((x, y), (_, verdict)) in enumerate(zip(points, values, strict=True)):
        if verdict != "ok" or i == len(points) - 1:
            parts.append(verdict_mark(x, y, verdict, 4.5 if i == len(points) - 1 else 3))
    return figure(key, title, description, width, height, parts)


def signed_bar(value: float, largest: float) -> Markup:
    """A bar to the left or right of zero; decoration, for its value stands beside it."""
    long = 50 * min(abs(value) / largest, 1) if largest > 0 else 0.0
    kind = "more" if value >= 0 else "less"
    bar = rect(50 if value >= 0 else 50 - long, 1, long, 8, f"strip {kind}")
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        "{}{}</svg>"
    ).format(bar, segment((50, 0), (50, 10), "axis"))


def _share(value: float, span: Point) -> float:
    return (value - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.5


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
