import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from lasso_jobs.data import times as module
from lasso_jobs.data.times import periods, times


def of(values: list[Any], type_: pa.DataType | None = None) -> np.ndarray:
    found = times(pa.chunked_array([values], type_))
    assert found.dtype == np.float64
    return found


def microseconds(*texts: str) -> list[float]:
    return [float(pd.Timestamp(text).value // 1_000) for text in texts]


WHEN = ["1969-12-31", "2013-10-01", "2013-10-02"]


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ms")])
def test_dates_and_timestamps_are_microseconds_since_1970(type_: pa.DataType) -> None:
    values = [dt.datetime.fromisoformat(text) for text in WHEN]
    if pa.types.is_date(type_):
        values = [value.date() for value in values]
    assert of([*values, None], type_)[:3].tolist() == microseconds(*WHEN)
    assert np.isnan(of([*values, None], type_)[3])


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_fine_timestamps_are_exact_to_the_microsecond(unit: str) -> None:
    texts = ["2013-10-01T05:06:07.123456", "2200-01-01T00:00:00.000001"]
    values = pa.array([dt.datetime.fromisoformat(text) for text in texts], pa.timestamp(unit))
    assert times(pa.chunked_array([values])).tolist() == microseconds(*texts)


def test_a_timestamp_with_a_zone_is_its_instant() -> None:
    values = pd.Series(pd.to_datetime(["2013-10-01T05:00", "2013-11-30T05:00"]))
    table = pa.table({"t": values.dt.tz_localize("America/New_York")})
    assert times(table["t"]).tolist() == microseconds("2013-10-01T09:00", "2013-11-30T10:00")


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_in_iso_form_is_read(type_: pa.DataType) -> None:
    texts = ["2013-10-01", "2013-10-01T05:30", "2013-10-01 05:30:01.5"]
    found = of([texts[1], None, *texts], type_)
    assert np.isnan(found[1])
    assert found[[0, 2, 3, 4]].tolist() == microseconds(texts[1], *texts)


def test_text_with_offsets_is_read_as_instants() -> None:
    found = of(["2013-10-01T05:00Z", "2013-10-01T05:00-04:00"])
    assert found.tolist() == microseconds("2013-10-01T05:00", "2013-10-01T09:00")


def test_times_as_categories_are_those_of_their_values() -> None:
    texts = pa.array(["2013-10-02", None, "2013-10-01", "2013-10-02"]).dictionary_encode()
    assert_array_equal(
        times(pa.chunked_array([texts])), of(["2013-10-02", None, "2013-10-01", "2013-10-02"])
    )


@pytest.mark.parametrize("text", ["2013-10", "October", "20131001", "2013-13-01", ""])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Failed to parse string"):
        of(["2013-10-01", text])


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([3, -1, None], pa.int16()),
        ([2.5, -1.0, None], pa.float32()),
        ([Decimal("2.5"), Decimal("-1"), None], pa.decimal128(5, 1)),
    ],
)
def test_numbers_are_themselves(values: list[Any], type_: pa.DataType) -> None:
    assert_array_equal(of(values, type_), [float(v) if v is not None else np.nan for v in values])


@pytest.mark.parametrize("type_", [pa.string(), pa.int64(), pa.timestamp("us"), pa.null()], ids=str)
def test_no_rows_have_no_times(type_: pa.DataType) -> None:
    assert len(of([], type_)) == 0
    assert len(times(pa.chunked_array([], type_))) == 0


def test_a_column_of_nulls_has_only_nulls() -> None:
    for type_ in (pa.string(), pa.null(), pa.date32()):
        assert np.isnan(of([None, None], type_)).all()


def test_booleans_lists_and_times_of_day_are_no_times() -> None:
    for type_ in (pa.bool_(), pa.list_(pa.int64()), pa.time64("us"), pa.duration("s"), pa.binary()):
        assert not module.is_time(type_), type_


def test_dates_numbers_and_text_are_times() -> None:
    for type_ in (
        pa.date32(),
        pa.timestamp("ns", "UTC"),
        pa.uint8(),
        pa.float64(),
        pa.string(),
        pa.dictionary(pa.int32(), pa.string()),
    ):
        assert module.is_time(type_), type_
        assert module.is_number(type_) == (type_ in (pa.uint8(), pa.float64()))


@pytest.mark.parametrize("text", ["7d", "12h", "30min", "45s", "2w", "1.5h", "0d"])
def test_durations_are_those_of_pandas(text: str) -> None:
    pandas = pd.Timedelta(text.replace("w", "W").replace("d", "D"))
    assert module.duration(text) == pandas.value / 1_000


@pytest.mark.parametrize("text", ["7", "d", "-1d", "7 d", "7m", "7D", "1d2h", "", "1e3s", ".5h"])
def test_other_durations_are_refused(text: str) -> None:
    assert module.duration(text) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2024-01-02", "2024-01-01T23:59", None], [738_887, 738_886, -0.5]),
        ([-1, 7, None], [-1, 7, -0.5]),
    ],
)
def test_periods_are_numbered_in_their_order(values: list[Any], expected: list[float]) -> None:
    assert periods(pa.chunked_array([pa.array(values)])).tolist() == expected


def test_names_are_numbered_apart_from_days_and_integers() -> None:
    names = [f"store {i}" for i in range(1000)]
    found = periods(pa.chunked_array([pa.array(names)]))
    assert len({*found.tolist()}) == 1000
    assert set(found % 1) == {0.5}
