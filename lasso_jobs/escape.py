r"""Makes any text safe to show: on a terminal, in a log line, in Markdown.

Names of columns, levels, partitions and files are whatever somebody wrote into the data. A terminal
obeys escape sequences, a reader is misled by text that runs from right to left, and Markdown loads
images. Whatever prints a value passes it through this module, which takes secrets out, too; pages
of HTML and SVG use `visible` before their own escape.
"""

import re
from collections.abc import Callable
from typing import TextIO
from unicodedata import category

from lasso_jobs.redact import redacted

LONGEST = 1000
"""Characters of a part of a message; a longer one loses its middle."""

_MARKUP = re.compile(r"([\\`*\[\]|~$<>&{}]|(?<![^\W_])_|_(?![^\W_]))")
# What GitHub and the UI of Prefect make a link of, though nothing marks it as one.
_LINK = re.compile(r"(?i)((?:https?|ftp)(?=://)|www(?=\.))")
# A heading, a list or a rule, at the start of a line.
_START = re.compile(r"^(\d{1,9})?([#+.)=-])(?=[\s#+=-]|$)")


def visible(text: str) -> str:
    r"""A text whose characters all show, each as itself: others are written as their escapes.

    Those are control characters, line ends, marks of direction, what has no width, and bytes of
    file names that are no UTF-8. Letters of every script stay.

    Examples
    --------
    >>> print(visible("price\x1b[31m of\u202e USD"))
    price\x1b[31m of\u202e USD
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or category(c) == "Zs" else c.encode("unicode_escape").decode()
        for c in text
    )


def shown(text: str, redact: Callable[[str], str] = redacted) -> str:
    """A text without secrets, whose characters all show."""
    return visible(redact(text))


def line(text: str) -> str:
    r"""A text as one line that shows, without secrets, and not too long.

    Examples
    --------
    >>> line("two\n  lines")
    'two lines'
    """
    # A secret that is cut in two would not be found.
    text = redacted(shortened(text, 100 * LONGEST))
    return shortened(visible(" ".join(shortened(text).split())))


def shortened(text: str, most: int = LONGEST) -> str:
    """A text of at most so many characters: a longer one loses its middle.

    Examples
    --------
    >>> shortened("abcdefghijklmnop", 11)
    'abc ... nop'
    """
    if len(text) <= most:
        return text
    kept = (most - 5) // 2
    return f"{text[:kept]} ... {text[-kept:]}"


def markdown(text: str, redact: Callable[[str], str] = redacted) -> str:
    r"""A text as one line of Markdown that shows it, and is no markup.

    Parameters
    ----------
    text : str
    redact : callable
        For many texts, `lasso_jobs.redact.redactor`.

    Examples
    --------
    >>> print(markdown("price [USD] of *item*"))
    price \[USD\] of \*item\*
    """
    escaped = _MARKUP.sub(r"\\\1", shown(" ".join(text.split()), redact))
    return _START.sub(r"\1\\\2", _LINK.sub(r"\1\\", escaped))


def markdown_code(text: str) -> str:
    """A text as code within a line of Markdown.

    Examples
    --------
    >>> print(markdown_code("scores/flights"))
    `scores/flights`
    """
    text = line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{text}{fence}" if len(fence) == 1 else f"{fence} {text} {fence}"


def write(stream: TextIO, text: str) -> None:
    """Write lines to a stream at once; but for their ends, what does not show is escaped."""
    for one in text.split("\n")[:-1]:
        stream.write(f"{shown(one)}\n")
    stream.flush()
