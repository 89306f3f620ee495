import re
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_extraction.text import CountVectorizer

from lasso_jobs.core.rows.buckets import text_key
from lasso_jobs.core.rows.vectors import Tokens, Vector
from lasso_jobs.data.vectors.tokens import TokensOfRows, entries_of
from lasso_jobs.data.vectors.values import VectorValues

# Python lowers these by their neighbours, or to several letters.
SPECIAL = "\u0130\u03a3"
LETTERS = st.characters(codec="utf-8", exclude_characters=SPECIAL, max_codepoint=0x2FFF)
TEXTS = st.lists(st.none() | st.text(LETTERS), max_size=6)


def words(text: str | None) -> list[str]:
    return re.findall(r"\b\w\w+\b", (text or "").lower())


def tokens_by_row(array: pa.Array, how: str) -> list[list[str]]:
    found = TokensOfRows.of(array, how)
    rows: list[list[str]] = [[] for _ in range(found.n_rows)]
    for row, token in zip(found.row, found.token, strict=True):
        rows[row].append(found.distinct[int(token)].as_py())
    assert found.rows_with().tolist() == [
        sum(token in row for row in rows) for token in found.distinct.to_pylist()
    ]
    return rows


@settings(deadline=None)
@given(TEXTS, st.integers(0, 3), st.sampled_from(["plain", "large", "dictionary"]))
def test_words_are_those_of_pythons_regular_expression(
    texts: list[str | None], start: int, kind: str
) -> None:
    array = pa.array(texts, pa.large_string() if kind == "large" else pa.string())
    array = array.dictionary_encode() if kind == "dictionary" else array
    array = array.slice(start)
    assert tokens_by_row(array, "words") == [words(text) for text in texts[start:]]


@pytest.mark.slow
def test_each_letter_of_each_script_is_in_a_word_as_in_python() -> None:
    # Arrow may know letters of a newer Unicode than Python; surrogates are no text.
    every = (chr(code) for code in range(sys.maxunicode))
    letters = [each for each in every if unicodedata.category(each) not in ("Cs", "Cn")]
    found = TokensOfRows.of(pa.array([f"aa{each}bb" for each in letters]), "words")
    n_words = np.bincount(found.row, minlength=len(letters))
    assert_array_equal(n_words, [len(re.findall(r"\w+", f"aa{each}bb")) for each in letters])


ITEMS = [["b", "a", None, "b"], None, [], ["", "c d"], ["a"]]
EXPECTED = [["b", "a", "b"], [], [], ["", "c d"], ["a"]]


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
    ],
)
@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_items_stay_as_they_are(type_: pa.DataType, start: int) -> None:
    assert tokens_by_row(pa.array(ITEMS, type_).slice(start), "items") == EXPECTED[start:]


@pytest.mark.parametrize("array", [pa.nulls(2), pa.array([[], None], pa.list_(pa.null()))])
def test_no_list_has_no_items(array: pa.Array) -> None:
    assert tokens_by_row(array, "items") == [[], []]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([7, None, 3, 7]),
        pa.array([7.0, None, 3.0, np.nan, 7.0]).take(pa.array([0, 3, 2, 4])),
        pa.array(["7", None, "3", "7"]),
        pa.array(["x", "7", None, "3", "7"]).dictionary_encode().slice(1),
    ],
)
def test_a_value_is_one_token_whatever_its_type(array: pa.Array) -> None:
    assert tokens_by_row(array, "value") == [["7"], [], ["3"], ["7"]]


@pytest.mark.parametrize("count", ["counts", "binary", "tf"])
@pytest.mark.parametrize("known", [("aa", "bb", "cc"), ("bb",)])
def test_entries_are_numbers_of_known_tokens(count: str, known: tuple[str, ...]) -> None:
    texts = ["aa bb aa", None, "dd", "cc CC bb, aa!", ""]
    vector = Vector("t", len(known), known, tokens=Tokens("words", count))
    column = pa.chunked_array([texts[:2], texts[2:]], pa.string())
    values = VectorValues(column, vector)
    X = CountVectorizer(vocabulary=known, binary=count == "binary").transform(
        [text or "" for text in texts]
    )
    expected = X.toarray().astype(float)
    if count == "tf":
        expected /= np.maximum([len(words(text)) for text in texts], 1)[:, None]
    every = np.arange(len(known))
    assert_allclose(values.dense(every).T, expected, rtol=1e-15)
    entries = values.entries()
    assert not entries.nulls.any()
    assert not values.unfit.any()
    assert_array_equal(entries.starts, np.append(0, np.cumsum((expected != 0).sum(axis=1))))
    assert_array_equal(entries.indices, np.nonzero(expected)[1])
    assert_allclose(entries.values, expected[np.nonzero(expected)], rtol=1e-15)


def test_a_hash_is_of_the_text_alone() -> None:
    vector = Vector("t", 7, tokens=Tokens("items"))
    entries = entries_of(pa.array([["a", "b", "a"], ["c"]]), vector, Tokens("items"))
    dense = np.zeros((2, 7))
    for row, items in enumerate((["a", "b", "a"], ["c"])):
        for item in items:
            dense[row, text_key(item, 0) % 7] += 1
    assert_array_equal(entries.dense(np.arange(7), 7).T, dense)
    assert [text_key(token, 0) % 1000 for token in "abc"] == [538, 293, 215]
