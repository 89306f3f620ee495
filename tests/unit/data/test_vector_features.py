from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lasso_jobs.core.rows.vectors import Vector
from lasso_jobs.data.columns.selection import SelectedFeatures, select_features
from lasso_jobs.data.discover import discover
from lasso_jobs.data.schema import check_files
from lasso_jobs.data.vectors.features import VectorOptions, check_lengths
from lasso_jobs.errors import DataError

Write = Callable[..., Path]
FIXED = pa.list_(pa.float32(), 3)
SPARK = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
PLAIN = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))])
MAP = pa.map_(pa.int64(), pa.float32())


def spark(size: int | None, *indices: int) -> dict[str, Any]:
    return {"type": 0, "size": size, "indices": indices, "values": [1.0] * len(indices)}


def select(path: Path, include: tuple[str, ...] = ("*",), **options: Any) -> SelectedFeatures:
    of_vectors = VectorOptions(sizes=options.pop("sizes", {}))
    return select_features(
        discover(str(path)),
        include=include,
        reserved={"y": "target"},
        options=of_vectors,
        **options,
    )


@pytest.fixture
def data(write: Write) -> Path:
    """Vectors, beside a number whose name a pattern of a class of characters would match."""
    table = {"y": [1.0, 2.0], "v2": [5, 6], "v": pa.array([[1, 2, 3], [4, 5, 6]], FIXED)}
    return write("a.parquet", table).parent


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*",), (), ("v2", "v[0]", "v[1]", "v[2]")),
        (("v",), (), ("v[0]", "v[1]", "v[2]")),
        (("v[2]", "v[0]"), (), ("v[0]", "v[2]")),
        (("*",), ("v[1]",), ("v2", "v[0]", "v[2]")),
        (("*",), ("v",), ("v2",)),
        (("*",), ("v[0]", "v[1]", "v[2]"), ("v2",)),
        (("v*",), ("v2", "v[0]"), ("v[1]", "v[2]")),
        (("v", "v[1]"), (), ("v[0]", "v[1]", "v[2]")),
    ],
)
def test_a_column_means_all_its_elements_and_an_index_one(
    data: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    found = select(data, include, exclude=exclude)
    assert found.numeric == expected
    assert found.vectors == ((Vector("v", 3),) if "v[" in str(expected) else ())
    assert found.stored == tuple(dict.fromkeys(name.split("[")[0] for name in expected))


def test_an_element_beyond_the_vector_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match=r"no element v\[3\]; expected elements up to v\[2\]"):
        select(data, ("v[3]",))


def test_a_column_of_an_elements_name_is_refused_beside_the_vector(write: Write) -> None:
    table = {"y": [1.0], "v": pa.array([[1, 2, 3]], FIXED), "v[1]": [7.0]}
    folder = write("a.parquet", table).parent
    with pytest.raises(DataError, match=r"column 'v\[1\]': has the name of an element"):
        select(folder)
    assert select(folder, exclude=["v"]).numeric == ("v[1]",)
    assert select(folder, ("v[1]",)).vectors == ()


LENGTHS = {
    "fixed": ([[1.0, 2.0, 3.0], None], FIXED, 3),
    "lists": ([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64()), 2),
    "lists with nulls": ([None, [None, 4.0, 5.0], None], pa.large_list(pa.float64()), 3),
    "sizes": ([spark(40, 1, 7), None], SPARK, 40),
    "dense": ([None, {"type": 1, "values": [1.0] * 4}], SPARK, 4),
    "largest index": ([{"indices": [9, 2], "values": [1.0, 1.0]}, None], PLAIN, 10),
    "largest key": ([[(3, 1.0)], [(11, 2.0)], []], MAP, 12),
}


