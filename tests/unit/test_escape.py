"""Texts are shown as they are, and no medium acts on them."""

import html
import io
import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lasso_jobs import escape
from lasso_jobs.cli import terminal
from lasso_jobs.errors import DataError

from ..hostile import NAME, acted_on, obeyed

SIGNS = "#-+=.1) \n\t`|*_[](){}<>!&~\\wht:/a"
ANY = st.text(st.characters(), max_size=60) | st.text(SIGNS, max_size=30)


@given(ANY)
@example(NAME)
def test_a_visible_text_has_only_characters_that_show(text: str) -> None:
    shown = escape.visible(text)
    assert obeyed(shown) - set("\u00a0\u2003") <= {c for c in shown if c.isspace()}
    assert "\n" not in shown
    # Python's own literal reads it back, where it holds none of the literal's own signs.
    if "\\" not in text and not any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


@pytest.mark.parametrize("text", ["größe", "价格", "τιμή", "السعر", "9 000 €", "x²", "a\\b"])
def test_letters_of_every_script_stay(text: str) -> None:
    assert escape.visible(text) == text


def test_bytes_of_file_names_that_are_no_text_are_escaped() -> None:
    name = b"caf\xe9.parquet".decode("utf-8", "surrogateescape")
    assert escape.visible(name) == r"caf\udce9.parquet"


@given(ANY)
@example(NAME)
@example("# heading")
@example("- item")
@example("1. item")
@example("===")
@example("---")
@example("https://evil.example")
@example("www.evil.example")
def test_markdown_shows_a_text_and_acts_on_none_of_it(text: str) -> None:
    shown = escape.visible(" ".join(text.split()))
    source = escape.markdown(text)
    assert acted_on(source) == []
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for before, after in (("", ""), ("- ", ""), ("# ", ""), ("| a |\n| --- |\n| ", " |")):
        kinds = [
            [token.type for token in reader.parse(f"{before}{words}{after}\n\nthe end\n")]
            for words in (source, "a" if source else "")
        ]
        assert kinds[0] == kinds[1]
    rendered = reader.render(source).removeprefix("<p>").removesuffix("</p>\n")
    assert html.unescape(rendered) == shown.strip()


@given(ANY)
def test_code_in_markdown_is_one_piece_of_code(text: str) -> None:
    source = f"Page: {escape.markdown_code(text or 'a')}"
    tokens = MarkdownIt("commonmark").parse(source)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    if escape.line(text):
        kinds = [token.type for token in tokens[1].children or ()]
        assert kinds == ["text", "code_inline"]


def test_a_message_is_one_line_of_bounded_length() -> None:
    error = DataError(NAME, "x" * 10**7, "b\n\nc", "Mend\tit")
    assert len(str(error)) < 5 * escape.LONGEST
    assert "\n" not in str(error) and obeyed(str(error)) == set()
    assert str(error).endswith("; expected b c. Mend it.")
    assert len(repr(error)) < 6 * escape.LONGEST


def test_a_terminal_shows_names_and_values_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.show({NAME: NAME, "a": [NAME]})
    terminal.table([{NAME: NAME, "verdict": NAME}])
    terminal.heading(NAME)
    terminal.line(NAME)
    terminal.note(NAME)
    terminal.lines(f"{NAME}\n")
    with terminal.progress(False) as progress:
        assert progress is not None
        progress(NAME, 1, 1)
    terminal.print_json({NAME: NAME})
    done = capsys.readouterr()
    assert obeyed(done.out) | obeyed(done.err) == set()
    assert done.out.count(r"\x1b[31mred") == 9
    assert done.err.count(r"\x1b[31mred") == 2


def test_the_log_of_a_command_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.prepare(debug=False)
    assert logging.lastResort is not None
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "%s", (NAME,), None)
    assert obeyed(logging.lastResort.format(record)) == set()


def test_lines_are_written_at_once() -> None:
    stream = io.StringIO()
    escape.write(stream, "a\x1b\nb\n")
    assert stream.getvalue() == "a\\x1b\nb\n"
