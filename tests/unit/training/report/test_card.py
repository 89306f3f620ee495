"""Whatever a value of the data holds, the card shows it, and it is no markup."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lasso_jobs.escape import markdown

ODD = (
    "<img src=x onerror=alert(1)>",
    "a|b",
    "*x* _y_ __z__ `code` ~~gone~~",
    "[link](javascript:alert(1)) ![image](x) &amp; &lt;",
    "back\\slash \\| \\",
    "two\nlines\r\n| --- |",
    "arr_delay",
    "_",
)
CHARACTERS = st.text("ab1 \n\t|\\`*_{}[]()<>#+-.!~$&:;@/\"'é", max_size=30)


def shown(text: str) -> str:
    """A cell of a table, as a reader of Markdown shows it."""
    table = f"| name | value |\n| --- | --- |\n| {markdown(text)} | 1 |\n"
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table)
    cells = page.split("<td>")
    assert len(cells) == 3
    inside = cells[1].split("</td>")[0]
    assert "<" not in inside
    return html.unescape(inside)


@pytest.mark.parametrize("text", ODD)
def test_odd_names_are_shown_as_they_are(text: str) -> None:
    assert shown(text) == " ".join(text.split())


@given(CHARACTERS)
def test_any_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == " ".join(text.split())


def test_plain_names_stay_readable() -> None:
    assert markdown("sched_dep_minute (local)") == "sched_dep_minute (local)"
