"""Registries, caches and compiled code on disks that are full, read-only, or without hard links."""

import errno
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lasso_jobs.core.njit_cached import njit_cached
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.moments import empty as no_moments
from lasso_jobs.errors import LassoJobsError, ModelError, OutputError
from lasso_jobs.models.alias_log import unwritable
from lasso_jobs.storage import files as storage
from lasso_jobs.training.read.cache_folder import Cache, StoredEntry
from lasso_jobs.training.read.reading import ReadCounts

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, *names: str) -> None:
    def raising(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for name in names:
        monkeypatch.setattr(name, raising)


def one_line(write: Callable[[], object], kind: type[LassoJobsError]) -> str:
    with pytest.raises(kind) as caught:
        write()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", REFUSALS)
def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number, "lasso_jobs.storage.files._to_disk")
    cache = Cache(tmp_path)
    said = one_line(lambda: cache.save("moments-1", ReadCounts(), ReadCounts()), OutputError)
    assert said.startswith(f"{tmp_path}/_cache/moments-1/")
    assert os.strerror(number) in said
    assert "Make room or give access, or set cache to false" in said


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Cache, StoredEntry]:
    cache = Cache(tmp_path)
    cache.save("moments-1", ReadCounts(rows=1), no_moments(3))
    (entry,) = cache.find("moments-1")
    return cache, entry


def test_a_cache_that_is_read_only_is_read(
    kept: tuple[Cache, StoredEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, entry = kept
    refuse(monkeypatch, errno.EROFS, "os.utime", "lasso_jobs.storage.files.remove")
    assert entry.header(ReadCounts).rows == 1
    data = cache.whole(entry.place)
    assert data is not None
    np.testing.assert_array_equal(entry.body(Moments, data).scatter, np.zeros((3, 3)))
    Path(entry.place).write_bytes(b"damaged")
    assert list(cache.find("moments-1")) == []
    assert cache.whole(entry.place) is None


def test_a_cache_that_cannot_be_pruned_is_named(
    kept: tuple[Cache, StoredEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, entry = kept
    refuse(monkeypatch, errno.EROFS, "lasso_jobs.storage.files.remove")
    said = one_line(lambda: cache.prune(max_bytes=0), OutputError)
    assert said.startswith(f"{entry.place}: ")
    assert "expected a cache that this user may prune" in said


def test_a_cache_that_cannot_be_read_is_named(
    kept: tuple[Cache, StoredEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, entry = kept
    refuse(
        monkeypatch, errno.EACCES, *(f"lasso_jobs.storage.files.{n}" for n in ("read", "seekable"))
    )
    for look in (lambda: list(cache.find("moments-1")), lambda: cache.whole(entry.place)):
        assert one_line(look, OutputError).startswith(f"{entry.place}: cannot be read (")


def test_what_killed_writers_left_in_the_cache_is_pruned(
    kept: tuple[Cache, StoredEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is that of the storage layer's own: a kill is one between write and rename."""
    cache, entry = kept
    seen: list[Path] = []
    monkeypatch.setattr(Path, "replace", lambda part, _: seen.append(part))
    cache.save("moments-1", ReadCounts(rows=2), no_moments(3))
    monkeypatch.undo()
    (part,) = seen
    assert part.exists()
    # It may be one of a writer at work.
    assert cache.prune(max_bytes=10**9) == []
    os.utime(part, (0, time.time() - 2 * 86_400))
    (gone,) = cache.prune(max_bytes=10**9)
    assert (gone.path, gone.kind) == (str(part), "moments")
    assert [e.path for e in cache.entries()] == [entry.place]
    assert not part.exists()


def test_what_killed_writers_left_in_the_registry_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is that of the storage layer's own: a kill is one between write and link."""
    staged: list[Path] = []
    places = [tmp_path / "m" / "v1" / "model.json", tmp_path / "m" / "aliases" / "00000001.json"]
    monkeypatch.setattr(Path, "unlink", lambda part, **_: staged.append(part))
    for place in places:
        storage.create(str(place), b"{}")
    monkeypatch.undo()
    assert [part.parent for part in staged] == [place.parent for place in places]
    # Of these names none is ours, and the folder of none a model's version.
    others = [
        staged[0].with_name(".staged-notes"),
        staged[0].with_name(f"{staged[0].name}.bak"),
        tmp_path / "m" / staged[0].name,
        tmp_path / "m" / "v01" / staged[0].name,
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")
    cache = Cache(tmp_path)
    # They may be of a writer at work.
    assert cache.prune(max_bytes=0) == []
    for path in (*staged, *others, *places):
        os.utime(path, (0, time.time() - 2 * 86_400))
    assert sorted(gone.path for gone in cache.prune(max_bytes=0)) == sorted(map(str, staged))
    assert all(path.exists() for path in (*others, *places))
    assert not any(path.exists() for path in staged)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number, "os.link")
    place = tmp_path / "models" / "00000001.json"
    with pytest.raises(storage.NoHardLinksError, match="its file system has no hard links"):
        storage.create(str(place), b"{}")
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.EPERM, "os.link", "expected a file system with hard links, such as ext4"),
        *((n, "lasso_jobs.storage.files._to_disk", "Make room or give access") for n in REFUSALS),
    ],
)
def test_a_registry_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str, said: str
) -> None:
    refuse(monkeypatch, number, name)
    place = str(tmp_path / "00000001.json")

    def move() -> None:
        try:
            storage.create(place, b"{}")
        except OSError as error:
            raise unwritable(place, error, "try again") from error

    assert said in (line := one_line(move, ModelError))
    assert line.startswith(f"{place}: cannot be written (")


def two(x: Any) -> Any:
    return x + 2


def test_code_that_cannot_be_kept_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, errno.ENOSPC, "numba.core.caching.FunctionCache.save_overload")
    compiled = njit_cached()(two)
    with pytest.warns(RuntimeWarning, match=r"cannot be written to \(No space left on device\)"):
        assert compiled(1) == 3

    def no_locator(_: object) -> None:
        raise RuntimeError("cannot cache function 'two': no locator available for file 'x.py'")

    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.enable_caching", no_locator)
    with pytest.warns(RuntimeWarning, match="no locator .* let NUMBA_CACHE_DIR be a folder"):
        compiled = njit_cached(nogil=True)(two)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(1) == 3
