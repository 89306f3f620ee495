import pickle

import pytest

from lasso_jobs.core.rows.columns import Columns, DateFeature, stored
from lasso_jobs.core.rows.vectors import (
    Tokens,
    Vector,
    elements,
    vector_and_index,
    without_elements,
)

COLUMNS = Columns(
    ("x", "v[0]", "v[2]", "t.year", "w[1]", "v[x]"),
    (),
    (DateFeature("t", "year"),),
    (Vector("v", 3), Vector("w", 2)),
)


@pytest.mark.parametrize("name", ["v", "v[", "v[]", "v[-1]", "v[01]", "v[1", "[1]x", "v[²]", ""])
def test_other_names_are_of_no_element(name: str) -> None:
    assert vector_and_index(name) is None


def test_a_vector_names_its_elements_and_knows_them() -> None:
    names = Vector("a[0]", 12).names
    assert [vector_and_index(name) for name in names] == [("a[0]", i) for i in range(12)]


def test_features_know_the_columns_that_they_are_of() -> None:
    found = {
        name: (e.places.tolist(), e.indices.tolist()) for name, e in COLUMNS.elements().items()
    }
    assert found == {"v": ([1, 2], [0, 2]), "w": ([4], [1])}
    assert COLUMNS.stored == ("x", "v", "t", "w", "v[x]")
    assert without_elements(COLUMNS.numeric, COLUMNS.vectors) == ("x", "t.year", "v[x]")
    assert COLUMNS.columns_of("v").tolist() == [1, 2]
    assert COLUMNS.columns_of("v[2]").tolist() == [2]


def test_names_are_of_elements_only_where_there_is_such_a_vector() -> None:
    assert elements(["v[0]"], [Vector("w", 2)]) == {}
    assert stored(["v[0]", "w[1]"], (), [Vector("w", 2)]) == ("v[0]", "w")
    assert without_elements(["v[0]"], []) == ("v[0]",)


def test_fewer_features_have_fewer_vectors() -> None:
    some = COLUMNS.only({"v[2]", "t.year"})
    assert some == Columns(("v[2]", "t.year"), (), (DateFeature("t", "year"),), (Vector("v", 3),))
    assert COLUMNS.has(some)
    assert not some.has(COLUMNS)
    assert not Columns(("v[2]",), ()).has(Columns(("v[2]",), (), (), (Vector("v", 3),)))


WHOLE = (
    (),
    ("v[0]",),
    ("x", "v[0]", "v[1]"),
    ("v[1]", "v[0]"),
    ("x", "v[0]", "v[1]", "w[0]", "w[1]", "w[2]", "y"),
    ("w[0]", "w[1]", "w[2]", "v[1]", "x", "v[0]"),
    ("v[0]", "x", "v[1]", "w[1]", "w[2]"),
)


@pytest.mark.parametrize("numeric", WHOLE)
def test_columns_arrive_as_they_were_sent(numeric: tuple[str, ...]) -> None:
    every = Columns(numeric, (), (), (Vector("v", 2), Vector("w", 3)))
    arrived = pickle.loads(pickle.dumps(every))
    assert arrived == every
    assert arrived is pickle.loads(pickle.dumps(every))
    for columns in (every, arrived):
        for vector in columns.vectors:
            places, indices = columns.elements().get(vector.column, ([], []))
            names = [vector.names[i] for i in indices]
            assert names == [numeric[j] for j in places]
            assert names == [name for name in numeric if name.startswith(vector.column)]
        assert columns.scalars == tuple(name for name in numeric if name in "xy")
        assert [columns.place[name] for name in numeric] == list(range(len(numeric)))
        assert columns.places(numeric[1:]).tolist() == list(range(len(numeric)))[1:]


def test_a_million_names_are_sent_as_a_few() -> None:
    vector = Vector("v", 1_000_000)
    columns = Columns(("x", *vector.names), (), (), (vector,))
    sent = pickle.dumps(columns)
    assert len(sent) < 1_000
    assert pickle.loads(sent).numeric == columns.numeric


# Names of their own

OWN = Vector("v", 4, ("age", "b]", "[c", "zoë"))
WORDS = Vector("w", 3, ("a", "b", "c"), tokens=Tokens("words"))


def test_names_of_their_own_take_the_place_of_indices() -> None:
    assert OWN.names == ("v[age]", "v[b]]", "v[[c]", "v[zoë]")
    columns = Columns(("x", "v[[c]", "w[b]", "v[age]", "v[3]"), (), (), (OWN, WORDS))
    found = {n: (e.places.tolist(), e.indices.tolist()) for n, e in columns.elements().items()}
    assert found == {"v": ([1, 3], [2, 0]), "w": ([2], [1])}
    assert columns.stored == ("x", "v", "w", "v[3]")
    assert columns.scalars == ("x", "v[3]")


def test_fewer_features_keep_their_names_alone() -> None:
    columns = Columns(("x", *OWN.names, *WORDS.names), (), (), (OWN, WORDS))
    some = columns.only({"v[zoë]", "v[b]]", "w[c]"})
    assert some.vectors == (
        Vector("v", 4, ("b]", "zoë"), (1, 3)),
        Vector("w", 1, ("c",), tokens=Tokens("words")),
    )
    fewer = some.only({"v[zoë]"})
    assert fewer.vectors == (Vector("v", 4, ("zoë",), (3,)),)
    assert fewer.elements()["v"].indices.tolist() == [3]
    assert columns.has(some)
    assert columns.has(fewer)
    assert not fewer.has(some)
    for each in (columns, some, fewer):
        arrived = pickle.loads(pickle.dumps(each))
        assert arrived == each
        assert arrived is pickle.loads(pickle.dumps(each))


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (Vector("v", 3), Vector("v", 5), True),  # As long as the largest index needs.
        (OWN, Vector("v", 4), False),
        (OWN, Vector("v", 4, ("age",), (0,)), True),
        (OWN, Vector("v", 4, ("age",), (1,)), False),
        (WORDS, Vector("w", 1, ("c",), tokens=Tokens("words")), True),
        (WORDS, Vector("w", 3, ("a", "b", "c"), tokens=Tokens("words", "tf")), False),
        (Vector("w", 9, tokens=Tokens("words")), Vector("w", 8, tokens=Tokens("words")), False),
        (Vector("w", 9), Vector("w", 9, tokens=Tokens("words")), False),
    ],
)
def test_elements_are_the_same_if_what_their_names_mean_is(
    mine: Vector, theirs: Vector, expected: bool
) -> None:
    assert mine.has(theirs) is expected
