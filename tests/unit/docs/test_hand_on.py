"""The examples of the page "Hand the model on" run, one after the other, in a folder of a user."""

import importlib.util
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "hand-on.md"
EXAMPLE = re.compile(r"(?:<!-- needs (?P<package>\w+) -->\n)?```python\n(?P<code>.*?)```", re.S)


def test_the_examples_run_as_they_stand(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(registry, "models")
    examples = list(EXAMPLE.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(examples) == 7
    values: dict[str, Any] = {}
    for example in examples:
        package = example["package"]
        if package is None or importlib.util.find_spec(package) is not None:
            with warnings.catch_warnings():
                exec(compile(example["code"], str(PAGE), "exec"), values)
    exported = {"sales.joblib", "sales-mlflow", "sales.csv"}
    assert {path.name for path in tmp_path.iterdir()} >= exported
