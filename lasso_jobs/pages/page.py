"""Renders self-contained HTML pages: one look, one style sheet, no script and no network.

jinja2 escapes every value that is put into a template, after what would not show was made visible;
what comes out of `svg` is escaped there.
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lasso_jobs.pages import svg

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **facts: Any) -> str:
    """Fill in a template of the package."""
    return _environment().get_template(template).render(facts)


@cache
def _environment() -> "Environment":
    # Only here, as most who write numbers as these pages do draw no page: 0.05 s.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("lasso_jobs.pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=svg.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "signed": signed,
        "share": share,
        "whole": whole,
        "limit": limit,
        "factor": factor,
        "correlation": correlation,
        "moment": lambda time: f"{time:%Y-%m-%d %H:%M} UTC",
    }
    environment.globals |= {"style": Markup(_style()), "mark": _mark}
    return environment


def _style() -> str:
    # It holds no value of the data, and so goes in as it is.
    folder = resources.files("lasso_jobs.pages") / "templates"
    return (folder / "style.css").read_text(encoding="utf-8")


def _mark(verdict: str) -> Markup:
    """A verdict's shape, for beside its name."""
    shape = svg.verdict_mark(6, 6, verdict, 4.5)
    return svg.markup('<svg class="shape" viewBox="0 0 12 12" aria-hidden="true">{}</svg>', shape)


def number(value: float | None, digits: int = 4) -> str:
    """A value to so many significant digits; a dash where there is none.

    Examples
    --------
    >>> number(1234.5678), number(-0.000123456), number(None)
    ('1,235', '−0.0001235', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -5 <= size < 7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{value:,.{max(digits - 1 - size, 0)}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """The same, with a plus where it is more than zero.

    Examples
    --------
    >>> signed(2.5), signed(0.0)
    ('+2.500', '0')
    """
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text != "–" else text


def limit(value: float | None) -> str:
    """A threshold or a tick: three digits, no zeros at the end.

    Examples
    --------
    >>> limit(0.1), limit(1234.0)
    ('0.1', '1,234')
    """
    text = number(value, 3)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def factor(value: float) -> str:
    """A variance inflation factor, which may be infinite."""
    return "∞" if value == math.inf else number(value, 3)


def aligned(values: Sequence[float]) -> list[str]:
    """Signed values with the decimals that the largest needs for four digits, for a column."""
    top = max(map(abs, values), default=0.0)
    if not 0 < top < 1e7:
        return [signed(value) for value in values]
    decimals = max(3 - math.floor(math.log10(top)), 0)
    texts = [f"{value:+,.{decimals}f}" for value in values]
    zero = {f"{sign}{0:.{decimals}f}" for sign in "+-"}
    return ["0" if text in zero else text.replace("-", "−") for text in texts]


def share(value: float | None) -> str:
    """A share in percent; one of less than 0.1 % is not rounded to zero.

    Examples
    --------
    >>> share(0.25), share(0.0004)
    ('25.0%', '<0.1%')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return "<0.1%" if 0 < value < 0.001 else f"{value:.1%}"


def correlation(value: float) -> str:
    """Two decimals, and no zero before them.

    Examples
    --------
    >>> correlation(-0.4567), correlation(1.0)
    ('−.46', '1.00')
    """
    return f"{value:z.2f}".replace("-", "−").replace("0.", ".", 1)


def whole(value: int | None) -> str:
    """A count."""
    return "–" if value is None else f"{value:,}"
