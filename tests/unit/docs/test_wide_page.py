"""The example of the page on many columns runs, and what it says is so."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "wide.md"


@pytest.mark.slow
def test_the_example_to_check_by_hand_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    exec(compile(code, str(PAGE), "exec"), {})
    assert (tmp_path / "models").is_dir()
