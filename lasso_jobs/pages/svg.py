"""Draws small pictures as inline SVG: numbers in, markup out.

Colours are classes, so that the page's style sheet decides them for light, dark and paper. Every
text is escaped by `markup`, and every number is written by this module.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup
from markupsafe import escape as escaped

from lasso_jobs import escape

Point = tuple[float, float]


def markup(template: str, *values: object, **named: object) -> Markup:
    r"""Fill in a template: texts are made visible and escaped, markup goes in as it is.

    Examples
    --------
    >>> str(markup("<b>{}</b>", "a < b\n"))
    '<b>a &lt; b\\n</b>'
    """
    # Markup.format escapes, too, but reads each template in Python: 42 us for a rectangle, not 10.
    template = template.format(*map(_safe, values), **{k: _safe(v) for k, v in named.items()})
    return Markup(template)


_PLAIN = re.compile(r"[\w .,:%()\[\]+-]*", re.ASCII)
"""What nothing is escaped in, as most texts are: to see that takes a fifth of the escape."""


def _safe(value: object) -> object:
    if type(value) is Markup or (type(value) is str and _PLAIN.fullmatch(value)):
        return value
    return escaped(visible(value))


def visible(value: object) -> object:
    """A text whose characters all show; markup, and what is no text, as it is."""
    return escape.visible(value) if type(value) is str else value


def figure(
    key: str,
    title: str,
    description: str,
    parts: Iterable[Markup],
    *,
    width: float,
    height: float,
) -> Markup:
    """A picture with its name and its content in words.

    Parameters
    ----------
    key : str
        Unique in the page; letters, digits and hyphens.
    title, description : str
        For those who cannot see it.
    parts : iterable of Markup
    width, height : float
        Of the drawing; the style sheet scales it.
    """
    return markup(
        '<svg class="figure" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{title}</title>'
        '<desc id="{key}-d">{description}</desc>{parts}</svg>',
        key=key,
        title=title,
        description=description,
        width=_n(width),
        height=_n(height),
        parts=Markup("").join(parts),
    )


def rect(x: float, y: float, width: float, height: float, *, kind: str, tip: str = "") -> Markup:
    """A rectangle; the tip shows where a mouse rests on it.

    Examples
    --------
    >>> str(rect(1, 2, 30, 40, kind="current"))
    '<rect x="1" y="2" width="30" height="40" class="current"></rect>'
    """
    return markup(
        '<rect x="{x}" y="{y}" width="{width}" height="{height}" class="{kind}">{tip}</rect>',
        x=_n(x),
        y=_n(y),
        width=_n(max(width, 0)),
        height=_n(max(height, 0)),
        kind=kind,
        tip=markup("<title>{}</title>", tip) if tip else "",
    )


def rects(corners: Iterable[tuple[float, float, float, float]], kind: str) -> Markup:
    """Many rectangles of one kind in few letters: left, top, width and height of each.

    Examples
    --------
    >>> str(rects([(1, 2, 30, 40)], "cell"))
    '<path d="M1 2h30v40h-30z" class="cell"/>'
    """
    steps = "".join(f"M{_n(x)} {_n(y)}h{_n(w)}v{_n(h)}h{_n(-w)}z" for x, y, w, h in corners)
    return markup('<path d="{}" class="{}"/>', steps, kind)


def segment(start: Point, end: Point, kind: str) -> Markup:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    at = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
    return markup('<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>', kind=kind, **at)


def path(points: Sequence[Point], kind: str, closed: bool = False) -> Markup:
    """A line through points, or an area."""
    steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
    return markup('<path d="M{}{}" class="{}"/>', steps, "Z" if closed else "", kind)


def text(x: float, y: float, words: str, *, kind: str = "tick", anchor: str = "start") -> Markup:
    """A few words."""
    return markup(
        '<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{words}</text>',
        x=_n(x),
        y=_n(y),
        kind=kind,
        anchor=anchor,
        words=words,
    )


def verdict_mark(x: float, y: float, verdict: str, size: float = 4) -> Markup:
    """A verdict as a shape, so that colour is not its only sign: circle, triangle, square."""
    if verdict == "alarm":
        return rect(x - size, y - size, 2 * size, 2 * size, kind="mark alarm")
    if verdict == "unknown":
        return segment((x - size, y), (x + size, y), "mark unknown")
    if verdict == "watch":
        corners = [(x, y - 1.2 * size), (x + 1.1 * size, y + size), (x - 1.1 * size, y + size)]
        return path(corners, "mark watch", closed=True)
    return dot(x, y, size, "mark ok")


def dot(x: float, y: float, radius: float, kind: str) -> Markup:
    """A filled circle."""
    at = {"x": _n(x), "y": _n(y), "r": _n(radius)}
    return markup('<circle cx="{x}" cy="{y}" r="{r}" class="{kind}"/>', kind=kind, **at)


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def level(self, y: float, kind: str) -> Markup:
        """A line across the plot at a value of y."""
        height = self.at(self.x[0], y)[1]
        return segment((self.left, height), (self.width - self.right, height), kind)

    def upright(self, x: float, kind: str) -> Markup:
        """A line from the bottom of the plot to its top at a value of x."""
        across = self.at(x, self.y[0])[0]
        return segment((across, self.top), (across, self.height - self.bottom), kind)

    def y_axis(self, ticks: Sequence[tuple[float, str]]) -> Markup:
        """Lines across the picture, with their values."""
        parts = []
        for value, label in ticks:
            y = self.at(self.x[0], value)[1]
            parts.append(self.level(value, "grid"))
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
        parts.append(text(middle, self.height - 4, name, kind="name", anchor="middle"))
        return Markup("").join(parts)

    def figure(self, key: str, title: str, description: str, parts: Iterable[Markup]) -> Markup:
        """The picture, with its name and its content in words, as `figure` writes it."""
        return figure(key, title, description, parts, width=self.width, height=self.height)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that span a range: 1, 2 or 5 times a power of ten apart.

    Examples
    --------
    >>> ticks(0.0, 10.0)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Iterable[float], share: float = 0.06) -> Point:
    """The range of values, and a little more on both sides."""
    values = [*values]
    low, high = min(values), max(values)
    more = (high - low) * share or abs(high) * share or 1.0
    return low - more, high + more


def histogram(
    key: str,
    title: str,
    description: str,
    bins: Sequence[tuple[str, float, float]],
    *,
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
            tall, wide = share / top * (height - 6), step * (1 - 2 * inset)
            parts.append(rect(x + step * inset, base - tall, wide, tall, kind=kind, tip=tip))
    parts.append(segment((0, base), (width, base), "axis"))
    return figure(key, title, description, parts, width=width, height=height)


def sparkline(
    key: str,
    title: str,
    description: str,
    values: Sequence[tuple[float, str]],
    *,
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
    numbers = [value for value, _ in values]
    sides = [] if limit is None else [-limit, limit]
    low, high = min([0.0, *numbers, *sides]), max([0.0, *numbers, *sides])
    plot = Plot(
        x=(0, max(len(numbers) - 1, 1)),
        y=padded([low, high]),
        width=width,
        height=height,
        left=6,
        right=8,
        top=4,
        bottom=4,
    )
    parts = [segment(plot.at(0, 0), plot.at(plot.x[1], 0), "axis")]
    parts += [segment(plot.at(0, side), plot.at(plot.x[1], side), "limit") for side in sides]
    points = [plot.at(i, value) for i, value in enumerate(numbers)]
    if len(points) > 1:
        parts.append(path(points, "trace"))
    for i, ((x, y), (_, verdict)) in enumerate(zip(points, values, strict=True)):
        if verdict != "ok" or i == len(points) - 1:
            parts.append(verdict_mark(x, y, verdict, 4.5 if i == len(points) - 1 else 3))
    return plot.figure(key, title, description, parts)


def signed_bar(value: float, largest: float) -> Markup:
    """A bar to the left or right of zero; decoration, for its value stands beside it."""
    long = 50 * min(abs(value) / largest, 1) if largest > 0 else 0.0
    kind = "more" if value >= 0 else "less"
    bar = rect(50 if value >= 0 else 50 - long, 1, long, 8, kind=f"strip {kind}")
    return markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        "{}{}</svg>",
        bar,
        segment((50, 0), (50, 10), "axis"),
    )


def _share(value: float, span: Point) -> float:
    return (value - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.5


@lru_cache(maxsize=4096)  # cells share edges: of 20,000 numbers 150 differ
def _n(value: float) -> str:
    return f"{value:z.2f}".rstrip("0").rstrip(".")  # z: without a sign of zero
