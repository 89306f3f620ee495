import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from lasso_jobs.core.rows.vectors import Vector
from lasso_jobs.data.vectors.arrays import rows_with_nulls
from lasso_jobs.data.vectors.values import (
    AT_ONCE,
    ElementsInTurn,
    VectorValues,
    check_vectors,
)
from lasso_jobs.errors import DataError

LENGTH = 5
SPARK = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
PLAIN = pa.struct([("indices", pa.list_(pa.int64())), ("values", pa.large_list(pa.float32()))])
MAP = pa.map_(pa.int32(), pa.float64())
NUMBERS = [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.int64(), pa.decimal128(9, 2)]
LISTS = [
    *(pa.list_(number, LENGTH) for number in NUMBERS),
    *(pa.list_(number) for number in NUMBERS),
    pa.large_list(pa.float32()),
]
Row = list[float | None] | None
ROWS: list[Row] = [
    [1.0, 2.0, 3.0, 4.0, 5.0],
    None,
    [0.0, None, 0.0, -3.0, 0.0],
    [0.0] * LENGTH,
    [7.0, 0.0, 0.0, 0.0, 9.0],
]
rows_of_vectors = st.lists(
    st.none()
    | st.lists(
        st.none() | st.sampled_from([0.0, 0.0, 1.5, -2.0, 2.0**100, float("inf"), float("nan")]),
        min_size=LENGTH,
        max_size=LENGTH,
    ),
    max_size=20,
)


def as_written(rows: list[Row], type_: pa.DataType) -> pa.Array:
    """Rows as an array; of sparse types only what is not zero, and in Spark every third dense."""
    if pa.types.is_map(type_) or pa.types.is_struct(type_):
        return pa.array([sparse(row, type_, i) for i, row in enumerate(rows)], type_)
    if pa.types.is_decimal(type_.value_type) or pa.types.is_integer(type_.value_type):
        list_type = pa.list_(pa.float64(), LENGTH)
        flexible = pa.list_(type_.value_type, LENGTH)
        return pa.array(rows, list_type).cast(flexible).cast(type_)
    return pa.array(rows, pa.list_(pa.float64(), LENGTH)).cast(type_)


def sparse(row: Row, type_: pa.DataType, number: int) -> object:
    if row is None:
        return None
    entries = [(i, value) for i, value in enumerate(row) if value != 0]
    if pa.types.is_map(type_):
        return entries[::-1]
    if type_ == SPARK and number % 3 == 2:
        return {"type": 1, "size": None, "indices": None, "values": row}
    parts = {"indices": [i for i, _ in entries], "values": [value for _, value in entries]}
    return {**parts, "type": 0, "size": LENGTH} if type_ == SPARK else parts


def dense(column: pa.ChunkedArray, *wanted: int, length: int = LENGTH) -> np.ndarray:
    return VectorValues(column, Vector("v", length)).dense(np.array(wanted, np.intp))


def by_hand(rows: list[Row], *wanted: int) -> np.ndarray:
    nothing = [None] * LENGTH
    table = np.array([row or nothing for row in rows], float).reshape(len(rows), LENGTH)
    return table[:, list(wanted)].T


@pytest.mark.parametrize("type_", [*LISTS, SPARK, PLAIN, MAP], ids=str)
def test_every_type_of_vectors_has_its_elements_also_sliced_and_chunked(
    type_: pa.DataType,
) -> None:
    array, every = as_written(ROWS, type_), range(LENGTH)
    expected = by_hand(ROWS, *every)
    assert_array_equal(dense(pa.chunked_array([array]), *every), expected)
    assert_array_equal(dense(pa.chunked_array([array.slice(1, 3)]), *every), expected[:, 1:4])
    chunked = pa.chunked_array([array.slice(2), array.slice(0, 0), array.slice(1, 2)])
    assert_array_equal(dense(chunked, 4, 1), by_hand(ROWS[2:] + ROWS[1:3], 4, 1))
    assert not VectorValues(chunked, Vector("v", LENGTH)).unfit.any()


@pytest.mark.parametrize("type_", [*LISTS, SPARK, PLAIN, MAP, pa.null()], ids=str)
def test_no_rows_and_rows_without_vectors(type_: pa.DataType) -> None:
    assert dense(pa.chunked_array([], type_), 0, 3).shape == (2, 0)
    nothing = pa.chunked_array([pa.nulls(3, type_)])
    assert np.isnan(dense(nothing, 0, 3)).all()
    assert dense(nothing, 0, 3).shape == (2, 3)
    assert rows_with_nulls(nothing.chunk(0)).tolist() == [True] * 3


