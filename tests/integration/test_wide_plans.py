"""Plans list the names of columns, and read footers, in proportion to the columns and the files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, train
from lasso_jobs.data import discover as discovery
from lasso_jobs.monitoring import plan as monitor_plan
from lasso_jobs.scoring import plan as score_plan
from lasso_jobs.training import plan as train_plan

from ..counted_schema import CountedSchema, counted

pytestmark = pytest.mark.integration
WIDTHS = (12, 60)
N_FILES = 3
Values = dict[str, Any]


def names(width: int) -> list[str]:
    return [f"x{j}" for j in range(width)]


TRAININGS: dict[str, Callable[[int], Values]] = {
    "every column": lambda width: {},
    "columns by name": lambda width: {
        "features": {"include": names(width), "exclude": ["y*"]},
        "penalty_factors": dict.fromkeys(names(width), 2.0),
        "bounds": {name: [0.0, 1.0] for name in names(width)},
    },
    "categories": lambda width: {"features": {"categorical": names(width)}},
    "dates": lambda width: {
        "features": {"dates": {name: ["month", "weekday"] for name in names(width)}}
    },
    "filters": lambda width: {
        "data": {"where": " AND ".join(f"{name} >= 0" for name in names(width)[1::2])},
        "holdout": {"where": " AND ".join(f"{name} > 1" for name in names(width)[1::2])},
    },
}
LAYOUTS = ("alike", "types differ", "columns differ", "delta")


def write(folder: Path, width: int, layout: str, *, dates: bool = False) -> None:
    values = np.arange(20)
    kind = "datetime64[s]" if dates else "int64"
    for i in range(N_FILES):
        columns = {name: values.astype(kind) for name in names(width)}
        if layout == "types differ" and not dates:
            columns = {name: v.astype("float64" if i % 2 else kind) for name, v in columns.items()}
        if layout in ("columns differ", "delta") and i == 1:
            columns = dict(list(columns.items())[1::2])
        table = pa.table({**columns, "y": values + 0.5 * (values % 3)})
        key = pa.array([f"{i}-{k}" for k in range(20)])
        for name in ("prediction", "prediction_low", "prediction_high"):
            table = table.append_column(name, table["y"])
        for name, column in (("id", key), ("day", pa.array(["2024-01-01"] * 20))):
            table = table.append_column(name, column)
        table = table.append_column("model_version", pa.array(["v1"] * 20))
        folder.mkdir(parents=True, exist_ok=True)
        if layout == "delta":
            write_deltalake(folder, table, mode="append", schema_mode="merge" if i else None)
        else:
            pq.write_table(table, folder / f"{i}.parquet")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], tuple[int, int]]:
    """Counts the names that a plan lists, and the footers that it reads."""
    footers: list[str] = []
    read_footer, discover = discovery.read_footer, discovery.discover

    def read(path: str, *state: Any) -> Any:
        footers.append(path)
        return read_footer(path, *state)

    monkeypatch.setattr(discovery, "read_footer", read)
    for module in (train_plan, score_plan, monitor_plan):
        monkeypatch.setattr(module, "discover", lambda *a, **k: counted(discover(*a, **k)))

    def measured(planning: Callable[[], object]) -> tuple[int, int]:
        CountedSchema.listed = 0
        footers.clear()
        planning()
        return CountedSchema.listed, len(footers)

    return measured


def train_job(folder: Path, width: int, **keys: Any) -> TrainJob:
    values = {
        "name": f"wide-{width}",
        "target": "y",
        "stability": None,
        "features": {"exclude": ["prediction*", "id", "day", "model_version"]},
        "registry": str(folder.parent / "models"),
        **keys,
        "data": {"path": str(folder), **keys.get("data", {})},
    }
    return TrainJob.from_values(values)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", TRAININGS)
def test_a_training_is_planned_in_proportion(
    case: str, layout: str, work: Callable[..., tuple[int, int]], tmp_path: Path
) -> None:
    per_column = []
    for width in WIDTHS:
        folder = tmp_path / str(width)
        write(folder, width, layout, dates=case == "dates")
        job = train_job(folder, width, **TRAININGS[case](width))
        listed, footers = work(lambda job=job: train_plan.plan(job).as_values())
        per_column.append(listed / width)
        assert footers == N_FILES
    assert per_column[1] <= 1.1 * per_column[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_scoring_and_a_monitoring_are_planned_in_proportion(
    layout: str, work: Callable[..., tuple[int, int]], tmp_path: Path
) -> None:
    per_column: list[tuple[float, float]] = []
    for width in WIDTHS:
        folder = tmp_path / str(width)
        write(folder, width, layout)
        fit = {"holdout": None, "stability": None, "search": {"alphas": [0.01], "folds": 2}}
        job = train_job(folder, width, **fit)
        train(job, workers=1)
        scoring = ScoreJob.from_values(
            {
                "model": f"{job.name}@v1",
                "data": {"path": str(folder)},
                "keys": ["id"],
                "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
                "drift": {"path": str(tmp_path / "drift"), "features": names(width)},
                "missing_columns": "impute",
                "registry": job.registry,
            }
        )
        monitoring = MonitorJob.from_values(
            {
                "model": job.name,
                "scores": {"path": str(folder)},
                "actuals": {"path": str(folder)},
                "keys": ["id"],
                "target": "y",
                "period": "day",
                "segments": [],
                "registry": job.registry,
            }
        )
        scored = work(lambda scoring=scoring: score_plan.plan(scoring).as_values())
        monitored = work(lambda monitoring=monitoring: monitor_plan.plan(monitoring))
        per_column.append((scored[0] / width, monitored[0] / width))
        assert (scored[1], monitored[1]) == (N_FILES, 2 * N_FILES)
    assert (np.array(per_column[1]) <= 1.1 * np.array(per_column[0])).all()
