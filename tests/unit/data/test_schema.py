from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lasso_jobs.core.rows.columns import Columns, DateFeature
from lasso_jobs.data.columns.date_features import date_features
from lasso_jobs.data.columns.feature_kinds import check_types
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.columns.selection import SelectedFeatures, select_features
from lasso_jobs.data.discover import discover
from lasso_jobs.data.schema import check_files, require
from lasso_jobs.errors import DataError

from ...counted_schema import CountedSchema, counted

Write = Callable[..., Path]


def select(
    path: Path,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    categorical: list[str] | None = None,
    reserved: dict[str, str] | None = None,
) -> SelectedFeatures:
    wanted = ["*"] if include is None else include
    dataset = discover(str(path))
    return select_features(
        dataset,
        include=wanted,
        exclude=exclude or [],
        categorical=categorical or [],
        reserved=reserved or {},
    )


@pytest.fixture
def mixed(write: Write) -> Path:
    return write(
        "k=v/a.parquet",
        {
            "i": pa.array([1, 2], pa.int8()),
            "f": pa.array([1, 2], pa.float32()),
            "dec": [Decimal("1.5"), Decimal("2.5")],
            "s": ["a", "b"],
            "large": pa.array(["a", "b"], pa.large_string()),
            "view": pa.array(["a", "b"], pa.string_view()),
            "dict": pa.array(["a", "b"]).dictionary_encode(),
            "b": [True, False],
            "n": pa.nulls(2),
            "list": [["a"], ["b"]],
            "struct": [{"x": 1}, {"x": 2}],
            "time": pa.array([1, 2], pa.timestamp("us")),
            "bytes": [b"a", b"b"],
        },
    ).parents[1]


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        *[(t, "integer") for t in (pa.int8(), pa.int64(), pa.uint8(), pa.uint64())],
        *[(t, "number") for t in (pa.float16(), pa.float32(), pa.float64())],
        *[(t, "number") for t in (pa.decimal128(5, 2), pa.decimal256(50, 2), pa.decimal32(5, 2))],
        *[(t, "string") for t in (pa.string(), pa.large_string(), pa.string_view())],
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.dictionary(pa.int32(), pa.int64()), "integer"),
        (pa.bool_(), "boolean"),
        (pa.null(), "null"),
        *[(t, "date") for t in (pa.date32(), pa.date64())],
        *[(t, "timestamp") for t in (pa.timestamp("ns"), pa.timestamp("s", "Asia/Tokyo"))],
        *[(t, "other") for t in (pa.binary(), pa.time32("s"))],
        (pa.struct([("x", pa.int64())]), "other"),
        *[(t, "texts") for t in (pa.list_(pa.string()), pa.large_list(pa.large_string()))],
        (pa.duration("s"), "other"),
    ],
    ids=str,
)
def test_each_type_is_of_a_kind(type_: pa.DataType, kind: str) -> None:
    assert kind_of(type_) == kind


def test_a_star_takes_every_column_that_can_be_a_feature(mixed: Path) -> None:
    found = select(mixed)
    assert found.numeric == ("i", "f", "dec", "n")
    assert found.categorical == (
        ("s", "string"),
        ("large", "string"),
        ("view", "string"),
        ("dict", "string"),
        ("b", "boolean"),
    )


def test_a_star_leaves_out_nested_and_time_columns_and_says_so(mixed: Path) -> None:
    left_out = dict(select(mixed).left_out)
    assert set(left_out) == {"list", "struct", "time", "bytes"}
    assert left_out["time"] == "timestamp[us]"