@pytest.mark.parametrize("type_", [pa.list_(pa.float64(), LENGTH), SPARK, PLAIN, MAP], ids=str)
@settings(deadline=None)
@given(rows=rows_of_vectors, data=st.data())
def test_elements_survive_the_round_trip(
    type_: pa.DataType, rows: list[Row], data: st.DataObject
) -> None:
    wanted = data.draw(st.permutations(range(LENGTH)))[: data.draw(st.integers(1, LENGTH))]
    cut = data.draw(st.integers(0, len(rows)))
    array = as_written(rows, type_)
    column = pa.chunked_array([array[:cut], array[cut:]], type_)
    assert_array_equal(dense(column, *wanted), by_hand(rows, *wanted))
    lacking = np.isnan(by_hand(rows, *range(LENGTH))).any(axis=0)
    found = [rows_with_nulls(chunk) for chunk in column.chunks]
    assert np.concatenate([lacking[:0], *found]).tolist() == lacking.tolist()


@pytest.mark.parametrize("type_", [SPARK, PLAIN, MAP], ids=str)
def test_entries_of_sparse_vectors_are_compressed_rows(type_: pa.DataType) -> None:
    from scipy.sparse import csr_matrix

    chunks = [as_written(ROWS[:2], type_), as_written(ROWS[2:], type_)]
    entries = VectorValues(pa.chunked_array(chunks), Vector("v", LENGTH)).entries()
    assert entries.nulls.tolist() == [False, True, False, False, False]
    found = csr_matrix((entries.values, entries.indices, entries.starts), (len(ROWS), LENGTH))
    expected = by_hand(ROWS, *range(LENGTH)).T
    assert_array_equal(found.toarray(), np.where(entries.nulls[:, None], 0.0, expected))


def test_lists_have_no_entries() -> None:
    values = VectorValues(pa.chunked_array([as_written(ROWS, LISTS[0])]), Vector("v", LENGTH))
    with pytest.raises(TypeError, match="no entries"):
        values.entries()


@pytest.mark.parametrize("type_", [pa.list_(pa.float32(), 150), MAP], ids=str)
def test_elements_in_turn_are_those_asked_for_in_any_order(type_: pa.DataType) -> None:
    rows = np.random.default_rng(0).integers(0, 3, (40, 150)).astype(float)
    array = pa.array([sparse(row.tolist(), MAP, 0) for row in rows], MAP)
    if type_ != MAP:
        array = pa.array(rows.tolist(), type_)
    indices = np.arange(149, -1, -1)
    in_turn = ElementsInTurn(VectorValues(pa.chunked_array([array]), Vector("v", 150)), indices)
    assert len(in_turn) == 150
    for k in (0, 1, AT_ONCE - 1, AT_ONCE, 149, 3):
        assert_array_equal(in_turn[k], rows[:, 149 - k])


UNFIT = {
    "short": (pa.list_(pa.float32()), [1.0, 2.0], "has a vector of length 2"),
    "empty": (pa.list_(pa.float32()), [], "has a vector of length 0"),
    "index": (MAP, [(LENGTH, 1.0)], "has the index 5"),
    "negative": (PLAIN, {"indices": [-1], "values": [1.0]}, "has the index -1"),
    "null index": (PLAIN, {"indices": [None], "values": [1.0]}, "has the index None"),
    "twice": (PLAIN, {"indices": [2, 1, 2], "values": [1.0] * 3}, "has the index 2 twice"),
    "entries": (PLAIN, {"indices": [1, 2], "values": [1.0]}, "has 2 indices and 1 values"),
    "no values": (PLAIN, {"indices": [1], "values": None}, "has 1 indices and 0 values"),
    "size": (
        SPARK,
        {"type": 0, "size": 6, "indices": [1], "values": [1.0]},
        "has a vector of length 6",
    ),
    "dense": (
        SPARK,
        {"type": 1, "size": None, "indices": None, "values": [1.0] * 4},
        "has a vector of length 4",
    ),
}


@pytest.mark.parametrize(("type_", "row", "message"), UNFIT.values(), ids=UNFIT)
def test_a_row_that_is_no_such_vector_is_all_null_and_named(
    type_: pa.DataType, row: object, message: str
) -> None:
    good = ROWS[0] if pa.types.is_list(type_) else sparse(ROWS[0], type_, 0)
    column = pa.chunked_array([pa.array([good], type_), pa.array([None, row, good], type_)])
    vector = Vector("v", LENGTH)
    values = VectorValues(column, vector)
    assert values.unfit.tolist() == [False, False, True, False]
    found = values.dense(np.arange(LENGTH))
    assert np.isnan(found).all(axis=0).tolist() == [False, True, True, False]
    assert_array_equal(found[:, [0, 3]], by_hand([ROWS[0], ROWS[0]], *range(LENGTH)))
    with pytest.raises(DataError, match=f"f.parquet, column 'v', row 1,002: {message}"):
        check_vectors("f.parquet", column, values, vector=vector, positions=range(1000, 1004))
