"""Keys of two tables are equal where their values are, and never where a zone is unknown."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.data.columns.keys import as_key, exactly, key_type, may_hold

BERLIN = "Europe/Berlin"
BIG = 2**53
NUMBERS = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(BIG - 3, BIG + 3)),
    pa.uint64(): st.one_of(st.integers(0, 2**64 - 1), st.integers(BIG - 3, BIG + 3)),
    pa.float32(): st.one_of(st.floats(width=32), st.integers(-9, 9).map(float)),
    pa.float64(): st.one_of(
        st.floats(), st.sampled_from([0.0, -0.0, BIG + 2.0, 1e22, 1e38, 1e75, 1e76, 0.1, 1e-7])
    ),
    pa.decimal128(38, 2): st.decimals(-1000, 1000, places=2),
    pa.decimal128(38, 20): st.decimals(0, 1, places=20),
    pa.decimal256(76, 40): st.sampled_from(
        [Decimal("0.1"), Decimal("1e-40"), Decimal("0." + "1" * 39), Decimal("0." + "1" * 40)]
    ),
}


def compared(column: pa.Array, other: pa.DataType) -> list[object]:
    wanted = key_type([column.type, other])
    assert wanted is not None
    return as_key(pa.chunked_array([column]), wanted).cast(pa.string()).to_pylist()


def exact(value: object) -> Fraction | None:
    """A number; that of a double is the one it is written as, unless it is whole."""
    if isinstance(value, float):
        if value != value or abs(value) == float("inf"):
            return None
        return Fraction(value) if value.is_integer() else Fraction(repr(value))
    return Fraction(value)  # type: ignore[arg-type]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[pa.Array, pa.Array]:
    types = [draw(st.sampled_from(list(NUMBERS))) for _ in range(2)]
    values = [draw(st.lists(NUMBERS[type_], min_size=1, max_size=4)) for type_ in types]
    return pa.array(values[0], types[0]), pa.array(values[1], types[1])


@given(pairs())
def test_numbers_are_equal_keys_just_where_their_values_are(two: tuple[pa.Array, pa.Array]) -> None:
    left, right = two
    keys = compared(left, right.type), compared(right, left.type)
    for key, value in zip(keys[0], left.to_pylist(), strict=True):
        for other_key, other in zip(keys[1], right.to_pylist(), strict=True):
            a, b = exact(value), exact(other)
            if a is not None and b is not None:
                assert (key == other_key) == (a == b), (value, other, key, other_key)


def test_nan_is_no_key() -> None:
    assert compared(pa.array([float("nan"), 1.0]), pa.float64()) == [None, "1"]


INSTANT = datetime(2024, 7, 1, 22, tzinfo=UTC)
MIDNIGHT = datetime(2024, 7, 2)
ZONED = {
    "UTC": pa.array([INSTANT], pa.timestamp("us", "UTC")),
    "nanoseconds": pa.array([INSTANT], pa.timestamp("ns", "Etc/UTC")),
    "Berlin": pa.array([INSTANT], pa.timestamp("ms", BERLIN)),
    "offset": pa.array([INSTANT], pa.timestamp("s", "+05:00")),
    "text": pa.array(["2024-07-01T22:00:00Z"]),
    "text of Berlin": pa.array(["2024-07-02T00:00:00+02:00"]),
}
NAIVE = {
    "seconds": pa.array([MIDNIGHT], pa.timestamp("s")),
    "nanoseconds": pa.array([MIDNIGHT], pa.timestamp("ns")),
    "date": pa.array([MIDNIGHT.date()]),
    "date64": pa.array([MIDNIGHT.date()], pa.date64()),
    "text": pa.array(["2024-07-02"]),
    "text with an hour": pa.array(["2024-07-02 00:00:00"]),
    "compact": pa.array(["20240702"]),
}


def is_text(column: pa.Array) -> bool:
    return pa.types.is_string(column.type)


@pytest.mark.parametrize("of", [ZONED, NAIVE], ids=["zoned", "naive"])
def test_times_are_equal_keys_whatever_their_unit_and_zone(of: dict[str, pa.Array]) -> None:
    for left in of.values():
        for right in of.values():
            if not (is_text(left) and is_text(right)):
                assert compared(left, right.type) == compared(right, left.type)


@pytest.mark.parametrize("zoned", ZONED)
@pytest.mark.parametrize("naive", NAIVE)
def test_times_with_a_zone_are_never_compared_with_times_that_have_none(
    zoned: str, naive: str
) -> None:
    left, right = ZONED[zoned], NAIVE[naive]
    if is_text(left) and is_text(right):
        return  # as they are
    wanted = key_type([left.type, right.type])
    if wanted is None:
        return
    if is_text(left) or naive == "text with an hour":  # only its values tell
        with pytest.raises(pa.ArrowInvalid, match="zone offset"):
            [as_key(pa.chunked_array([column]), wanted) for column in (left, right)]
    else:  # a day begins in the zone of the times
        assert "date" in naive or is_text(right)
        zone = ZoneInfo(BERLIN) if zoned == "Berlin" else UTC
        if zoned != "offset":
            day = as_key(pa.chunked_array([right]), wanted).to_pylist()[0]
            assert day == datetime(2024, 7, 2, tzinfo=zone)


def test_a_day_without_a_midnight_is_that_of_its_first_instant() -> None:
    type_ = pa.timestamp("us", "America/Sao_Paulo")  # its clocks went from 0:00 to 1:00
    key = as_key(pa.chunked_array([pa.array([date(2018, 11, 4)])]), type_)
    assert key.to_pylist()[0].astimezone(UTC) == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_times_that_a_coarser_unit_cannot_hold_are_refused_and_finer_ones_kept() -> None:
    fine = pa.array([1, 2], pa.timestamp("ns"))
    assert len(set(compared(fine, fine.type))) == 2
    with pytest.raises(pa.ArrowInvalid, match="would lose data"):
        compared(fine, pa.timestamp("us"))
    far = pa.array([datetime(9999, 12, 31)], pa.timestamp("us"))
    assert compared(far, pa.timestamp("ns")) == ["9999-12-31 00:00:00.000000"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (pa.timestamp("ns", BERLIN), pa.timestamp("ms")),
        (pa.date32(), pa.int64()),
        (pa.bool_(), pa.string()),
        (pa.list_(pa.int8()), pa.list_(pa.int8())),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int8())])),
        (pa.duration("s"), pa.int64()),
    ],
)
def test_types_that_cannot_be_compared_have_no_common_one(
    left: pa.DataType, right: pa.DataType
) -> None:
    assert key_type([left, right]) is None
    assert key_type([right, left]) is None


def test_zones_that_differ_have_no_common_day() -> None:
    zones = [pa.timestamp("us", "UTC"), pa.timestamp("us", BERLIN)]
    assert key_type(zones) == pa.timestamp("us", "UTC")
    assert key_type([*zones, pa.date32()]) is None


def test_an_hour_is_an_hour_where_the_clock_changes() -> None:
    hours = [datetime(2024, 10, 27, 0, tzinfo=UTC) + timedelta(hours=i) for i in range(3)]
    berlin = pa.array(hours, pa.timestamp("us", BERLIN))
    utc = pa.array(hours, pa.timestamp("us", "UTC"))
    keys = compared(berlin, utc.type)
    assert keys == compared(utc, berlin.type)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("value", "own", "there"),
    [
        (0.5, pa.float64(), pa.int64()),
        (300, pa.int64(), pa.int8()),
        (2**53 + 1, pa.int64(), pa.float64()),
        (Decimal(10**30 + 1), pa.decimal128(38, 0), pa.float64()),
        (1e300, pa.float64(), pa.float32()),
        (0.1 + 0.2, pa.float64(), pa.decimal128(12, 2)),
        (10**11, pa.int64(), pa.decimal128(12, 2)),
        (datetime(2024, 1, 1, 12), pa.timestamp("us"), pa.date32()),
    ],
    ids=str,
)
def test_a_value_without_a_form_in_another_type_is_an_error(
    value: object, own: pa.DataType, there: pa.DataType
) -> None:
    assert may_hold(there, own)
    column = pa.chunked_array([[None, value]], own)
    with pytest.raises(pa.ArrowInvalid):
        exactly(column, there)


@pytest.mark.parametrize(
    ("value", "own", "there"),
    [
        (3.0, pa.float64(), pa.int8()),
        (3, pa.int64(), pa.decimal128(12, 2)),
        (Decimal("10.22"), pa.decimal128(38, 10), pa.float64()),
        (10.22, pa.float64(), pa.decimal128(12, 2)),
        (float("nan"), pa.float32(), pa.float64()),
        (datetime(2024, 1, 1), pa.timestamp("ns"), pa.date32()),
        (date(2024, 1, 1), pa.date32(), pa.timestamp("us")),
    ],
    ids=str,
)
def test_a_value_that_another_type_can_hold_is_written_in_it(
    value: object, own: pa.DataType, there: pa.DataType
) -> None:
    assert may_hold(there, own)
    column = pa.chunked_array([[None, value]], own)
    written = exactly(column, there)
    assert written.type == there
    assert written.cast(own).equals(column) or value != value
    assert exactly(column.dictionary_encode(), there).equals(written) or value != value


@pytest.mark.parametrize(
    ("own", "there"),
    [
        (pa.string(), pa.int64()),
        (pa.bool_(), pa.int64()),
        (pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (pa.date32(), pa.timestamp("us", "UTC")),
        (pa.binary(), pa.binary()),
    ],
    ids=str,
)
def test_columns_of_two_kinds_are_not_tried(own: pa.DataType, there: pa.DataType) -> None:
    assert not may_hold(there, own)
