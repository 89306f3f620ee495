"""Cases take turns, and keep what each run says of itself."""

from pathlib import Path

from benchmarks.bars.case import Case, Command, Setting, measured
from benchmarks.bars.cases import CASES


def test_each_command_has_its_turn_after_its_preparation(tmp_path: Path) -> None:
    log: list[str] = []
    commands = {
        "a": Command(["-c", "print(2.5)"], "work", lambda: log.append("a")),
        "b": Command(
            ["-c", """print('{"seconds": {"score": 3}, "bytes_read": 7}')"""],
            "score",
            lambda: log.append("b"),
        ),
    }
    case = Case("case", "", 10, 2, lambda setting: commands)
    found = measured(case, Setting(folder=tmp_path, rows=10, features=2), 2, lambda text: None)
    assert log == ["a", "b", "a", "b"]
    assert [turn["work"] for turn in found["turns"]["a"]] == [2.5, 2.5]
    assert {turn["score"] + turn["bytes"] for turn in found["turns"]["b"]} == {10.0}
    assert all(turn["faults"] > 0 and turn["whole"] > 0 for turn in found["turns"]["b"])
    assert found["whole size"]
    assert found["others"] >= 0


def test_a_command_that_fails_is_kept_with_its_case(tmp_path: Path) -> None:
    case = Case("case", "", 10, 2, lambda setting: {"a": Command(["-c", "raise SystemExit(3)"])})
    found = measured(case, Setting(folder=tmp_path, rows=1, features=2), 1, lambda text: None)
    assert "failed" in found["failed"]
    assert not found["whole size"]


def test_bars_have_names_of_their_own() -> None:
    names = [bar.name for case in CASES.values() for bar in case.bars]
    assert len(set(names)) == len(names)
