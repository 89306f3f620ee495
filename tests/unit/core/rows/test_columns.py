import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import block_of, lay_out
from lasso_jobs.core.rows.columns import (
    Category,
    Columns,
    DateFeature,
)

CARRIER = Category("carrier", ("AA", "UA", None), True, "string")
LATE = Category("late", ("false", "true"), False, "boolean")
COLUMNS = Columns(("distance", "hour"), (CARRIER, LATE))


def block(n: int, seed: int = 0) -> Block:
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(2, n))
    numeric[:, rng.random(n) < 0.2] = np.nan
    carrier, late = rng.integers(-1, 4, n), rng.integers(-1, 2, n)
    return Block(n, tuple(numeric), (carrier.astype(np.int32), late.astype(np.int32)))


def matrix(
    columns: Columns, block: Block, order: np.ndarray, target: np.ndarray | None = None
) -> np.ndarray:
    values = np.empty((columns.n_columns + (target is not None), len(order)))
    assert list(lay_out(values, columns, block, order=order, target=target)) == list(
        range(len(values))
    )
    return values


def test_the_labels_of_a_category_name_its_null_level_and_its_other_level() -> None:
    labels = ("carrier=AA", "carrier=UA", "carrier=(null)", "carrier=(other)")
    assert CARRIER.labels == labels


@pytest.mark.parametrize("category", [CARRIER, LATE])
def test_a_category_has_one_label_per_indicator(category: Category) -> None:
    assert len(category.labels) == category.width


def test_numeric_features_come_before_the_indicators() -> None:
    assert COLUMNS.features == ("distance", "hour", "carrier", "late")
    assert COLUMNS.labels == ("distance", "hour", *CARRIER.labels, "late=false", "late=true")
    assert COLUMNS.n_columns == 8


def test_the_spans_name_the_columns_of_each_feature() -> None:
    assert [(name, COLUMNS.labels[span]) for name, span in COLUMNS.spans()] == [
        ("distance", ("distance",)),
        ("hour", ("hour",)),
        ("carrier", CARRIER.labels),
        ("late", LATE.labels),
    ]


def test_the_indicators_are_those_of_a_one_hot_encoder() -> None:
    rows = block(200)
    encoder = OneHotEncoder(
        categories=[range(4), range(2)], handle_unknown="ignore", sparse_output=False
    )
    expected = encoder.fit_transform(np.column_stack(rows.codes)).T
    assert np.array_equal(matrix(COLUMNS, rows, np.arange(200))[2:], expected)


def test_a_row_without_a_level_has_no_indicator() -> None:
    nothing = np.array([-1], np.int32)
    rows = Block(1, (np.zeros(1), np.zeros(1)), (nothing, nothing))
    assert not matrix(COLUMNS, rows, np.arange(1)).any()


def test_the_matrix_holds_the_rows_in_the_order_asked_for() -> None:
    rows, order = block(50), np.random.default_rng(1).permutation(50)[:30]
    assert np.array_equal(
        matrix(COLUMNS, rows, order), matrix(COLUMNS, rows, np.arange(50))[:, order], equal_nan=True
    )


def test_the_numbers_in_the_matrix_are_those_of_the_block_nulls_included() -> None:
    rows, order = block(50), np.random.default_rng(1).permutation(50)
    expected = np.array(rows.numeric)[:, order]
    assert np.isnan(expected).any()
    assert np.array_equal(matrix(COLUMNS, rows, order)[:2], expected, equal_nan=True)


def test_the_target_is_the_last_column() -> None:
    rows, order, target = block(50), np.arange(50)[::-1], np.arange(50.0)
    values = matrix(COLUMNS, rows, order, target)
    assert values.shape == (9, 50)
    assert np.array_equal(values[-1], target[::-1])


def test_each_column_is_there_when_its_number_is_told() -> None:
    rows, order, values = block(50), np.arange(50)[::-1], np.full((9, 50), -7.0)
    expected = matrix(COLUMNS, rows, order, np.arange(50.0))
    for j in lay_out(values, COLUMNS, rows, order=order, target=np.arange(50.0)):
        assert np.array_equal(values[: j + 1], expected[: j + 1], equal_nan=True)
        assert (values[j + 1 :] == -7).all()


def test_the_matrix_of_no_rows_keeps_its_columns() -> None:
    assert matrix(COLUMNS, block(0), np.arange(0), np.empty(0)).shape == (9, 0)


