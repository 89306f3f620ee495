"""The examples of the page for users of scikit-learn run, one after the other."""

import re
from pathlib import Path

import dask
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "estimator.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 6
    with dask.config.set(scheduler="synchronous"):
        exec(compile("\n".join(blocks), str(PAGE), "exec"), {})
    assert (tmp_path / "models" / "sales" / "v1" / "model.json").is_file()
