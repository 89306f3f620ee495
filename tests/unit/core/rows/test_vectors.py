import pickle

import pytest

from lasso_jobs.core.rows.columns import Columns, DateFeature, stored
from lasso_jobs.core.rows.vectors import Vector, elements, vector_and_index, without_elements

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
