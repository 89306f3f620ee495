"""No input is left out without a word: links are followed, and what cannot be read is named."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data import delta_table
from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError
from lasso_jobs.storage import walk
from lasso_jobs.storage.walk import files_below

Spoil = Callable[[Path], None]


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A folder of three days, and beside it what links may lead to."""
    for i in (1, 2, 3, 4):
        path = tmp_path / ("elsewhere" if i == 4 else "data") / f"day={i}" / "a.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": [10 * i, 10 * i + 1]}), path)
    return tmp_path / "data"


def rows(found: Dataset) -> set[tuple[int, str]]:
    return {
        (row["id"], row["day"])
        for unit in found.work_units(["id"])
        for piece in unit.pieces
        for part in read(piece, ["id", "day"])
        for row in part.table.to_pylist()
    }


def test_a_day_that_is_a_link_to_a_folder_is_read_as_others_read_it(days: Path) -> None:
    (days / "day=4").symlink_to(days.parent / "elsewhere" / "day=4")
    found = rows(discover(str(days)))
    glob = f"{days}/*/*.parquet"
    read_by_duckdb = duckdb.sql(f"SELECT id, day::text FROM read_parquet('{glob}')").fetchall()
    read_by_polars = pl.scan_parquet(glob, hive_partitioning=True).select("id", "day").collect()
    assert found == set(read_by_duckdb)
    assert found == {(i, str(day)) for i, day in read_by_polars.rows()}
    assert rows(discover(f"{days}/**/*.parquet")) == found == rows(discover(f"{days}/day=*/*"))


def test_links_within_links_and_links_to_the_same_blob_are_read(days: Path) -> None:
    """As of a store that names files by their content: equal days are one file."""
    outside = days.parent / "elsewhere"
    (outside / "more").mkdir()
    (outside / "more" / "day=5").symlink_to(outside / "day=4")
    (outside / "more" / "day=6").symlink_to(outside / "day=4")
    (days / "more").symlink_to(outside / "more")
    (days / "day=7").mkdir()
    for name in ("a", "b"):
        (days / "day=7" / name).symlink_to(outside / "day=4" / "a.parquet")
    found = rows(discover(str(days)))
    assert {(i, day) for i, day in found if i == 40} == {(40, "5"), (40, "6"), (40, "7")}
    assert discover(str(days)).n_rows == 14


def fifo(days: Path) -> None:
    os.mkfifo(days / "day=2" / "b.parquet")


def fifo_for_the_file(days: Path) -> None:
    (days / "day=2" / "a.parquet").unlink()
    os.mkfifo(days / "day=2" / "a.parquet")


def fifo_for_the_day(days: Path) -> None:
    (days / "day=2" / "a.parquet").unlink()
    (days / "day=2").rmdir()
    os.mkfifo(days / "day=2")


