"""A year of nights, scored in one command, each with its own commit and its drift."""

import shutil
from collections.abc import Mapping
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
    source = _days(folder, setting)
    before = {"path": str(source), "where": f"date < '{FIRST}'"}
    features = {"exclude": ["row_id", "date"]}
    job = write_job(folder, source, "scorer", data=before, features=features)
    if not (folder / "models-scorer").exists():
        run(trains(job).arguments)
    out = folder / "scores"
    scored = str(score_job(folder, source, out, "all", partition_by="date"))
    last = FIRST + timedelta(days=NIGHTS - 1)
    dates = ["--from", str(FIRST), "--to", str(last)]

    def anew() -> None:
        for written in (out, Path(f"{out} statistics")):
            shutil.rmtree(written, ignore_errors=True)

    return {"a year": Command(["-m", "lasso_jobs", "score", scored, *dates, "--json"], before=anew)}


def _days(folder: Path, setting: Setting) -> Path:
    """The files of all dates, each in a folder of its date."""
    n_days = TRAINING_DAYS + NIGHTS
    files = data.write(folder / "all", setting.rows * n_days, setting.features, n_days)
    for number, file in enumerate(sorted(files.glob("*.parquet"))):
        day = FIRST + timedelta(days=number - TRAINING_DAYS)
        link = folder / "data" / f"date={day}" / "rows.parquet"
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.hardlink_to(file)
    return folder / "data"


CASE = Case(
    "backfill",
    "365 nights in one command, each with its own commit, the drift of all features on.",
    10_000,
    20,
    _backfill,
    (Bar("a night of 365 x 10,000, seconds", ("a year", "whole"), 0.15, per=NIGHTS),),
)
