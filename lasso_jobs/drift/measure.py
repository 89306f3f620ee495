"""Measures the drift of scored rows, judges it by the runs before, and stores it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lasso_jobs.core.drift import drift as d
from lasso_jobs.core.drift import verdicts as v
from lasso_jobs.core.drift.bins import bin_labels
from lasso_jobs.core.drift.chart import Chart
from lasso_jobs.core.drift.current import Current
from lasso_jobs.core.drift.pools import judge_with_earlier
from lasso_jobs.core.rows.columns import OTHER, distinct
from lasso_jobs.drift.acknowledge import acknowledgements, apply
from lasso_jobs.drift.correlations import correlation_shifts
from lasso_jobs.drift.history import History, Past
from lasso_jobs.drift.observe import (
    Observation,
    Observations,
    PartitionSegment,
    merged,
    of_no_rows,
)
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.drift.table import DriftRow, as_table, night_of, partition_name
from lasso_jobs.drift.watch import Run, Watch
from lasso_jobs.jobs.score import DriftOptions
from lasso_jobs.models.model import Model
from lasso_jobs.sinks import run_table
from lasso_jobs.sinks.protocol import Partition

MOST_SEGMENTS = 20
"""Of the most rows; the others are shown together."""


@dataclass(frozen=True, slots=True)
class RunDrift:
    """The drift of a run.

    Parameters
    ----------
    rows : tuple of DriftRow
        Empty if the job measures none.
    history : History or None
        The runs before, by which it was judged.
    version : int
        Of the table that has the rows; -1 for none.
    """

    rows: tuple[DriftRow, ...] = ()
    history: History | None = None
    version: int = -1


def measure_drift(
    watch: Watch,
    run: Run,
    *,
    model: Model,
    options: DriftOptions,
    observed: Iterable[Observations],
    emptied: Iterable[Partition] = (),
    past: Past | None = None,
) -> RunDrift:
    """Compare the scored rows with training, and store the comparison in the job's drift table.

    Work units merge in their own order, partitions are judged in theirs, and each by the runs of
    earlier partitions: so the same run has the same verdicts whenever it is repeated.

    Parameters
    ----------
    watch : Watch
    run : Run
    model : Model
    options : DriftOptions
    observed : iterable of dict
        What each work unit observed, in their order.
    emptied : iterable of Partition
        Partitions that have no rows: they are noted as such.
    past : Past, optional
        Of the job's drift table, as other runs of this process have left it.
    """
    segment = None if watch.segment is None else watch.segment.name
    total = _few_segments(_total(observed), segment)
    total |= {(key, ""): of_no_rows(watch) for key in emptied}
    if not total:
        return RunDrift()
    past = past or Past(options.path)
    fewest = min(of.features[PREDICTION].n for (_, segment), of in total.items() if not segment)
    history, known = past.before(run, fewest, options.min_rows), acknowledgements(options.path)
    rows: list[DriftRow] = []
    for (key, segment), observation in sorted(total.items(), key=_name_of_group):
        partition = partition_name(key)
        drifts = _measured(watch, model, observation)
        own = [DriftRow(run, partition, segment, drift) for drift in drifts]
        if segment:
            rows += [_not_judged(row) for row in own]
        else:
            rows += apply(_judged(own, history, model, options), known)
    version = run_table.replace_rows(options.path, as_table(rows), "run_id", run.id)
    past.add(run, rows, version)
    return RunDrift(tuple(rows), history, version)


def _name_of_group(item: tuple[PartitionSegment, Observation]) -> str:
    # Not of the observations as well: their numbers as text cost half a second.
    return str(item[0])


def _total(observed: Iterable[Observations]) -> Observations:
    total: Observations = {}
    for observations in observed:
        for group, observation in observations.items():
            total[group] = merged(total.get(group), observation)
    return total


def _few_segments(total: Observations, column: str | None) -> Observations:
    """The largest segments of all partitions together, and the others as one."""
    sizes: dict[str, int] = {}
    for (_, segment), observation in total.items():
        if segment:
            sizes[segment] = sizes.get(segment, 0) + observation.features[PREDICTION].n
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_SEGMENTS]
    few: Observations = {}
    for (key, segment), observation in sorted(total.items(), key=_name_of_group):
        name = segment if segment in ("", *largest) else f"{column}={OTHER}"
        few[key, name] = merged(few.get((key, name)), observation)
    return few


def _measured(watch: Watch, model: Model, observation: Observation) -> list[d.Drift]:
    drifts = [_feature(model, name, observation.features[name]) for name in watch.references]
    if observation.moments is not None:
        drifts += correlation_shifts(model, watch.columns, observation.moments)
    return drifts


def effect_of(model: Model, name: str) -> d.Effect:
    """How a feature enters a model's predictions; a prediction enters as itself."""
    means = model.references[name].means
    if name == PREDICTION:
        of_fit = np.array([model.prediction_mean])
        return d.Effect(np.ones(1), means if len(means) else of_fit, d.NAN)
    predictor, place = model.predictor, model.predictor.positions(name)
    numeric = model.columns.numeric
    fill = float(predictor.fill[numeric.index(name)]) if name in numeric else d.NAN
    means = means if len(means) else model.means[place]
    return d.Effect(predictor.coef[place], means, fill)


