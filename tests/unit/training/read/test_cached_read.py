"""Files come, go and change: what the cache gives is what a training from nothing makes."""

import logging
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data.dataset import FileIdentity, Piece, WorkUnit
from lasso_jobs.engine.threads import Threads
from lasso_jobs.storage import files as storage
from lasso_jobs.training.read.cache_folder import Cache, StoredEntry
from lasso_jobs.training.read.cached_read import KEPT_UNITS, CachedRead, Caching, Span
from lasso_jobs.training.read.read_identity import keys


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class ToyRead(CachedRead[Text]):
    """Reads a unit's name and stamp; a merge shows which two were merged, as sums of floats do."""

    caching: Caching | None = None
    was_read: list[str] = field(default_factory=list)
    was_loaded: list[str] = field(default_factory=list)

    def read(self, unit: WorkUnit) -> Text:
        file = unit.pieces[0].file
        self.was_read.append(file.name)
        return Text(f"{file.name}:{file.stamp}")

    def merge(self, left: Text, right: Text) -> Text:
        return Text(f"({left.text} {right.text})")

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        return keys("toy", units, ())

    def entry(self, result: Text, span: Span, caching: Caching) -> tuple[object, object]:
        return Text("toy"), result

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        return entry.header(Text).text == "toy"

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> Text:
        self.was_loaded.append(span.key)
        return entry.body(Text, data)


def units_of(files: Iterable[tuple[str, int]]) -> list[WorkUnit]:
    return [
        WorkUnit(
            (
                Piece(
                    file=FileIdentity(
                        path=name, name=name, size_bytes=1, stamp=str(stamp), constants=()
                    ),
                    row_groups=(0,),
                    first_row=0,
                    rows=10,
                ),
            )
        )
        for name, stamp in sorted(files)
    ]


def gathered(read: ToyRead, files: Iterable[tuple[str, int]]) -> Text:
    cover = read.cover(read.tree(units_of(files)))
    with Threads(2) as threads:
        return threads.reduce(read, read.merged, cover)


def cached(registry: Path | str) -> ToyRead:
    return ToyRead(Caching(str(registry), 1_000))


def days(first: int, last: int) -> dict[str, int]:
    return {f"day={n:04}": 0 for n in range(first, last)}


names = st.integers(0, 40).map("day={:04}".format)
changes = st.lists(st.tuples(st.sampled_from(["add", "drop", "change"]), names), max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.sets(names, min_size=1), changes)
def test_any_history_of_files_gives_what_a_training_from_nothing_does(
    first: set[str], changes: list[tuple[str, str]]
) -> None:
    files = dict.fromkeys(first, 0)
    with tempfile.TemporaryDirectory() as registry:
        gathered(cached(registry), files.items())
        for what, name in changes:
            if what == "add":
                files.setdefault(name, 0)
            elif what == "change" and name in files:
                files[name] += 1
            elif what == "drop" and len(files) > 1:
                files.pop(name, None)
            expected = gathered(ToyRead(), files.items())
            assert gathered(cached(registry), files.items()) == expected
            again = cached(registry)
            assert again.loaded(again.cover(again.tree(units_of(files.items())))) == expected
            assert again.was_read == []


@pytest.mark.parametrize("n", [30, 365])
def test_a_window_that_moves_reads_one_file_and_few_nodes(n: int, tmp_path: Path) -> None:
    gathered(cached(tmp_path), days(0, n).items())
    loads = []
    for first in range(1, 11):
        read, files = cached(tmp_path), days(first, n + first)
        assert gathered(read, files.items()) == gathered(ToyRead(), files.items())
        assert read.was_read == [f"day={n + first - 1:04}"]
        loads.append(len(read.was_loaded))
    # A spine has ln n nodes on average; beside the kept ones there are fewer than KEPT_UNITS units.
    assert sum(loads) / len(loads) <= 2 * math.log(n) + 2 * KEPT_UNITS


def test_nodes_are_fewer_than_units(tmp_path: Path) -> None:
    gathered(cached(tmp_path), days(0, 365).items())
    kinds = [entry.kind for entry in Cache(tmp_path).entries()]
    assert kinds.count("toy") == 365
    assert 0 < kinds.count("merged-toy") < 365 * 2 / KEPT_UNITS


@pytest.mark.parametrize("at", [3, "middle", -3])
def test_a_damaged_node_is_made_again_from_its_units_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int | str
) -> None:
    files, read = days(0, 40), cached(tmp_path)
    expected = gathered(read, files.items())
    root = Path(tmp_path, "_cache", read.tree(units_of(files.items())).item.key)
    (path,) = root.iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if isinstance(at, str) else at] ^= 1
    path.write_bytes(data)
    again = cached(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert gathered(again, files.items()) == expected
    assert again.was_read == []
    assert f"{path} is damaged; what it had is made anew" in caplog.text
    assert path.exists()  # of the same name, as it has the same content


def test_a_node_that_is_lost_after_it_was_looked_at_is_made_again(tmp_path: Path) -> None:
    files = days(0, 40)
    expected = gathered(cached(tmp_path), files.items())
    read = cached(tmp_path)
    cover = read.cover(read.tree(units_of(files.items())))
    Cache(tmp_path).prune(max_bytes=0)
    assert read.loaded(cover) is None
    with Threads(2) as threads:
        assert threads.reduce(read, read.merged, cover) == expected
    assert len(read.was_read) == 40


def test_a_kill_while_a_node_is_written_leaves_no_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, write = days(0, 40), storage.replace

    def killed(place: str, content: bytes, **how: bool) -> None:
        if "/merged-toy-" in place:
            part = Path(place).with_name(f".{Path(place).name}-{'0' * 32}")
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        write(place, content, **how)

    monkeypatch.setattr(storage, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        gathered(cached(tmp_path), files.items())
    monkeypatch.undo()
    assert "merged-toy" not in {entry.kind for entry in Cache(tmp_path).entries()}
    read = cached(tmp_path)
    assert gathered(read, files.items()) == gathered(ToyRead(), files.items())
    assert len(read.was_read) < 40


def test_nodes_of_a_cache_that_is_to_be_taken_apart_are_not_taken(tmp_path: Path) -> None:
    files = days(0, 40)
    expected = gathered(cached(tmp_path), files.items())
    read = ToyRead(Caching(str(tmp_path), 1_000, apart=True))
    assert gathered(read, files.items()) == expected
    assert (len(read.was_loaded), read.was_read) == (40, [])


@pytest.mark.slow
def test_objects_have_nodes_too(bucket: str) -> None:
    gathered(cached(bucket), days(0, 60).items())
    read, files = cached(bucket), days(1, 61)
    assert gathered(read, files.items()) == gathered(ToyRead(), files.items())
    assert read.was_read == ["day=0060"]
    assert len(read.was_loaded) <= 25
