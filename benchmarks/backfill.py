"""A year of nights, scored in one command, each with its own commit and its drift."""

import shutil
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

from benchmarks import data
from benchmarks.bars.case import Bar, Case, Command, Setting
from benchmarks.processes import run
from benchmarks.score import score_job
from benchmarks.train import trains, write_job

FIRST, NIGHTS, TRAINING_DAYS = date(2024, 1, 29), 365, 28
"""Of the nights, and how many days before them the model is trained on."""


def _backfill(setting: Setting) -> Mapping[str, Command]:
    folder = setting.folder / f"backfill-{setting.rows}x{setting.features}"
    source = days(folder, setting.rows, setting.features, NIGHTS)
    scored, anew = scores_days(folder, source, NIGHTS)
    return {"a year": Command(scored, before=anew)}


def days(folder: Path, rows: int, features: int, nights: int) -> Path:
    """The files of all dates, each in a folder of its date, with a model of the first of them."""
    n_days = TRAINING_DAYS + nights
    files = data.write(folder / "all", rows * n_days, features, n_days)
    source = folder / "data"
    for number, file in enumerate(sorted(files.glob("*.parquet"))):
        day = FIRST + timedelta(days=number - TRAINING_DAYS)
        link = source / f"date={day}" / "rows.parquet"
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.hardlink_to(file)
    before = {"path": str(source), "where": f"date < '{FIRST}'"}
    job = write_job(folder, source, "scorer", data=before, features={"exclude": ["row_id", "date"]})
    if not (folder / "models-scorer").exists():
        run(trains(job).arguments)
    return source


def scores_days(
    folder: Path, source: Path, nights: int, format_: str = "delta"
) -> tuple[list[str], Callable[[], None]]:
    """What scores the nights in one command, and what takes away what an earlier one has left."""
    out = folder / f"scores-{format_}"
    job = score_job(folder, source, out, "all", format=format_, partition_by="date")
    dates = ["--from", str(FIRST), "--to", str(FIRST + timedelta(days=nights - 1))]

    def anew() -> None:
        for written in (out, Path(f"{out}-quarantine"), Path(f"{out} statistics")):
            shutil.rmtree(written, ignore_errors=True)

    return ["-m", "lasso_jobs", "score", str(job), *dates, "--json"], anew


CASE = Case(
    "backfill",
    "365 nights in one command, each with its own commit, the drift of all features on.",
    10_000,
    20,
    _backfill,
    (Bar("a night of 365 x 10,000, seconds", ("a year", "whole"), 0.15, per=NIGHTS),),
)