def _feature(model: Model, name: str, current: Current) -> d.Drift:
    kind, bins, missing = _kind_of(model, name, current)
    return d.measure(
        model.references[name],
        current,
        effect_of(model, name),
        feature=name,
        kind=kind,
        bins=bins,
        missing_share=missing,
    )


def _kind_of(model: Model, name: str, current: Current) -> tuple[d.Kind, tuple[str, ...], float]:
    """A feature's kind, the names of its bins, and the share of the rows with a null."""
    if name == PREDICTION:
        return "prediction", bin_labels(model.references[name].edges), 0.0
    if name in model.columns.numeric:
        missing = (int(current.counts[-1]) - current.n_nonfinite) / max(current.n, 1)
        return "numeric", bin_labels(model.references[name].edges), missing
    category = next(c for c in model.columns.categories if c.name == name)
    levels = category.levels
    missing = float(current.shares[levels.index(None)]) if None in levels else 0.0
    more = [("unseen", "unseen"), ("missing", "missing")]
    return "categorical", distinct([*category.level_spellings, *more]), missing


def _not_judged(row: DriftRow) -> DriftRow:
    note = "not judged: the model keeps no reference for segments"
    return replace(row, drift=replace(row.drift, reason=note))


def _judged(
    rows: Sequence[DriftRow], history: History, model: Model, options: DriftOptions
) -> list[DriftRow]:
    """The rows of a whole partition with their verdicts, which the history then knows too."""
    selected = {*model.predictor.used, PREDICTION}
    night, least = night_of(rows[0].partition), options.min_rows
    drifts = {row.drift.feature: row.drift for row in rows if row.drift.kind != "correlation"}
    baselines = {name: model.references[name].baseline for name in drifts if name in selected}
    used = {
        name: replace(drifts[name], usual_shift=baseline.usual_shift(night))
        for name, baseline in baselines.items()
    }
    judges = {
        name: partial(_judge(model, name), n_judged=len(used), min_rows=least, night=night)
        for name in used
    }
    verdicts = judge_with_earlier(
        used,
        history.before(rows[0].partition),
        judges,
        min_rows=least,
        persistence=options.persistence,
        chart=Chart(baselines, model.prediction_sd, night),
    )
    judged = []
    for row in rows:
        name = row.drift.feature
        if row.drift.kind != "correlation":
            drift = verdicts[name] if name in used else v.not_used(row.drift)
            row = replace(row, drift=drift)
            history.add(row)
        judged.append(row)
    return judged


def _judge(model: Model, name: str) -> v.Judge:
    return partial(
        v.judge_drift,
        baseline=model.references[name].baseline,
        prediction_sd=model.prediction_sd,
        terms=effect_of(model, name).terms(model.references[name]),
    )