@pytest.mark.parametrize("name", ["list", "struct", "time", "bytes"])
def test_a_column_that_cannot_be_a_feature_is_refused_when_named(mixed: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        select(mixed, include=["*", name])
    assert f"column '{name}': has type" in one_line(caught)


def test_a_folder_value_is_a_feature_only_when_named(mixed: Path) -> None:
    assert "k" not in dict(select(mixed).categorical)
    assert select(mixed, include=["k"]) == SelectedFeatures(
        numeric=(), categorical=(("k", "string"),), left_out=()
    )


def test_integers_become_categories_when_named(mixed: Path) -> None:
    found = select(mixed, include=["f"], categorical=["i"])
    assert (found.numeric, found.categorical) == (("f",), (("i", "integer"),))


def test_a_column_with_another_role_that_is_named_is_told_to_be_left_out(mixed: Path) -> None:
    dataset, reserved = discover(str(mixed)), {"i": "search.split.group", "f": "target"}
    found = select_features(dataset, include=["*", "f"], categorical=["i"], reserved=reserved)
    told = dict(found.left_out)
    assert (told["i"], told["f"]) == ("it is search.split.group", "it is target")
    assert not {"i", "f"} & {*found.numeric, *dict(found.categorical)}
    assert "f" not in dict(select_features(dataset, include=["*"], reserved=reserved).left_out)


@pytest.mark.parametrize("name", ["f", "dec"])
def test_numbers_of_any_type_become_categories_when_named(mixed: Path, name: str) -> None:
    assert select(mixed, include=["i"], categorical=[name]).categorical == ((name, "integer"),)


@pytest.mark.parametrize("name", ["n", "time"])
def test_only_integers_text_and_booleans_can_be_categories(mixed: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        select(mixed, categorical=[name])
    assert f"'{name}': has type" in one_line(caught)
    assert "expected integers, text or booleans" in one_line(caught)


def test_patterns_include_and_exclude(write: Write) -> None:
    path = write("a.parquet", {name: [1.0] for name in ("lag_1", "lag_2", "lag_10", "x", "LAG_3")})
    assert select(path, include=["lag_*"]).numeric == ("lag_1", "lag_2", "lag_10")
    assert select(path, include=["lag_?"]).numeric == ("lag_1", "lag_2")
    assert select(path, include=["lag_[12]"]).numeric == ("lag_1", "lag_2")
    assert select(path, exclude=["lag_*", "x"]).numeric == ("LAG_3",)


def test_exclude_wins_over_include_and_categorical(mixed: Path) -> None:
    found = select(mixed, include=["i", "f", "s"], exclude=["i", "s"])
    assert (found.numeric, found.categorical) == (("f",), ())


def test_target_and_weight_are_no_features(mixed: Path) -> None:
    found = select(mixed, reserved={"f": "target", "i": "weight"})
    assert found.numeric == ("dec", "n")


ODD_NAMES = ["two words", "a.b", "quo'te\"s", "<script>alert(1)</script>", "größe", "what?", "a[1]"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_oddly_named_column_can_be_included_by_name(write: Write, name: str) -> None:
    path = write("a.parquet", {name: [1.0], "a1": [1.0]})
    assert name in select(path, include=[name]).numeric


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_oddly_named_column_can_be_excluded_by_name(write: Write, name: str) -> None:
    path = write("a.parquet", {name: [1.0], "other": [1.0]})
    assert select(path, exclude=[name]).numeric == ("other",)


@pytest.mark.parametrize("key", ["include", "exclude", "categorical"])
def test_a_misspelt_name_is_refused_with_the_nearest(write: Write, key: str) -> None:
    path = write("a.parquet", {"distance": [1], "hour": [2]})
    with pytest.raises(DataError) as caught:
        select(path, **{key: ["distanse"]})
    assert "no column 'distanse'; expected one of distance, hour" in one_line(caught)
    assert "Did you mean 'distance'" in one_line(caught)


TIME = pa.array([1], pa.timestamp("s"))


@pytest.mark.parametrize(
    ("columns", "options", "fates", "remedy"),
    [
        ({}, {}, "y (target)", "Name data with more columns"),
        (
            {"l": [["a"]]},
            {},
            "y (target), l (list<element: string>)",
            "Name data with more columns",
        ),
        ({"t": TIME}, {}, "y (target), t (timestamp[ms])", "Ask for parts of dates in features"),
        ({"x": [1]}, {"exclude": ["x"]}, "y (target), x (not included)", "Widen features.include"),
    ],
)
def test_where_no_feature_is_left_each_column_is_told_and_what_can_be_done(
    write: Write, columns: dict[str, object], options: dict[str, Any], fates: str, remedy: str
) -> None:
    path = write("a.parquet", {"y": [1.0], **columns})
    with pytest.raises(DataError) as caught:
        select(path, reserved={"y": "target"}, **options)
    assert f"none of its columns is left as a feature: {fates}; expected" in one_line(caught)
    assert f". {remedy}" in one_line(caught)


def test_a_long_list_of_columns_is_cut_short_in_a_message(write: Write) -> None:
    path = write("a.parquet", {f"x{i}": [1] for i in range(40)})
    with pytest.raises(DataError, match="x11 and 28 more"):
        require(discover(str(path)), "nothing like it", "target")


@pytest.mark.parametrize("name", ["i", "f", "dec"])
def test_a_target_of_numbers_is_accepted(mixed: Path, name: str) -> None:
    require(discover(str(mixed)), name, "target", number=True)


@pytest.mark.parametrize("name", ["s", "b", "n", "time", "dict", "list", "k"])
def test_a_target_that_is_not_numeric_is_refused(mixed: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        require(discover(str(mixed)), name, "target", number=True)
    assert f"target '{name}': has type" in one_line(caught)
    assert "expected a column of numbers" in one_line(caught)


NUMBERS = {
    "int8": pa.array([1, 2], pa.int8()),
    "int64": pa.array([1, 2]),
    "float32": pa.array([1, 2], pa.float32()),
    "float64": pa.array([1.5, None]),
    "decimal": pa.array([Decimal("1.5"), None]),
    "nulls": pa.nulls(2),
}
TEXTS = {
    "string": pa.array(["a", None]),
    "large": pa.array(["a", "b"], pa.large_string()),
    "view": pa.array(["a", "b"], pa.string_view()),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "nulls": pa.nulls(2),
}


@pytest.mark.parametrize("columns", [NUMBERS, TEXTS], ids=["numbers", "text"])
def test_files_may_differ_in_types_of_one_kind(write: Write, columns: dict[str, pa.Array]) -> None:
    for first in columns:
        for name, column in columns.items():
            write(f"{first}/{first == name}-{name}.parquet", {"x": column})
        check_files(discover(str(write(f"{first}/z.parquet", {"x": columns[first]}).parent)), ["x"])


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        (NUMBERS["float64"], TEXTS["string"]),
        (TEXTS["string"], NUMBERS["int64"]),
        (TEXTS["dictionary"], pa.array([True, False])),
        (pa.array([True, False]), TEXTS["string"]),
        (NUMBERS["nulls"], TEXTS["string"]),
        (NUMBERS["int64"], pa.array([1, 2], pa.timestamp("us"))),
    ],
    ids=str,
)
def test_a_file_with_a_column_of_another_kind_is_refused(
    write: Write, usual: pa.Array, odd: pa.Array
) -> None:
    write("a.parquet", {"x": usual})
    write("b.parquet", {"x": NUMBERS["int64"] if pa.types.is_null(usual.type) else usual})
    bad = write("c.parquet", {"x": odd})
    with pytest.raises(DataError) as caught:
        check_files(discover(str(bad.parent)), ["x"])
    assert one_line(caught).startswith(f"{bad}, column 'x': has type {odd.type}; expected")


def test_a_file_that_lacks_a_column_is_refused(write: Write) -> None:
    write("a.parquet", {"x": [1], "y": [1]})
    bad = write("b.parquet", {"y": [1]})
    with pytest.raises(DataError) as caught:
        check_files(discover(str(bad.parent)), ["y", "x"])
    assert one_line(caught).startswith(f"{bad}: lacks the column 'x'")


def test_columns_that_are_not_needed_may_differ(write: Write) -> None:
    write("a.parquet", {"x": [1], "note": ["a"]})
    path = write("b.parquet", {"note": [1], "more": [2], "x": [1.5]})
    check_files(discover(str(path.parent)), ["x"])


def test_a_folder_value_wins_over_a_column_of_its_name(write: Write) -> None:
    write("x=1/a.parquet", {"x": [5], "y": [1]})
    found = discover(str(write("x=2/a.parquet", {"y": [1]}).parents[1]))
    check_files(found, ["x", "y"])
    assert found.schema.field("x").type == pa.string()


def test_a_file_outside_the_folders_that_give_a_value_is_refused(write: Write) -> None:
    write("day=1/a.parquet", {"y": [1]})
    bad = write("z.parquet", {"y": [1]})
    with pytest.raises(DataError, match=r"z\.parquet: lacks the column 'day'"):
        check_files(discover(str(bad.parent)), ["day"])


def test_two_columns_of_one_name_are_refused(write: Write) -> None:
    twice = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["x", "x", "y"])
    path = write("a.parquet", twice)
    with pytest.raises(DataError, match="'x'"):
        check_files(discover(str(path)), ["x"])


# Dates


@pytest.fixture
def dated(write: Write) -> Path:
    return write(
        "a.parquet",
        {
            "x": [1.0, 2.0],
            "time": pa.array([1, 2], pa.timestamp("us")),
            "day": pa.array([1, 2], pa.date32()),
            "day.year": [1, 2],
        },
    )


def test_parts_of_dates_are_features_and_the_dates_are_not_left_out(dated: Path) -> None:
    dataset = discover(str(dated))
    parts = date_features(dataset, {"time": ["hour", "month", "hour"], "day": ["weekday"]})
    assert [part.name for part in parts] == ["time.hour", "time.month", "day.weekday"]
    found = select_features(dataset, include=["x"], reserved={}, dates=parts)
    assert found.numeric == ("time.hour", "x")
    assert found.categorical == (("time.month", "integer"), ("day.weekday", "integer"))
    assert select_features(dataset, include=["*"], reserved={}, dates=parts).left_out == ()


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ({"tme": ["year"]}, "there is no column 'tme'"),
        ({"x": ["year"]}, "has type double, which has no year; expected a timestamp or a date"),
        ({"day": ["hour"]}, "has type date32[day], which has no hour; expected a timestamp"),
        ({"day": ["year"]}, "the data has a column 'day.year'"),
    ],
)
def test_parts_that_cannot_be_are_refused(
    dated: Path, dates: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(DataError) as error:
        date_features(discover(str(dated)), dates)
    assert message in one_line(error)


def test_a_named_timestamp_is_refused_with_the_way_to_its_parts(dated: Path) -> None:
    with pytest.raises(DataError) as error:
        select(dated, ["time"])
    assert "ask for its parts in features.dates" in one_line(error)


@pytest.mark.parametrize(
    ("type_", "fits"),
    [
        (pa.timestamp("ns"), True),
        (pa.timestamp("s", "UTC"), True),
        (pa.null(), True),
        (pa.date32(), False),
        (pa.string(), False),
    ],
    ids=str,
)
def test_a_part_of_a_time_needs_a_time_also_in_scoring(type_: pa.DataType, fits: bool) -> None:
    parts = (DateFeature("t", "year"), DateFeature("t", "hour"))
    columns = Columns(("t.year", "t.hour"), (), parts)
    if fits:
        check_types(pa.schema([("t", type_)]), columns, "frame")
    else:
        with pytest.raises(DataError, match="column 't': has type"):
            check_types(pa.schema([("t", type_)]), columns, "frame")


@pytest.mark.parametrize("alike", [True, False])
def test_names_are_listed_in_proportion_to_the_columns(alike: bool, write: Write) -> None:
    """Quadratic planning listed all names of a file once for each of them."""
    per_column = []
    for width in (50, 200):
        for i in range(3):
            values = {f"x{j}": [1.0, 2.0] for j in range(width)}
            more = {} if alike else {f"only{i}": [1.0]}
            write(f"{width}/{i}.parquet", {name: [1.0] for name in values} | more)
        dataset = discover(str(write(f"{width}/z.parquet", {key: [1.0] for key in values}).parent))
        dataset = counted(dataset)
        CountedSchema.listed = 0
        names = [f"x{j}" for j in range(width)]
        found = select_features(dataset, include=names, exclude=["y*"], reserved={})
        check_files(dataset, found.numeric)
        per_column.append(CountedSchema.listed / width)
    assert per_column[1] <= 1.2 * per_column[0] < 20
