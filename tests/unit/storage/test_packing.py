"""Whatever is packed comes back bit for bit; whatever was not packed is refused."""

import json
import pickle
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lasso_jobs.storage.packing import (
    PackingError,
    archive,
    arrays_in,
    as_lists,
    from_lists,
    pack,
    unpack,
)

Typed = tuple[Any, st.SearchStrategy[Any]]
"""A type, and its values."""

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LEAVES: list[Typed] = [
    (str, TEXTS),
    (int, st.integers()),
    (float, st.floats(allow_subnormal=True)),
    (int | float, st.integers() | st.floats(allow_subnormal=True)),
    (bool, st.booleans()),
    (Literal["a", "b", 1], st.sampled_from(["a", "b", 1])),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (NDArray[np.float64], hnp.arrays(np.float64, SHAPES)),
    (NDArray[np.int64], hnp.arrays(np.int64, SHAPES)),
    (NDArray[np.bool_], hnp.arrays(np.bool_, SHAPES)),
    (Any, st.recursive(st.none() | st.integers() | TEXTS, lambda x: st.lists(x, max_size=2))),
]
KEYS: list[Typed] = [
    (str, TEXTS),
    (int, st.integers()),
    (tuple[str, int], st.tuples(TEXTS, st.integers())),
]


def branches(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    def optional(typed: Typed) -> Typed:
        return (typed[0] if typed[0] is Any else typed[0] | None), st.none() | typed[1]

    def fixed(parts: list[Typed]) -> Typed:
        return tuple[tuple(t for t, _ in parts)], st.tuples(*(s for _, s in parts))  # type: ignore[misc]

    def any_length(typed: Typed) -> Typed:
        return tuple[typed[0], ...], st.lists(typed[1], max_size=3).map(tuple)  # type: ignore[name-defined]

    def mapping(key: Typed, value: Typed) -> Typed:
        return Mapping[key[0], value[0]], st.dictionaries(key[1], value[1], max_size=3)  # type: ignore[name-defined]

    def nested(parts: list[Typed]) -> Typed:
        names = [f"f{i}" for i in range(len(parts))]
        cls = make_dataclass("Nested", zip(names, (t for t, _ in parts), strict=True), frozen=True)
        return cls, st.builds(cls, **dict(zip(names, (s for _, s in parts), strict=True)))

    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(optional),
        several.map(fixed),
        inner.map(any_length),
        st.builds(mapping, st.sampled_from(KEYS), inner),
        several.map(nested),
    )


