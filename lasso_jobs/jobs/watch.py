"""Drift of the scored rows against the model's training rows, and against the runs before."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lasso_jobs.artifacts.model import Model
from lasso_jobs.core import drift as d
from lasso_jobs.core import verdicts as v
from lasso_jobs.core.columns import OTHER
from lasso_jobs.core.current import Current
from lasso_jobs.data import sinks
from lasso_jobs.data.staging import Partition
from lasso_jobs.jobs.correlations import correlation_shifts
from lasso_jobs.jobs.history import History
from lasso_jobs.jobs.references import PREDICTION
from lasso_jobs.jobs.score_job import DriftOptions
from lasso_jobs.jobs.score_plan import ScorePlan
from lasso_jobs.jobs.scored import Observed, Scored, Watched, merged

MOST_SEGMENTS = 20
"""Of the most rows; the others are shown together."""


@dataclass(frozen=True, slots=True)
class PartitionDrift:
    """The drift of one feature in one partition of the output, or in a segment of it."""

    partition: str
    segment: str
    drift: d.Drift


@dataclass(frozen=True, slots=True)
class Measured:
    """Drift, and the version of the table that has it; -1 if the job keeps none."""

    rows: tuple[PartitionDrift, ...]
    version: int


def measure_drift(planned: ScorePlan, parts: Sequence[Scored]) -> Measured:
    """Compare the scored rows with training, and store the comparison in the job's drift table.

    Parts merge in their own order, partitions are judged in theirs, and each by the runs of earlier
    partitions: so the same run has the same verdicts whenever it is repeated.
    """
    job = planned.job.drift
    if job is None:
        return Measured((), -1)
    history = History.of(job.path, planned.registered.model.name, planned.scoring)
    rows: list[PartitionDrift] = []
    for (key, segment), seen in sorted(_few_segments(_total(parts)).items(), key=str):
        partition = partition_name(key)
        found = _measured(planned, seen)
        if segment:
            note = "not judged: training has no reference of the segment"
            found = [replace(drift, reason=note) for drift in found]
        else:
            found = _judged(planned, job, found, history, partition)
        rows += [PartitionDrift(partition, segment, drift) for drift in found]
    table = _drift_table(planned, rows)
    version = sinks.replace_rows(job.path, table, "run_id", planned.run_id)
    return Measured(tuple(rows), version)


def _total(parts: Sequence[Scored]) -> Watched:
    total: Watched = {}
    for part in parts:
        for group, seen in part.watched.items():
            total[group] = merged(total.get(group), seen)
    return total


def _few_segments(total: Watched) -> Watched:
    """The largest segments of all partitions together, and the others as one."""
    sizes: dict[str, int] = {}
    for (_, segment), seen in total.items():
        if segment:
            sizes[segment] = sizes.get(segment, 0) + seen.features[PREDICTION].n
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_SEGMENTS]
    few: Watched = {}
    for (key, segment), seen in sorted(total.items(), key=str):
        column = segment.partition("=")[0]
        name = segment if segment in ("", *largest) else f"{column}={OTHER}"
        few[key, name] = merged(few.get((key, name)), seen)
    return few


def _measured(planned: ScorePlan, seen: Observed) -> list[d.Drift]:
    model, watched = planned.registered.model, planned.scoring.watched
    found = [_feature(model, name, seen.features[name]) for name in watched]
    if seen.moments is not None:
        columns = planned.scoring.predictor.columns
        found += correlation_shifts(model, columns, seen.moments)
    return found


def effect_of(model: Model, name: str) -> d.Effect:
    """How a feature enters a model's predictions; a prediction enters as itself."""
    if name == PREDICTION:
        return d.Effect(np.ones(1), np.array([model.prediction_mean]), d.NAN)
    predictor, place = model.predictor, model.predictor.positions(name)
    numeric = model.columns.numeric
    fill = float(predictor.fill[numeric.index(name)]) if name in numeric else d.NAN
    return d.Effect(predictor.coef[place], model.means[place], fill)


def _feature(model: Model, name: str, current: Current) -> d.Drift:
    reference, effect = model.references[name], effect_of(model, name)
    if name == PREDICTION:
        bins = d.bin_labels(reference.edges)
        return d.measure(name, "prediction", bins, reference, current, effect, 0.0)
    if name in model.columns.numeric:
        missing = (int(current.counts[-1]) - current.n_nonfinite) / max(current.n, 1)
        bins = d.bin_labels(reference.edges)
        return d.measure(name, "numeric", bins, reference, current, effect, missing)
    category = next(c for c in model.columns.categories if c.name == name)
    labels = [label.removeprefix(f"{name}=") for label in category.labels]
    levels = category.levels
    missing = float(current.shares[levels.index(None)]) if None in levels else 0.0
    bins = (*labels, "unseen", "missing")
    return d.measure(name, "categorical", bins, reference, current, effect, missing)


def _judged(
    planned: ScorePlan,
    job: DriftOptions,
    found: Sequence[d.Drift],
    history: History,
    partition: str,
) -> list[d.Drift]:
    model, judged = planned.registered.model, []
    used = {row.feature for row in found if row.feature in planned.scoring.used} | {PREDICTION}
    for row in found:
        if row.kind != "correlation":
            days, sd = model.references[row.feature].days, model.prediction_sd
            row = v.judge(row, days, sd, row.feature in used, len(used))
            before = history.affected(partition, row.feature)
            row = v.persisting(row, before, *job.persistence)
            history.add(partition, row.feature, v.affected(row))
        judged.append(row)
    return judged


def _drift_table(planned: ScorePlan, rows: Sequence[PartitionDrift]) -> pa.Table:
    scoring, n_rows = planned.scoring, len(rows)
    columns = {
        "run_id": pa.array([scoring.run_id] * n_rows, pa.string()),
        "scored_at": pa.array([scoring.scored_at] * n_rows, pa.timestamp("us", "UTC")),
        "model": pa.array([planned.registered.model.name] * n_rows, pa.string()),
        "model_version": pa.array([scoring.model_version] * n_rows, pa.string()),
        "partition": pa.array([row.partition for row in rows], pa.string()),
        "segment": pa.array([row.segment for row in rows], pa.string()),
    }
    for field in dataclasses.fields(d.Drift):
        values = [getattr(row.drift, field.name) for row in rows]
        columns[field.name] = pa.array(
            values, _TYPES.get(field.name, pa.float64()), from_pandas=True
        )
    return pa.table(columns)


_TEXTS = ("feature", "kind", "raised", "verdict", "reason")
_TYPES: Mapping[str, pa.DataType] = {
    **dict.fromkeys(_TEXTS, pa.string()),
    **dict.fromkeys(("n", "n_nonfinite"), pa.int64()),
    "bins": pa.list_(pa.string()),
    "counts": pa.list_(pa.int64()),
    "reference_shares": pa.list_(pa.float64()),
}


def partition_name(key: Partition) -> str:
    """As the drift table has it."""
    return "/".join(f"{column}={value}" for column, value in key) or "all"