def a_socket(days: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(days / "day=2")  # the names of sockets are short
        server.bind("b.parquet")
        os.chdir(here)


def a_device(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to("/dev/zero")


def link_to_nothing(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to(days.parent / "gone.parquet")


def day_that_links_to_nothing(days: Path) -> None:
    (days / "day=2" / "a.parquet").unlink()
    (days / "day=2").rmdir()
    (days / "day=2").symlink_to("gone")


def link_to_itself(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to("b.parquet")


def circle(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to(days)


def circle_outside(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to(days.parent / "elsewhere")
    (days.parent / "elsewhere" / "c.parquet").symlink_to(days.parent / "elsewhere")


def link_to_a_day(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to(days / "day=1")


def link_to_a_file(days: Path) -> None:
    (days / "day=2" / "b.parquet").symlink_to(days / "day=1" / "a.parquet")


NAMED: dict[Spoil, tuple[str, str]] = {
    fifo: ("day=2/b.parquet", "is a FIFO"),
    fifo_for_the_file: ("day=2/a.parquet", "is a FIFO"),
    fifo_for_the_day: ("day=2", "is a FIFO"),
    a_socket: ("day=2/b.parquet", "is a socket"),
    a_device: ("day=2/b.parquet", "is a device"),
    link_to_nothing: ("day=2/b.parquet", "is a link to .*/gone.parquet, which does not exist"),
    day_that_links_to_nothing: ("day=2", "is a link to gone, which does not exist"),
    link_to_itself: ("day=2/b.parquet", r"cannot be read \(Too many levels of symbolic links\)"),
    circle: ("day=2/b.parquet", "leads to a folder that it is in"),
    circle_outside: ("day=2/b.parquet/c.parquet", "leads to a folder that it is in"),
    link_to_a_day: ("day=2/b.parquet/a.parquet", "is by a link .*day=1/a.parquet, whose rows"),
    link_to_a_file: ("day=2/b.parquet", "is by a link .*day=1/a.parquet, whose rows"),
}


def test_links_that_fan_out_end_the_listing(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two links in each of forty folders to the next are 2^40 ways to the last."""
    monkeypatch.setattr(walk, "MOST_LINKS", 20)
    outside = days.parent / "fan"
    for i in range(40):
        (outside / str(i)).mkdir(parents=True)
        for name in ("left", "right"):
            (outside / str(i) / name).symlink_to(outside / str(i + 1))
    (outside / "40").mkdir()
    (days / "more").symlink_to(outside / "0")
    said = r"is by links .*/fan/5, as 20 others are; expected at most 20 ways by links to one"
    with pytest.raises(DataError, match=f"^{days}/more/[a-z/]+: {said}") as caught:
        discover(str(days))
    assert "\n" not in str(caught.value)
    (days / "more").unlink()
    # As many equal days as there may be links are read.
    for i in range(20):
        (days / f"day=1{i}").symlink_to(outside.parent / "elsewhere" / "day=4")
    assert len({day for _, day in rows(discover(str(days)))}) >= 20


@pytest.mark.parametrize("pattern", ["", "/**"])
@pytest.mark.parametrize("spoil", NAMED, ids=lambda spoil: spoil.__name__)
def test_what_is_no_file_to_read_is_named(days: Path, spoil: Spoil, pattern: str) -> None:
    spoil(days)
    name, said = NAMED[spoil]
    with pytest.raises(DataError, match=f"^{days}/{name}: {said}") as caught:
        discover(f"{days}{pattern}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["", "/**/*.parquet"])
@pytest.mark.parametrize("spoil", NAMED, ids=lambda spoil: spoil.__name__)
def test_what_the_filter_leaves_out_is_not_looked_at(
    days: Path, spoil: Spoil, pattern: str
) -> None:
    spoil(days)
    found = discover(f"{days}{pattern}", parse("day == '3'", "where"))
    assert rows(found) == {(30, "3"), (31, "3")}


@pytest.mark.parametrize("spoil", NAMED, ids=lambda spoil: spoil.__name__)
def test_what_the_glob_leaves_out_is_not_looked_at(days: Path, spoil: Spoil) -> None:
    spoil(days)
    assert rows(discover(f"{days}/day=[13]/*.parquet")) == {
        (10, "1"),
        (11, "1"),
        (30, "3"),
        (31, "3"),
    }


@pytest.mark.parametrize("spoil", NAMED, ids=lambda spoil: spoil.__name__)
def test_what_is_hidden_is_not_looked_at(days: Path, spoil: Spoil) -> None:
    spoil(days)
    (days / "day=2").rename(days / "_day=2")
    assert {day for _, day in rows(discover(str(days)))} == {"1", "3"}


@pytest.mark.parametrize("place", ["", "day=2"])
@pytest.mark.parametrize("pattern", ["", "/*/*.parquet"])
def test_a_folder_that_may_not_be_read_is_named(
    days: Path, monkeypatch: pytest.MonkeyPatch, place: str, pattern: str
) -> None:
    scandir, closed = os.scandir, days / place

    def refuse(path: str) -> "Iterator[os.DirEntry[str]]":
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("lasso_jobs.storage.walk.os.scandir", refuse)
    expected = f"^{closed}: cannot be read \\(Permission denied\\); expected .* this user may read"
    with pytest.raises(DataError, match=expected):
        discover(f"{days}{pattern}")
    if place:
        assert discover(f"{days}{pattern}", parse("day <> '2'", "where")).n_rows == 4


@pytest.mark.parametrize("spoil", [fifo, link_to_nothing, link_to_itself])
def test_a_path_that_is_no_file_is_named(days: Path, spoil: Spoil) -> None:
    spoil(days)
    name, said = NAMED[spoil]
    with pytest.raises(DataError, match=f"^{days}/{name}: {said}"):
        discover(f"{days}/{name}")


def test_a_path_that_is_a_link_is_read(days: Path) -> None:
    for link, target in (("folder", days), ("file", days / "day=1" / "a.parquet")):
        (days.parent / link).symlink_to(target)
    assert discover(str(days.parent / "folder")).n_rows == 6
    assert discover(str(days.parent / "file")).n_rows == 2


@pytest.mark.parametrize("spoil", [fifo_for_the_file, link_to_nothing])
def test_a_file_of_a_delta_table_that_is_none_is_named(tmp_path: Path, spoil: Spoil) -> None:
    table = tmp_path / "table"
    write_deltalake(table, pa.table({"x": [1, 2], "day": ["1", "2"]}), partition_by=["day"])
    file = next((table / "day=2").iterdir())
    (table / "day=2" / "a.parquet").symlink_to("nothing")
    spoil(table)
    ((table / "day=2" / "a.parquet").replace if spoil is fifo_for_the_file else Path.unlink)(file)
    with pytest.raises(DataError, match=f"^{file}: (cannot be read|does not exist)"):
        discover(str(table))


def test_a_table_whose_log_cannot_be_read_is_not_taken_for_a_folder(days: Path) -> None:
    (days / "_delta_log").symlink_to("gone")
    with pytest.raises(DataError, match=f"^{days}/_delta_log: cannot be looked at"):
        discover(str(days))


def test_a_store_that_does_not_say_whether_there_is_a_log_is_believed_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def names(_: str) -> list[str]:
        raise OSError("access denied")

    monkeypatch.setattr(delta_table.storage, "names", names)
    with pytest.raises(DataError, match=r"^s3://b/d/_delta_log: cannot be looked at \(access"):
        delta_table.is_table("s3://b/d")


def test_a_file_that_becomes_a_fifo_after_the_plan_is_named(days: Path) -> None:
    found = discover(str(days))
    fifo_for_the_file(days)
    with pytest.raises(DataError, match=r"day=2/a\.parquet: cannot be read \(.*no regular file"):
        rows(found)


def test_what_is_removed_while_it_is_listed_is_no_fault(
    days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (days / "day=2" / "b.parquet").symlink_to("/dev/null")
    stat = os.DirEntry.is_file

    def removed(entry: "os.DirEntry[str]") -> int:
        if entry.name == "b.parquet":
            Path(entry.path).unlink()
        return 0o100000 if stat(entry) else entry.stat().st_mode

    monkeypatch.setattr("lasso_jobs.storage.walk._mode", removed)
    assert discover(str(days)).n_rows == 6


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_file_below_is_found_or_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A tree of folders, files and links at random, against ``find -L``'s own idea, `os.walk`."""
    root = tmp_path_factory.mktemp("tree")
    folders = [root]
    for i in range(data.draw(st.integers(1, 8))):
        parent = data.draw(st.sampled_from(folders))
        kind = data.draw(st.sampled_from(["folder", "file", "link"]))
        path = parent / f"{kind}{i}"
        if kind == "folder":
            path.mkdir()
            folders.append(path)
        elif kind == "file":
            path.touch()
        else:
            path.symlink_to(data.draw(st.sampled_from([*folders, root / "gone"])))
    found = {f.name.rstrip("/"): f for f in files_below(str(root), lambda _: True)}
    seen = {f.name for f in found.values() if f.fault is None}
    for parent, names, files in os.walk(root):
        for name in [*files, *(n for n in names if (Path(parent) / n).is_symlink())]:
            path = Path(parent, name)
            relative = path.relative_to(root).as_posix()
            below = [f for n, f in found.items() if n == relative or n.startswith(f"{relative}/")]
            if not path.is_symlink():
                assert relative in seen
            elif not path.exists():
                assert found[relative].fault
            else:  # of what a link leads to, all is found already: it is named, or there is none
                assert all(f.fault for f in below)
                assert below or not any(p.is_file() for p in path.resolve().rglob("*"))
