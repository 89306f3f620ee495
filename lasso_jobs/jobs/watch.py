"""Drift of the scored rows against the model's training rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core import drift as d
from lasso_jobs.data import sinks
from lasso_jobs.data.staging import Partition
from lasso_jobs.jobs.references import PREDICTION
from lasso_jobs.jobs.score_plan import ScorePlan
from lasso_jobs.jobs.scored import Scored, Watched


@dataclass(frozen=True, slots=True)
class PartitionDrift:
    """The drift of one feature in one partition of the output."""

    partition: str
    drift: d.Drift


@dataclass(frozen=True, slots=True)
class Measured:
    """Drift, and the version of the table that has it; -1 if the job keeps none."""

    rows: tuple[PartitionDrift, ...]
    version: int


def measure_drift(planned: ScorePlan, parts: Sequence[Scored]) -> Measured:
    """Compare the scored rows with training, and store the comparison in the job's drift table."""
    total: Watched = {}
    for part in parts:
        for key, features in part.watched.items():
            merged = total.setdefault(key, {})
            for name, current in features.items():
                merged[name] = d.merge(merged[name], current) if name in merged else current
    model = planned.registered.model
    rows = tuple(
        PartitionDrift(_partition_name(key), _compared(model, name, current))
        for key in sorted(total, key=str)
        for name, current in total[key].items()
    )
    if planned.job.drift is None:
        return Measured(rows, -1)
    table = _drift_table(planned, rows)
    version = sinks.replace_rows(planned.job.drift.path, table, "run_id", planned.run_id)
    return Measured(rows, version)


def _compared(model: Model, name: str, current: d.Current) -> d.Drift:
    reference, predictor = model.references[name], model.predictor
    if name == PREDICTION:
        shift = current.mean - model.prediction_mean if current.n else 0.0
        return d.compare(name, reference, current, 0.0, shift, model.prediction_sd, used=True)
    positions = predictor.positions(name)
    coef, means = predictor.coef[positions], model.means[positions]
    if name in model.columns.numeric:
        missing = float(current.shares[-1])
        fill = predictor.fill[model.columns.numeric.index(name)]
        now = np.array([current.mean * (1 - missing) + fill * missing, missing][: len(positions)])
    else:
        category = next(c for c in model.columns.categories if c.name == name)
        now = current.shares[:-1]
        missing = float(now[category.levels.index(None)]) if None in category.levels else 0.0
    shift = float(coef @ (now - means)) if current.n else 0.0
    used = bool(np.any(coef != 0))
    return d.compare(name, reference, current, missing, shift, model.prediction_sd, used)


def _drift_table(planned: ScorePlan, rows: Sequence[PartitionDrift]) -> pa.Table:
    scoring, n_rows = planned.scoring, len(rows)
    names = ("feature", "n", "missing_share", "mean", "psi", "score_shift", "verdict", "reason")
    columns = {
        "run_id": pa.array([scoring.run_id] * n_rows, pa.string()),
        "scored_at": pa.array([scoring.scored_at] * n_rows, pa.timestamp("us", "UTC")),
        "model_version": pa.array([scoring.model_version] * n_rows, pa.string()),
        "partition": pa.array([row.partition for row in rows], pa.string()),
    }
    types = {"n": pa.int64(), "feature": pa.string(), "verdict": pa.string(), "reason": pa.string()}
    for name in names:
        values = [getattr(row.drift, name) for row in rows]
        columns[name] = pa.array(values, types.get(name, pa.float64()), from_pandas=True)
    return pa.table(columns)


def _partition_name(key: Partition) -> str:
    return "/".join(f"{column}={value}" for column, value in key) or "all"
