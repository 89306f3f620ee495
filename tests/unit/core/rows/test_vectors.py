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
