import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.errors import JobError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import remote

SECRET = "do-not-show-me"


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place, on disk and in a bucket."""
    if request.param == "local":
        return str(tmp_path / "place")
    return f"{request.getfixturevalue('bucket')}/place"


def test_what_is_created_is_read_listed_and_removed(root: str) -> None:
    contents = {"a": b"1", "b/c.txt": b"", "b/d/e": b"\0" * 70_000}
    for name, content in contents.items():
        storage.create(storage.join(root, name), content)
    assert storage.names(root) == sorted(contents)
    assert storage.names(storage.join(root, "b")) == ["c.txt", "d/e"]
    assert {n: storage.read(storage.join(root, n)) for n in storage.names(root)} == contents
    for _ in range(2):
        storage.remove(storage.join(root, "b", "c.txt"))
        assert storage.names(root) == ["a", "b/d/e"]


@pytest.mark.parametrize(
    "name", ["a b", "day=1%2F2/x", "50 %", "#1", "é漢🙂", "[x]{y}", "~!$&'()+,;:=@^", "*", "a..b"]
)
def test_a_file_may_have_any_name(root: str, name: str) -> None:
    storage.create(storage.join(root, name), b"1")
    storage.move(storage.join(root, name), storage.join(root, f"{name}.moved"))
    assert storage.names(root) == [f"{name}.moved"]
    assert storage.read(storage.join(root, f"{name}.moved")) == b"1"


def test_what_is_not_there_is_not_found(root: str) -> None:
    assert storage.names(root) == []
    for attempt in (storage.read, storage.state, lambda p: storage.move(p, f"{p}.new")):
        with pytest.raises(FileNotFoundError):
            attempt(storage.join(root, "absent"))


def test_a_file_is_created_once(root: str) -> None:
    place = storage.join(root, "a")
    storage.create(place, b"first")
    with pytest.raises(FileExistsError):
        storage.create(place, b"second")
    assert storage.read(place) == b"first"
    assert storage.names(root) == ["a"]


def test_of_twenty_that_create_a_file_one_succeeds(root: str) -> None:
    def attempt(number: int) -> bool:
        try:
            storage.create(storage.join(root, "a"), str(number).encode())
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(attempt, range(20)))
    assert sum(won) == 1
    assert storage.read(storage.join(root, "a")) == str(won.index(True)).encode()
    assert storage.names(root) == ["a"]


def test_the_state_changes_with_the_content(root: str) -> None:
    place = storage.join(root, "a")
    storage.write(place, b"12345")
    before = storage.state(place)
    assert (before.size_bytes, storage.state(place)) == (5, before)
    storage.write(place, b"12346")
    assert storage.state(place) != before


def test_a_move_replaces_what_was_there(root: str) -> None:
    old, new = storage.join(root, "old"), storage.join(root, "deep/new")
    storage.write(old, b"1")
    storage.write(new, b"2")
    storage.move(old, new)
    assert storage.names(root) == ["deep/new"]
    assert storage.read(new) == b"1"


def test_an_object_is_read_in_parts_and_as_it_was(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PART_BYTES", 1000)
    table = pa.table({f"c{i}": np.random.default_rng(i).normal(size=2000) for i in range(3)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=700)
    place, content = f"{bucket}/a.parquet", sink.getvalue().to_pybytes()
    storage.write(place, content)
    known = storage.state(place)
    assert known.size_bytes == len(content)
    for pre_buffer in (False, True):
        with pq.ParquetFile(storage.source(place, known), pre_buffer=pre_buffer) as file:
            assert file.read(["c2", "c0"]).equals(table.select(["c2", "c0"]))
    reader = storage.source(place, known)
    assert not isinstance(reader, str)
    reader.seek(-1000, os.SEEK_END)
    assert reader.read(2500) + reader.read(1) == content[-1000:]
    storage.write(place, content[:-1] + b"x")
    reader.seek(0)
    with pytest.raises(OSError, match="has changed"):
        reader.read(10)


def test_a_local_path_is_opened_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    place = str(tmp_path / "a")
    assert storage.source(place, storage.state(place)) is place


def test_an_object_that_marks_a_folder_is_no_file(bucket: str, s3_server: str) -> None:
    from urllib.request import Request, urlopen

    storage.write(f"{bucket}/data/day=1/a", b"1")
    for marker in ("data/", "data/day=1/"):
        address = f"{s3_server}/{bucket.removeprefix('s3://')}/{marker}"
        urlopen(Request(address, b"", method="PUT")).close()
    assert storage.names(f"{bucket}/data") == ["day=1/a"]
    assert storage.names(bucket) == ["data/day=1/a"]


@pytest.mark.parametrize(
    "place",
    [
        f"s3://user:{SECRET}@bucket/path",
        f"s3://{SECRET}@bucket",
        f"az://container/path?sv=1&sig={SECRET}",
        f"s3://bucket/path?secret_access_key={SECRET}",
        f"https://host/{SECRET}",
        f"file:///{SECRET}",
        "s3:///path",
    ],
)
def test_a_uri_with_credentials_or_another_scheme_is_refused_without_its_text(place: str) -> None:
    for attempt in (remote.checked, storage.read, storage.names):
        with pytest.raises(JobError) as caught:
            attempt(place)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        "a",
        "/a/b",
        "a b?c=d",
        "s3:x",
        "s3://bucket",
        "gs://b/a=1/*",
        "az://c/d?y/[ab]/x=1",
        "s3://b/@",
    ],
)
def test_other_places_are_as_they_are(place: str) -> None:
    assert remote.checked(place) == place


def test_a_refusal_of_the_store_says_why_without_the_key(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="NoSuchBucket") as caught:
        storage.names("s3://there-is-none/a")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_secrets_of_the_environment_are_taken_out_of_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", SECRET)
    text = f"\x1b[31merror\x1b[0m of GET https://h/c/a?sv=1&sig=abcdef in 3 ms\nwith {SECRET}"
    assert remote.one_line(OSError(text)) == "error of GET https://h/c/a?... in 3 ms with ***"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    remote.package.cache_clear()
    with pytest.raises(JobError, match=r"pip install 'lasso_jobs\[cloud\]'"):
        storage.names("s3://bucket/a")


@pytest.mark.parametrize(
    ("place", "env", "store"),
    [
        ("gs://bucket/a", {}, "GCSStore"),
        ("az://container/a", {"AZURE_STORAGE_ACCOUNT_NAME": "account"}, "AzureStore"),
        ("s3://bucket/a", {}, "S3Store"),
    ],
)
def test_each_scheme_has_its_store(
    place: str, env: dict[str, str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    remote._store.cache_clear()
    found, key = remote.located(place)
    assert (type(found).__name__, key) == (store, "a")
    remote._store.cache_clear()


def test_local_places_need_no_package(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom lasso_jobs.storage import files as storage\n"
        f"storage.create({str(tmp_path / 'a')!r}, b'1')\n"
        f"assert storage.names({str(tmp_path)!r}) == ['a']\n"
        "assert not {'obstore', 'deltalake', 'pyarrow'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_is_replaced_by_another(root: str) -> None:
    place = storage.join(root, "below", "a.json")
    for content in (b"old", b"", b"new"):
        storage.replace(place, content)
        assert storage.read(place) == content
        assert storage.names(root) == ["below/a.json"]


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "a.json")
    storage.replace(place, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.replace(place, b"new")
    assert storage.read(place) == b"old"
    assert storage.names(str(tmp_path)) == ["a.json"]


@pytest.mark.parametrize("removals", [1, 2, 3])
def test_a_file_is_written_though_its_folder_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removals: int
) -> None:
    folder, removed = tmp_path / "journal", []

    def removing(_: int) -> None:
        if len(removed) < removals:
            removed.append(folder)
            shutil.rmtree(folder)

    monkeypatch.setattr("os.fsync", removing)
    if removals < 3:
        storage.replace(str(folder / "unit.json"), b"done")
        assert storage.read(str(folder / "unit.json")) == b"done"
    else:
        with pytest.raises(FileNotFoundError):
            storage.replace(str(folder / "unit.json"), b"done")
    assert storage.names(str(tmp_path)) == (["journal/unit.json"] if removals < 3 else [])


def test_a_folder_that_is_removed_while_it_is_listed_has_no_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "b/2", "c/3"):
        storage.write(str(tmp_path / name), b"x")
    listed = os.scandir

    def removing(path: Any) -> Any:
        if path == str(tmp_path / "b"):
            shutil.rmtree(path)
        return listed(path)

    monkeypatch.setattr("os.scandir", removing)
    assert storage.names(str(tmp_path)) == ["a/1", "c/3"]


def test_a_folder_whose_disk_fails_is_not_listed_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.scandir", failing)
    with pytest.raises(OSError, match="Input/output error"):
        storage.names(str(tmp_path))


def test_entries_have_sizes_and_times(root: str) -> None:
    assert storage.entries(root) == []
    before = time.time()
    for name, size in (("b/c", 3), ("a", 0), ("b/a", 5)):
        storage.write(storage.join(root, name), b"x" * size)
    found = storage.entries(root)
    assert [(e.name, e.size_bytes) for e in found] == [("a", 0), ("b/a", 5), ("b/c", 3)]
    assert all(before - 2 < e.modified < time.time() + 2 for e in found)


def test_a_folder_is_removed_with_all_below_and_nothing_else(root: str) -> None:
    for name in ("a/1", "a/b/2", "ab/3"):
        storage.write(storage.join(root, name), b"x")
    for _ in range(2):
        storage.remove_all(storage.join(root, "a"))
        assert storage.names(root) == ["ab/3"]


def test_a_file_in_place_of_the_folder_is_not_taken_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(NotADirectoryError, match="log"):
        storage.create(str(tmp_path / "log" / "00000001.json"), b"{}")
