"""A file that takes another's place, by its size and time the same, is another."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.discover import discover
from lasso_jobs.errors import DataError
from lasso_jobs.storage import files as storage

Write = Callable[..., Path]
Replace = Callable[[Path, bytes], None]
PLAIN = {"compression": "none", "use_dictionary": False, "row_group_size": 1000}


def in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def by_rename(path: Path, content: bytes) -> None:
    other = path.with_name("_other")
    other.write_bytes(content)
    other.rename(path)


def by_copying(path: Path, content: bytes) -> None:
    """As ``cp --preserve`` does."""
    other = path.with_name("_other")
    other.write_bytes(content)
    shutil.copystat(path, other)
    subprocess.run(["cp", "--preserve=all", other, path], check=True)
    other.unlink()


def with_its_time(replace: Replace, path: Path, content: bytes) -> None:
    """Replace a file by another of its size and time."""
    before = path.stat()
    assert len(content) == before.st_size
    replace(path, content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.fixture
def two(write: Write) -> tuple[Path, bytes]:
    """A file, and the content of another of its size."""
    values = np.arange(3000, dtype=float)
    content = write("_b.parquet", {"x": -values - 1}, **PLAIN).read_bytes()
    return write("a.parquet", {"x": values}, **PLAIN), content


def piece_of(path: object) -> Piece:
    dataset = discover(str(path))
    ((piece,),) = [unit.pieces for unit in dataset.work_units(["x"])]
    return piece


@pytest.mark.parametrize("replace", [in_place, by_rename, by_copying])
def test_a_file_replaced_after_the_plan_is_refused(
    two: tuple[Path, bytes], replace: Replace
) -> None:
    path, content = two
    piece, before = piece_of(path), discover(str(path)).identities
    with_its_time(replace, path, content)
    assert discover(str(path)).identities != before
    with pytest.raises(DataError, match="has changed since the plan"):
        next(read(piece, ["x"]))


@pytest.mark.parametrize("replace", [in_place, by_rename, by_copying])
@pytest.mark.parametrize("n_read", [1, 2, 3])
def test_a_file_replaced_while_it_is_read_is_refused(
    two: tuple[Path, bytes], replace: Replace, n_read: int
) -> None:
    path, content = two
    rows = read(piece_of(path), ["x"])
    for _ in range(n_read):
        next(rows)
    with_its_time(replace, path, content)
    with pytest.raises(DataError, match="has changed since the plan"):
        list(rows)


def test_a_file_replaced_before_a_column_is_had_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.data.blocks.ROWS_BY_COLUMN", 1)
    path = write("a.parquet", {"x": [1.0, 2.0], "y": [3.0, 4.0]}, **PLAIN)
    other = write("_b.parquet", {"x": [5.0, 6.0], "y": [7.0, 8.0]}, **PLAIN).read_bytes()
    (rows,) = read(piece_of(path), ["x", "y"], later=["x", "y"])
    assert rows.later("x").tolist() == [1.0, 2.0]
    with_its_time(by_rename, path, other)
    with pytest.raises(DataError, match="has changed since the plan"):
        rows.later("y")


def test_a_file_cut_short_while_it_is_read_is_said_to_have_changed(
    two: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reader then finds in it."""
    path, content = two
    piece = piece_of(path)

    def cut(*_: object, **__: object) -> None:
        by_rename(path, content[:-100])
        raise OSError("Unexpected end of stream")

    monkeypatch.setattr("lasso_jobs.data.blocks.read_columns", cut)
    with pytest.raises(DataError, match="has changed since the plan"):
        next(read(piece, ["x"]))


@pytest.mark.parametrize("left", [0.0, 0.4, 0.99])
@pytest.mark.parametrize("by_column", [False, True])
def test_a_process_survives_a_file_that_is_cut_short_in_place_while_it_is_read(
    write: Write, monkeypatch: pytest.MonkeyPatch, left: float, by_column: bool
) -> None:
    """Of a mapped file, the signal SIGBUS would end this very process."""
    if by_column:
        monkeypatch.setattr("lasso_jobs.data.blocks.ROWS_BY_COLUMN", 1)
    values = np.random.default_rng(1).normal(size=200_000)
    options = {**PLAIN, "row_group_size": 50_000}
    path = write("a.parquet", {"x": values, "y": values}, **options)
    rows = read(piece_of(path), ["x", "y"], later=["x", "y"] if by_column else ())
    first = next(rows)
    os.truncate(path, int(left * path.stat().st_size))
    changed = f"^{path}: has changed since the plan"
    if by_column:
        with pytest.raises(DataError, match=changed):
            first.later("x")
    with pytest.raises(DataError, match=changed):
        for part in rows:
            np.testing.assert_array_equal(part.later("y"), values[part.positions])


def test_a_file_that_is_only_looked_at_stays_the_same(two: tuple[Path, bytes]) -> None:
    path, _ = two
    before = storage.state(str(path))
    path.read_bytes()
    assert [len(r.positions) for r in read(piece_of(path), ["x"])] == [1000] * 3
    assert storage.state(str(path)) == before


def test_an_object_is_known_by_its_content(two: tuple[Path, bytes], bucket: str) -> None:
    path, other = two
    content, place = path.read_bytes(), f"{bucket}/d/a.parquet"
    storage.write(place, content)
    piece, identities = piece_of(place), discover(place).identities
    storage.write(place, content)
    assert discover(place).identities == identities
    rows = read(piece, ["x"])
    next(rows)
    storage.write(place, other)
    assert discover(place).identities != identities
    with pytest.raises(DataError, match="has changed since the plan"):
        list(rows)
    with pytest.raises(DataError, match="has changed since the plan"):
        next(read(piece, ["x"]))