TYPES = st.recursive(st.sampled_from(LEAVES), branches, max_leaves=8)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a value with its path, types and bits."""
    yield f"{path} type", type(value)
    if is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, Mapping):
        for i, pair in enumerate(value.items()):
            yield from leaves(pair, f"{path}[{i}]")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    elif isinstance(value, np.ndarray):
        yield path, (value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, float):
        yield path, "nan" if value != value else struct.pack("d", value)
    else:
        yield path, value


@given(TYPES.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1])))
@settings(max_examples=300, deadline=None)
def test_what_is_packed_comes_back_bit_for_bit(typed: tuple[Any, Any]) -> None:
    kind, value = typed
    content, arrays = pack(value, kind)
    text = json.dumps(content, allow_nan=False)
    copy = unpack(kind, json.loads(text), arrays_in(archive(arrays)))
    assert list(leaves(copy)) == list(leaves(value))


@given(hnp.arrays(st.sampled_from(["<f8", "<i8", "|b1", "<f4"]), SHAPES))
@settings(deadline=None)
def test_arrays_come_back_from_lists(array: NDArray[Any]) -> None:
    text = json.dumps(as_lists({"a": array}), allow_nan=False)
    (copy,) = from_lists(json.loads(text)).values()
    assert (copy.dtype, copy.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(copy, array)
    if array.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(copy), np.signbit(array) & ~np.isnan(array))


def test_bits_of_a_nan_and_the_sign_of_a_zero_are_kept_in_an_archive() -> None:
    odd = np.array([0x7FF8000000000123, 0xFFF8000000000000, 0x8000000000000000], np.uint64)
    copy = arrays_in(archive({"odd": odd.view(np.float64)}))["odd"]
    np.testing.assert_array_equal(copy.view(np.uint64), odd)


@dataclass(frozen=True)
class Inner:
    values: NDArray[np.float64]
    rank: int | None


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    kind: Literal["a", "b"]
    pair: tuple[int, str]
    parts: Mapping[str, Inner]
    more: NDArray[np.float64] | None = None


OUTER = Outer("x", 0.5, "a", (1, "b"), {"a.b/c": Inner(np.zeros(2), None)})


def test_arrays_have_dotted_names_that_are_in_the_json() -> None:
    content, arrays = pack(OUTER)
    assert list(arrays) == ["parts.a%2Eb%2Fc.values"]
    assert content["parts"]["a.b/c"] == {"values": "parts.a%2Eb%2Fc.values", "rank": None}
    assert content["more"] is None


def test_keys_may_be_in_another_order() -> None:
    parts = {"b": Inner(np.array([1.0]), 1), "a": Inner(np.array([2.0]), 1)}
    two = Outer("x", 1.0, "a", (1, "b"), parts)
    content, arrays = pack(two)
    copy = unpack(Outer, json.loads(json.dumps(content, sort_keys=True)), arrays)
    assert [(k, copy.parts[k].values.tolist()) for k in "ab"] == [("a", [2.0]), ("b", [1.0])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more_keys": 1}, "lacks or adds more_keys"),
        ({"name": 1}, "name: not str"),
        ({"name": None}, "name: not str"),
        ({"share": 1}, "share: not float"),
        ({"share": True}, "share: not float"),
        ({"share": "many"}, "share: not float"),
        ({"kind": "c"}, "kind: not "),
        ({"pair": [1]}, "pair: not a tuple of 2"),
        ({"pair": [True, "b"]}, "pair.0: not int"),
        ({"pair": {"0": 1}}, "pair: not a list"),
        ({"parts": []}, "parts: not an object"),
        ({"parts": {"a": 1}}, "parts.a: not Inner"),
        ({"parts": {}}, "arrays that nothing names: parts"),
        ({"parts": {"a": {"values": "parts.a.values", "rank": 1}}}, "parts.a.values: not an array"),
        ({"more": "parts.a%2Eb%2Fc.values"}, "more: not an array"),
    ],
)
def test_what_was_not_packed_is_refused(change: dict[str, Any], message: str) -> None:
    content, arrays = pack(OUTER)
    with pytest.raises(PackingError, match=message.replace(".", r"\.")):
        unpack(Outer, {**content, **change}, arrays)


@dataclass(frozen=True)
class Earlier:
    name: str


@dataclass(frozen=True)
class Later:
    name: str
    more: tuple[int, ...] = ()
    map: dict[str, int] = field(default_factory=dict)


def test_what_was_packed_before_a_field_with_a_default_was_there_has_the_default() -> None:
    assert unpack(Later, *pack(Earlier("a"))) == Later("a")
    content, arrays = pack(Later("a", (1,), {"b": 2}))
    assert unpack(Later, content, arrays) == Later("a", (1,), {"b": 2})
    with pytest.raises(PackingError, match="lacks or adds name"):
        unpack(Later, {"more": []}, {})


def test_a_missing_key_and_arrays_of_another_type_are_refused() -> None:
    content, arrays = pack(OUTER)
    with pytest.raises(PackingError, match="lacks or adds share"):
        unpack(Outer, {k: v for k, v in content.items() if k != "share"}, arrays)
    with pytest.raises(PackingError, match="not of"):
        unpack(Outer, content, {name: array.astype(np.float32) for name, array in arrays.items()})
    with pytest.raises(PackingError, match="the whole: not Outer"):
        unpack(Outer, [content], arrays)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 1.0), (int, True), (int, np.int64(1)), (float, "1"), (str, b"a"), (bool, 1),
        (NDArray[Any], np.array([print])), (tuple[int, ...], [1]), (Mapping[str, int], {1: 1}),
        (Inner, OUTER),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_not_packed(kind: Any, value: Any) -> None:
    with pytest.raises(PackingError):
        pack(value, kind)


def test_a_type_that_cannot_be_packed_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError, match="none of the types"):
        pack(b"", bytes)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (pytest.fail, ("was run",))


def test_a_pickle_is_refused_and_not_run() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        archive({"a": np.array([Bomb()], object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        arrays_in(pickle.dumps(Bomb()))


@pytest.mark.parametrize("value", [273, 273.0, -(2**60), 0.5, float("inf"), None])
def test_a_number_that_may_be_either_keeps_its_type(value: float | None) -> None:
    packed, arrays = pack(value, int | float | None)
    found = unpack(int | float | None, json.loads(json.dumps(packed)), arrays)
    assert found == value
    assert type(found) is type(value)
