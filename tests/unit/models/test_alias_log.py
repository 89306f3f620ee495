"""No damage of the alias log makes another version the champion without a word."""

import itertools
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.errors import ModelError
from lasso_jobs.models import alias_log
from lasso_jobs.models.alias_log import AliasLog, Move


def promote(log: AliasLog, version: int, why: str = 'it is "better"') -> Move:
    moves = log.moves()
    return log.append(moves, alias="champion", action="promote", new=version, why=why, by="me")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "aliases"
    for version in (1, 12, 3):
        promote(AliasLog(str(folder)), version)
    return folder


def old_entries(folder: Path, *versions: int) -> list[Path]:
    """Entries as versions wrote them that knew no digest."""
    folder.mkdir(exist_ok=True)
    old: int | None = None
    for number, version in enumerate(versions, start=1):
        move = Move(
            alias="champion", action="promote", old=old, new=version, at="then", by="me", why="so"
        )
        (folder / f"{number:08d}.json").write_text(json.dumps(asdict(move), indent=2) + "\n")
        old = version
    return sorted(folder.iterdir())


def damaged(whole: Path, folder: Path, number: int, content: bytes) -> list[Move] | None:
    """The moves that a damaged log has; None if it is refused in one line."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    (folder / f"{number:08d}.json").write_bytes(content)
    try:
        return AliasLog(str(folder)).moves()
    except ModelError as error:
        assert "\n" not in str(error)
        return None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_cut_of_an_entry_changes_what_it_says(whole: Path, tmp_path: Path, number: int) -> None:
    moves = AliasLog(str(whole)).moves()
    content = (whole / f"{number:08d}.json").read_bytes()
    starts, lengths = range(0, len(content), 3), (1, 2, 5, 17, 70, 100, 150, 300, len(content))
    for start, length in itertools.product(starts, lengths):
        cut = content[:start] + content[start + length :]
        assert damaged(whole, tmp_path / "cut", number, cut) in (None, moves), (start, length)


@given(data=st.data(), number=st.integers(1, 3))
@settings(max_examples=150)
def test_no_damage_of_an_entry_changes_what_it_says(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, number: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    content = bytearray((whole / f"{number:08d}.json").read_bytes())
    at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(content) - 1)] * 2)))
    match data.draw(st.sampled_from(["flip", "double", "cut", "digit", "other entry"])):
        case "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        case "double":
            content[at:at] = content[at:end]
        case "cut":
            del content[at:end]
        case "digit":
            digits = [i for i, sign in enumerate(content) if chr(sign).isdigit()]
            content[data.draw(st.sampled_from(digits))] = ord(
                data.draw(st.sampled_from("0123456789"))
            )
        case _:
            content = bytearray((whole / f"{number % 3 + 1:08d}.json").read_bytes())
    assert damaged(whole, folder, number, bytes(content)) in (None, AliasLog(str(whole)).moves())


def test_an_entry_that_is_missing_or_doubled_is_refused(whole: Path, tmp_path: Path) -> None:
    log = AliasLog(str(tmp_path / "log"))
    for number in (1, 2):
        shutil.rmtree(log.folder, ignore_errors=True)
        shutil.copytree(whole, log.folder)
        (Path(log.folder) / f"{number:08d}.json").unlink()
        with pytest.raises(ModelError, match=rf"without {number:08d}\.json.*Restore its folder"):
            log.moves()
    shutil.copytree(whole, log.folder, dirs_exist_ok=True)
    shutil.copy(whole / "00000003.json", Path(log.folder) / "00000004.json")
    with pytest.raises(ModelError, match="not the entry before it"):
        log.moves()


def test_what_the_message_says_helps(whole: Path, tmp_path: Path) -> None:
    log = AliasLog(shutil.copytree(whole, tmp_path / "log").as_posix())
    entry = tmp_path / "log" / "00000003.json"
    entry.write_text(entry.read_text().replace('"new": 3', '"new": 1'))
    with pytest.raises(ModelError, match="remove this entry and all after it, and promote"):
        log.moves()
    entry.unlink()
    promote(log, 3)
    assert alias_log.current(log.moves()) == {"champion": 3}


def test_entries_without_digests_are_covered_by_the_first_that_has_one(tmp_path: Path) -> None:
    log = AliasLog(str(tmp_path / "log"))
    first, _ = old_entries(tmp_path / "log", 1, 2)
    assert [move.new for move in log.moves()] == [1, 2]
    promote(log, 3)
    assert [move.new for move in log.moves()] == [1, 2, 3]
    first.write_text(first.read_text().replace('"new": 1', '"new": 7'))
    with pytest.raises(ModelError, match=r"00000003\.json: does not match"):
        log.moves()


def test_an_entry_that_has_lost_its_digest_is_refused(whole: Path, tmp_path: Path) -> None:
    entry = json.loads((whole / "00000003.json").read_text())
    for key in ("digest", "before"):
        del entry[key]
    assert damaged(whole, tmp_path / "log", 3, json.dumps(entry).encode()) is None


def test_a_log_whose_newest_entries_are_missing_is_refused(tmp_path: Path) -> None:
    """Every entry that is left is whole: what is missing, the marks tell."""
    log = AliasLog(str(tmp_path / "m" / "aliases"), str(tmp_path / "m" / "moved"))
    for version in (1, 2, 3):
        promote(log, version)
    back = log.append(log.moves(), alias="champion", action="rollback", new=2, why="worse")
    assert (back.old, back.new) == (3, 2)
    entries = sorted((tmp_path / "m" / "aliases").iterdir())
    for entry in reversed(entries):
        entry.unlink()
        said = rf"aliases: has {len(log.entries())} entries; expected the 4 that were written"
        with pytest.raises(ModelError, match=said):
            log.moves()
    # What the message says helps.
    log.append(log.entries(), alias="champion", action="promote", new=1, why="all are lost")
    assert alias_log.current(log.moves()) == {"champion": 1}
    promote(log, 3)
    (tmp_path / "m" / "aliases" / "00000002.json").unlink()
    with pytest.raises(ModelError, match="has 1 entries; expected the 2 that were written"):
        log.moves()


def test_a_move_counts_though_its_mark_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AliasLog(str(tmp_path / "m" / "aliases"), str(tmp_path / "m" / "moved"))
    create = alias_log.storage.create

    def full(place: str, content: bytes) -> None:
        if "moved" in place:
            raise OSError(28, "No space left on device")
        create(place, content)

    monkeypatch.setattr(alias_log.storage, "create", full)
    promote(log, 1)
    assert alias_log.current(log.moves()) == {"champion": 1}
