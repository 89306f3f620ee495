"""Training: beside its limits and scikit-learn, of ten times the rows, of few, and again."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import data
from benchmarks.bars.case import Bar, Case, Command, Setting
from benchmarks.processes import Run, run

WHOLE = ("local", "whole")
PRODUCT, ANEW = ("product", "work"), ("33 files, anew", "moments")


def _train(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"train-{setting.rows}x{setting.features}"
    source = data.write(folder / "data", setting.rows, setting.features)
    ours = trains(write_job(folder, source))
    processes = [*ours.arguments, "--cluster", "local-processes"]
    commands = {
        "read": limit("read", source, setting.features),
        "product": limit("product", source, setting.features),
        "local": ours,
        "local-processes": Command(processes, "moments"),
    }
    if setting.wants("scikit-learn"):
        commands["scikit-learn"] = Command(["-m", "benchmarks.peers.train_sklearn", str(source)])
    return commands


def _off_by(setting: Setting, runs: Mapping[str, Run]) -> str:
    """How far our coefficients are from scikit-learn's at its alpha."""
    if "scikit-learn" not in runs:
        return ""
    theirs = json.loads(runs["scikit-learn"].output)
    folder = setting.folder / f"train-{setting.rows}x{setting.features}"
    search = {"alphas": [theirs["alpha"]]}
    job = write_job(folder, folder / "data", "at-their-alpha", search=search)
    ours = json.loads(run(trains(job).arguments).output)
    off = max(abs(ours["per_sd"][name] - value) for name, value in theirs["per_sd"].items())
    return (
        f"largest difference of a coefficient per sd from scikit-learn's, at its alpha: {off:.2g}"
    )


def _memory(setting: Setting) -> Mapping[str, Command]:
    commands = {}
    for rows in (setting.rows // 10, setting.rows):
        folder = setting.folder / f"train-{rows}x{setting.features}"
        # Row groups of the same size, whatever the number of rows.
        source = data.write(folder / "data", rows, setting.features, max(1, rows // 1_000_000))
        commands["all rows" if rows == setting.rows else "a tenth"] = trains(
            write_job(folder, source)
        )
    return {"product": limit("product", source, setting.features), **commands}


def _retrain(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"retrain-{setting.rows}x{setting.features}"
    staged = data.write(folder / "all", setting.rows, setting.features, 33)
    files, window = sorted(staged.glob("*.parquet")), folder / "window"
    job = write_job(folder, window, "run", cache=True)

    return {
        "32 files": trains(job, before=lambda: _begin(folder, files[:32])),
        "33 files": trains(job, before=lambda: (window / files[32].name).hardlink_to(files[32])),
        "33 files, 10 folds": trains(job, "--set", "search.folds=10"),
        "33 files, first gone": trains(job, before=(window / files[0].name).unlink),
        "33 files, anew": trains(write_job(folder, staged, "anew")),
    }


def _days(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"days-{setting.rows}x{setting.features}"
    staged = data.write(folder / "all", setting.rows, setting.features, 365)
    files, window = sorted(staged.glob("*.parquet")), folder / "window"
    job = write_job(folder, window, "run", cache=True)

    def next_day() -> None:
        (window / files[0].name).unlink()
        (window / files[360].name).hardlink_to(files[360])

    return {
        "360 days": trains(job, before=lambda: _begin(folder, files[:360])),
        "the next day": trains(job, before=next_day),
        "the next day, anew": trains(write_job(folder, window, "anew")),
    }


def _begin(folder: Path, files: Sequence[Path]) -> None:
    """A window of some files and no registry.

    A link changes a file's times, so that those which stay are not linked once more.
    """
    window = folder / "window"
    for gone in (folder / "models-run", window):
        shutil.rmtree(gone, ignore_errors=True)
    window.mkdir()
    for file in files:
        (window / file.name).hardlink_to(file)


def _startup(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / "startup"
    shape = f"{setting.rows}x{setting.features}"
    source = data.write(folder / shape, setting.rows, setting.features, 1)
    return {
        "python -c pass": Command(["-c", "pass"]),
        "import lasso_jobs": Command(["-c", "import lasso_jobs"]),
        "lasso-jobs --help": Command(["-m", "lasso_jobs", "--help"]),
        "lasso-jobs train": trains(write_job(folder, source)),
    }


CASES = (
    Case(
        "train",
        "Read, read and multiply, our pass on threads and processes, scikit-learn as a whole.",
        2_000_000,
        100,
        _train,
        (
            Bar("pass, local threads", ("local", "moments"), 1.2, PRODUCT),
            Bar("pass, local processes", ("local-processes", "moments"), 1.35, PRODUCT),
            Bar("whole training beside the product's process", WHOLE, 1.8, ("product", "whole")),
            Bar("whole training beside scikit-learn", WHOLE, 0.1, ("scikit-learn", "whole")),
        ),
        peers=("scikit-learn",),
        also=_off_by,
    ),
    Case(
        "memory",
        "The pass over ten times the rows, and the peak memory of all of them and of a tenth.",
        20_000_000,
        50,
        _memory,
        (
            Bar("pass, local threads, 20M rows", ("all rows", "moments"), 1.2, PRODUCT),
            Bar("peak MB of ten times the rows", ("all rows", "peak"), 1.15, ("a tenth", "peak")),
            Bar("peak MB of a training", ("all rows", "peak"), 700),
        ),
    ),
    Case(
        "retrain",
        "Train on 32 files, with one more, with other folds, with one gone; all from nothing.",
        2_000_000,
        100,
        _retrain,
        (
            Bar("pass, 1 new file of 33", ("33 files", "moments"), 0.1, ANEW),
            Bar("pass, 1 file of 33 gone", ("33 files, first gone", "moments"), 0.1, ANEW),
            Bar("other folds from the cache, seconds", ("33 files, 10 folds", "whole"), 1.0),
        ),
    ),
    Case(
        "days",
        "Train on 360 files of a day each, then on a window that is a day later; and from nothing.",
        3_650_000,
        50,
        _days,
        (
            Bar(
                "pass, a window of 360 days moves by one",
                ("the next day", "moments"),
                0.1,
                ("the next day, anew", "moments"),
            ),
        ),
    ),
    Case(
        "startup",
        "The smallest things: the import, the help, and a training of few rows.",
        10_000,
        20,
        _startup,
        (Bar("training of 10,000 x 20, seconds", ("lasso-jobs train", "whole"), 1.3),),
    ),
)


def limit(mode: str, source: Path, columns: int, *more: str) -> Command:
    """What no implementation beats."""
    return Command(["-m", "benchmarks.limit", mode, str(source), str(columns), *more], "work")


def trains(job: Path, *more: str, before: Callable[[], object] | None = None) -> Command:
    """A training, whose work is the pass."""
    arguments = ["-m", "lasso_jobs", "train", str(job), "--json", *more]
    return Command(arguments, "moments", before)


def write_job(folder: Path, source: Path, name: str = "bench", **more: Any) -> Path:
    """A job file with its own registry."""
    values = {
        "name": name,
        "data": {"path": str(source)},
        "target": "y",
        "features": {"exclude": ["row_id"]},
        "holdout": None,
        "registry": str(folder / f"models-{name}"),
        "cache": False,
        **more,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