def test_a_matrix_is_the_block_that_it_was_made_of() -> None:
    rows = block(60)
    found = block_of(matrix(COLUMNS, rows, np.arange(60)), COLUMNS, COLUMNS)
    assert found is not None
    assert np.array_equal(found.numeric, rows.numeric, equal_nan=True)
    assert np.array_equal(found.codes[0], np.where(rows.codes[0] < 0, 3, rows.codes[0]))
    assert np.array_equal(found.codes[1], rows.codes[1])


def test_a_model_of_other_columns_finds_its_own_in_the_matrix() -> None:
    """By name and level, whatever their order; a level that it does not know is its (other)."""
    rows = block(60)
    wanted = Columns(("hour",), (LATE, Category("carrier", (None, "AA"), True, "string")))
    found = block_of(matrix(COLUMNS, rows, np.arange(60)), COLUMNS, wanted)
    assert found is not None
    assert np.array_equal(found.numeric[0], rows.numeric[1], equal_nan=True)
    assert np.array_equal(found.codes[0], rows.codes[1])
    theirs = {0: 1, 1: 2, 2: 0, 3: 2, -1: 2}
    assert found.codes[1].tolist() == [theirs[code] for code in rows.codes[0].tolist()]


@pytest.mark.parametrize(
    "wanted",
    [
        Columns(("speed",), ()),
        Columns((), (Category("origin", ("EWR",), False, "string"),)),
        Columns((), (Category("carrier", ("AA", "DL"), True, "string"),)),
        Columns((), (Category("late", ("false", "true"), False, "string"),)),
        Columns(("hour",), (), (DateFeature("at", "hour"),)),
    ],
    ids=["no such number", "no such category", "a level among others", "type", "a part of a date"],
)
def test_a_model_that_needs_what_the_matrix_lacks_has_no_block(wanted: Columns) -> None:
    values = matrix(COLUMNS, block(60), np.arange(60))
    assert block_of(values, COLUMNS, wanted) is None


def test_a_level_that_no_row_has_is_not_missed() -> None:
    rows = block(60)
    rows = Block(60, rows.numeric, (np.abs(rows.codes[0]) % 3, rows.codes[1]))
    wanted = Columns((), (Category("carrier", ("AA", "DL"), True, "string"),))
    found = block_of(matrix(COLUMNS, rows, np.arange(60)), COLUMNS, wanted)
    assert found is not None
    assert set(found.codes[0].tolist()) == {0, 2}


def level(name: str, *levels: str | None, other: bool = False) -> Category:
    return Category(name, levels, other, "string")


@pytest.mark.parametrize(
    ("columns", "indicators", "labels"),
    [
        (Columns((), (level("a", "b=c"), level("a=b", "c"))), (), ("a='b=c'", "a=b='c'")),
        (Columns((), (level("a", "(other)", other=True),)), (), ("a='(other)'", "a=(other)")),
        (Columns((), (level("a", "(null)", None),)), (), ("a='(null)'", "a=(null)")),
        (Columns(("a=b",), (level("a", "b", "c"),)), (), ("a=b", "a='b'", "a=c")),
        (Columns(("x", "x is null"), ()), (0,), ("x", "x is null", "'x' is null")),
        (
            Columns(("a=b", "a='b'", "a='b' (2)"), (level("a", "b"),)),
            (),
            ("a=b", "a='b'", "a='b' (2)", "a='b' (3)"),
        ),
    ],
)
def test_labels_that_would_be_the_same_have_their_levels_in_quotes(
    columns: Columns, indicators: tuple[int, ...], labels: tuple[str, ...]
) -> None:
    assert columns.labels_with(indicators) == labels


texts = st.text("ab='() ", max_size=4) | st.sampled_from(["(other)", "(null)", "x is null"])


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True),
    st.lists(st.lists(texts | st.none(), max_size=4, unique=True), max_size=3),
    st.booleans(),
)
def test_every_coefficient_has_a_label_of_its_own(
    numeric: list[str], levels: list[list[str | None]], other: bool
) -> None:
    names = [name + "=a" for name in numeric] + ["a", "a=b", ""]
    categories = tuple(
        level(name, *own, other=other) for name, own in zip(names, levels, strict=False)
    )
    # No two features have one name.
    numeric = [name for name in numeric if name not in names[: len(levels)]]
    columns = Columns(tuple(numeric), categories)
    labels = columns.labels_with(range(len(numeric)))
    assert len(set(labels)) == len(labels) == columns.n_columns + len(numeric)
    assert len(set(columns.identities)) == columns.n_columns
    for category in categories:
        assert len(set(category.labels)) == category.width