@pytest.mark.parametrize(("rows", "type_", "length"), LENGTHS.values(), ids=LENGTHS)
def test_the_length_is_what_types_footers_or_the_first_vector_tell(
    write: Write, rows: list[Any], type_: pa.DataType, length: int
) -> None:
    column = pa.array(rows, type_)
    write("a.parquet", {"y": np.ones(0), "v": column[:0]})
    write("b.parquet", {"y": np.ones(len(rows)), "v": pa.nulls(len(rows))})
    folder = write("c.parquet", {"y": np.ones(len(rows)), "v": column}).parent
    assert select(folder, ("v",)).vectors == (Vector("v", length),)


def test_the_largest_index_is_that_of_all_files_and_row_groups(write: Write) -> None:
    for name, indices in {"a": [5, 20, 1], "b": [3, 4, 19]}.items():
        column = pa.array([[(index, 1.0)] for index in indices], MAP)
        path = write(f"{name}.parquet", {"y": np.ones(3), "v": column}, row_group_size=1)
    assert select(path.parent, ("v",)).vectors == (Vector("v", 21),)


def test_a_job_states_a_length_that_nothing_else_tells(write: Write) -> None:
    column = pa.array([[(3, 1.0)]], MAP)
    folder = write("a.parquet", {"y": [1.0], "v": column}, write_statistics=False).parent
    with pytest.raises(DataError, match=r"length nothing tells.*features.sizes, such as {v: 1000}"):
        select(folder, ("v",))
    assert select(folder, ("v",), sizes={"v": 50}).vectors == (Vector("v", 50),)
    folder = write("a.parquet", {"y": [1.0], "v": column}).parent
    assert select(folder, ("v",), sizes={"v": 4}).vectors == (Vector("v", 4),)
    with pytest.raises(DataError, match=r"length 4 and more; expected .* 3, as in features.size"):
        select(folder, ("v",), sizes={"v": 3})


SEVERAL = {
    "fixed": (pa.array([[1, 2, 3]], FIXED), pa.array([[1, 2]], pa.list_(pa.float32(), 2))),
    "lists": (pa.array([[1.0, 2.0, 3.0]]), pa.array([[1.0, 2.0]])),
    "fixed and lists": (pa.array([[1, 2, 3]], FIXED), pa.array([[1.0, 2.0]])),
    "spark": (pa.array([spark(3, 1)], SPARK), pa.array([spark(2, 1)], SPARK)),
    "one file": (pa.array([[1.0, 2.0], [1.0]]), pa.array([[1.0, 2.0]])),
}


@pytest.mark.parametrize(("first", "second"), SEVERAL.values(), ids=SEVERAL)
def test_several_lengths_are_refused_where_named_and_left_out_by_a_star(
    write: Write, first: pa.Array, second: pa.Array
) -> None:
    write("a.parquet", {"y": np.ones(len(first)), "x": np.ones(len(first)), "v": first})
    path = write("b.parquet", {"y": [1.0], "x": [1.0], "v": second})
    with pytest.raises(DataError, match=r"[ab].parquet, column 'v': has (vectors|type)") as caught:
        dataset = discover(str(path.parent))
        select(path.parent, ("v",))
        check_files(dataset, ["v"])
    assert "\n" not in str(caught.value)
    if not pa.types.is_fixed_size_list(second.type):
        found = select(path.parent)
        assert found.numeric == ("x",)
        assert [name for name, _ in found.left_out] == ["v"]


def test_lengths_are_held_against_those_of_training(write: Write) -> None:
    write("a.parquet", {"v": pa.array([[1.0, 2.0]])})
    dataset = discover(str(write("b.parquet", {"v": pa.array([[1.0, 2.0, 3.0]])}).parent))
    with pytest.raises(DataError, match=r"b.parquet.*length 3; expected .* 2, as in training"):
        check_lengths(dataset, {"v": 2})
    sparse = discover(str(write("only/c.parquet", {"v": pa.array([[(9, 1.0)]], MAP)})))
    check_lengths(sparse, {"v": 2})  # An index that is too large is found in its row.
