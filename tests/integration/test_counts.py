"""What is counted is an integer in every JSON that is printed or kept, and in every table."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs.cli.main import main

pytestmark = [pytest.mark.integration, pytest.mark.slow]
# Such as "n_left", "rows" and "size_bytes"; not "fold_weight", which is a sum of weights.
COUNT = re.compile(
    r"(n|n_.*|.*_n)"
    r"|(.*_)?(rows|rows_.*|files|bytes|bytes_.*|periods|batches|work_units.*|partitions|settings"
    r"|repeats|folds|pairs|seed|count|counts|version|table_version|fits|known|scored|missing_rows)"
)
# Of the days that are usual, a mean; of a throughput; of times.
NO_COUNTS = {"baseline.rows", "bytes_per_second"}
Values = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counts")
    r, n = np.random.default_rng(0), 3_600
    frame = pd.DataFrame(r.normal(size=(n, 3)), columns=["x0", "x1", "y"])
    frame["y"] += 2 * frame.x0 - frame.x1
    frame.loc[::50, "x0"] = None
    frame["id"], frame["g"] = [f"k{i}" for i in range(n)], np.arange(n) % 90
    frame["city"] = r.choice(["a", "b"], n)
    for i, (_, rows) in enumerate(frame.groupby(np.arange(n) // 300)):
        day = folder / "data" / f"day=2024-01-{i + 1:02}"
        day.mkdir(parents=True)
        rows.to_parquet(day / "rows.parquet", index=False)
    return folder


def jobs(folder: Path) -> dict[str, Values]:
    registry, data = str(folder / "models"), {"path": str(folder / "data")}
    training = {
        "name": "m",
        "data": data,
        "target": "y",
        "stability": None,
        "features": {"include": ["x*", "city"]},
        "registry": registry,
        "promote": "always",
    }
    kept = {"path": str(folder / "scores")}
    return {
        "train": {**training, "period": "day", "intervals": {"by": "city"}},
        "timed": {
            **training,
            "name": "t",
            "search": {"split": {"time": "day"}},
            "holdout": {"last": 0.2},
        },
        "grouped": {
            **training,
            "name": "g",
            "search": {"split": {"group": "g"}, "repeats": 2, "relax": True},
            "stability": {"pairs": 10},
            "compare": {"rows": 1_000, "families": ["ridge"], "iterations": 2},
        },
        "score": {
            "model": "m@champion",
            "data": data,
            "keys": ["id"],
            "output": {**kept, "partition_by": "day"},
            "drift": {"path": str(folder / "drift"), "features": "all", "segment": "city"},
            "registry": registry,
        },
        "monitor": {
            "model": "m",
            "scores": kept,
            "actuals": data,
            "keys": ["id"],
            "target": "y",
            "period": "day",
            "segments": ["city"],
            "history": {"path": str(folder / "history")},
            "registry": registry,
        },
    }


def numbers(values: object, path: str = "") -> Iterator[tuple[str, object]]:
    """All numbers in a JSON value, each with its keys."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from numbers(value, f"{path}.{name}")
    elif isinstance(values, list):
        for value in values:
            yield from numbers(value, path)
    elif isinstance(values, float | int):
        yield path, values


def counts(values: object) -> dict[str, set[type]]:
    """The types of the numbers that are counts, by their keys."""
    found: dict[str, set[type]] = {}
    for path, value in numbers(values):
        if COUNT.fullmatch(path.rpartition(".")[2]) and not path.endswith(tuple(NO_COUNTS)):
            found.setdefault(path, set()).add(type(value))
    return found


def test_counts_are_integers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {}
    for name, values in jobs(folder).items():
        files[name] = str(folder / f"{name}.yaml")
        Path(files[name]).write_text(yaml.safe_dump(values))
    registry, few = ["--registry", str(folder / "models")], ["--workers", "1"]
    printed: dict[str, object] = {}
    for command in (
        *(["plan", files[name]] for name in ("train", "timed", "grouped")),
        *(["train", files[name], *few] for name in ("train", "timed", "grouped")),
        ["models", "show", "m", *registry],
        ["models", "list", *registry],
        ["compare", files["grouped"], *few],
        ["plan", files["score"]],
        ["score", files["score"], *few],
        ["verify", str(folder / "scores")],
        ["drift", "show", str(folder / "drift")],
        ["monitor", files["monitor"], *few],
    ):
        capsys.readouterr()
        assert main([*command, "--json"]) in (0, 3), command
        printed[" ".join(command)] = json.loads(capsys.readouterr().out)
    for path in sorted((folder / "models").rglob("*.json")):
        printed[str(path)] = json.loads(path.read_text())
    of_counts = {name: counts(values) for name, values in printed.items()}
    for name, found in of_counts.items():
        assert {path for path, types in found.items() if types != {int}} == set(), name
    by_name = {path.rpartition(".")[2] for found in of_counts.values() for path in found}
    assert {"periods", "rows", "n_periods", "bytes_read", "files"} <= by_name
    for table in ("drift", "history"):
        for field in DeltaTable(folder / table).schema().fields:
            if COUNT.fullmatch(field.name):
                type_ = getattr(field.type, "element_type", field.type).type
                assert type_ in ("integer", "long", "string"), (table, field)
