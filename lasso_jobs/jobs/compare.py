"""Comparison: other estimators, searched on a sample of the training rows over the job's folds.

The LASSO's own row follows from the moments of the sampled rows, by the training's own code.
"""

import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.core import design as d
from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core.choice import CrossValidation, mean_and_error
from lasso_jobs.core.design import Recipe
from lasso_jobs.core.lasso import alpha_max
from lasso_jobs.core.moments import Floats
from lasso_jobs.engine.search import require_dask_ml, search, sent
from lasso_jobs.engine.tasks import result_of
from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.jobs.alpha_search import cross_validate, predictor_of, recipe_of, sample_for_scaling
from lasso_jobs.jobs.clock import Clock, Report, progress_of
from lasso_jobs.jobs.compare_families import Family, families
from lasso_jobs.jobs.compare_job import LASSO, LASSO_MIN
from lasso_jobs.jobs.compare_pipeline import MODEL, pipeline, score
from lasso_jobs.jobs.compare_result import Comparison, Searched
from lasso_jobs.jobs.compare_sample import TrainingSample, draw
from lasso_jobs.jobs.gather import Gathered, gather
from lasso_jobs.jobs.train_job import TrainJob
from lasso_jobs.jobs.train_plan import TrainPlan, plan

if TYPE_CHECKING:
    from distributed import Client, Future


def compare(
    job: TrainJob,
    cluster: str | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> Comparison:
    """Search other estimators on a sample of a training's rows, over its folds.

    Parameters
    ----------
    job : TrainJob
        Its ``compare`` section says which.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    report : callable, optional
        Called with the stage's name, the partitions or fits done, and all of them.

    Raises
    ------
    LassoJobsError
    """
    require_dask_ml()
    from lasso_jobs.engine.cluster import connect

    families(job, 1.0, 1)  # What is wrong in the job is said before anything is read.
    clock = Clock()
    planned = plan(job)
    clock.lap("plan")
    with connect(cluster, workers) as client:
        clock.lap("cluster")
        gathered = gather(client, planned, report)
        clock.lap("moments")
        sample = draw(client, planned, gathered, job.compare.rows, report)
        clock.lap("sample")
        in_folds = _in_folds(gathered)
        recipe = recipe_of(job, gathered.columns, m.merge(in_folds, gathered.moments.holdout))
        scaling = sample_for_scaling(planned, gathered)
        all_rows = cross_validate(job, gathered, recipe, in_folds, scaling)
        lassos = _lassos(planned, sample, recipe)
        clock.lap(LASSO)
        rows = _Rows.of(client, planned, sample, recipe, lassos[-1])
        others = []
        found = families(job, _alpha_max(recipe, sample.gathered), len(sample.y))
        for k, family in enumerate(found, 1):
            stage = f"{family.name} ({k} of {len(found)})"
            others.append(rows.search(family, report, stage))
            clock.lap(family.name)
    return Comparison(
        job,
        len(sample.y),
        sample.n_rows,
        rows.n_bytes,
        all_rows,
        (*lassos, *others),
        clock.seconds(),
        gathered.counts.bytes_read,
    )


def _in_folds(gathered: Gathered) -> m.Moments:
    return gathered.moments.merged(range(gathered.reading.n_buckets))


def _alpha_max(recipe: Recipe, gathered: Gathered) -> float:
    """Of a LASSO without penalty factors and weights of its own."""
    plain = replace(recipe, l1_ratio=1.0, penalty_factors={}, bounds={}, adaptive=False)
    return alpha_max(d.fit(plain, _in_folds(gathered), gathered.sample).problem)


def _lassos(planned: TrainPlan, sample: TrainingSample, recipe: Recipe) -> list[Searched]:
    """The LASSO by the job's rule, and that of the least error if it is another."""
    gathered = sample.gathered
    scaling = sample_for_scaling(planned, gathered)
    cv = cross_validate(planned.job, gathered, recipe, _in_folds(gathered), scaling)
    least = replace(cv, rule="min")
    how = (cv.fold_weight, cv.fold_means, cv.repeats)
    found: list[Searched] = []
    for name, chosen in ((LASSO, cv), (LASSO_MIN, least)):
        if found and chosen.index == cv.index:
            break
        fold_mse = cv.fold_mse[:, chosen.index]
        paired = mean_and_error(fold_mse - cv.fold_mse[:, least.index], *how)
        seconds, size = _refitted(planned, sample, recipe, chosen)
        found.append(
            Searched(
                name,
                len(cv.alphas),
                {"alpha": chosen.alpha, "l1_ratio": chosen.l1_ratio, "gamma": chosen.gamma},
                fold_mse,
                float(cv.mse[chosen.index]),
                float(cv.mse_se[chosen.index]),
                float(paired[0]),
                float(paired[1]),
                seconds,
                size,
                True,
            )
        )
    return found


def _refitted(
    planned: TrainPlan, sample: TrainingSample, recipe: Recipe, cv: CrossValidation
) -> tuple[float, int]:
    """Seconds of a fit to all sampled rows, moments included, and bytes of it."""
    start = time.perf_counter()
    weights = None if planned.job.weight is None else sample.rows.values[-1]
    moments = m.of_rows(sample.rows.values[:-1], weights)
    recipe, scaling = replace(recipe, l1_ratio=cv.l1_ratio), sample.gathered.sample
    fit = selection.fit(recipe, moments, cv.alphas_to_chosen, cv.gamma, scaling)
    predictor = predictor_of(recipe, fit)
    return time.perf_counter() - start, len(pickle.dumps(predictor))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The sampled rows on the cluster, and what the families are held against."""

    client: "Client"
    planned: TrainPlan
    recipe: Recipe
    reference: Searched
    X: "Future[Any]"
    y: "Future[Any]"
    splits: Sequence[Any]
    fold_weight: Floats
    n_bytes: int

    @classmethod
    def of(
        cls,
        client: "Client",
        planned: TrainPlan,
        sample: TrainingSample,
        recipe: Recipe,
        reference: Searched,
    ) -> "_Rows":
        matrix, splits = sample.X(), sample.splits()
        weight = np.array([matrix[test, -1].sum() for _, test in splits])
        X, y = sent(client, matrix, sample.y)
        return cls(client, planned, recipe, reference, X, y, splits, weight, matrix.nbytes)

    def search(self, family: Family, report: Report | None, stage: str) -> Searched:
        """Search a family, then fit its best setting to all sampled rows."""
        job = self.planned.job
        estimator = pipeline(self.recipe, family.estimator, job.weight is not None)
        progress = progress_of(report, stage)
        with _told(family.name, "a fit failed"):
            found = search(
                *(self.client, estimator, family.settings, self.X, self.y),
                *(self.splits, score, progress),
            )
        fold_mse = -found.by_fold
        if not np.isfinite(fold_mse).all():
            raise _failed(family.name, "a prediction is not finite")
        how = (self.fold_weight, job.search.fold_means, job.search.repeats)
        mean, standard_error = mean_and_error(fold_mse, *how)
        best = int(np.argmin(mean))
        paired = fold_mse[:, best] - self.reference.fold_mse
        difference, difference_se = mean_and_error(paired, *how)
        params = found.settings[best]
        with _told(family.name, "the fit to all sampled rows failed"):
            fitted = self.client.submit(_fitted, estimator, params, self.X, self.y, pure=False)
            seconds, size, linear = result_of(fitted, f"the fit of {family.name}")
        return Searched(
            family.name,
            len(found.settings),
            {key.removeprefix(MODEL): _plain(value) for key, value in params.items()},
            fold_mse[:, best],
            float(mean[best]),
            float(standard_error[best]),
            float(difference),
            float(difference_se),
            seconds,
            size,
            linear,
        )


def _fitted(
    estimator: Any, params: Mapping[str, Any], X: Floats, y: Floats
) -> tuple[float, int, bool]:
    """Seconds of a fit, bytes of it, and whether it has coefficients."""
    start = time.perf_counter()
    fitted = estimator.set_params(**params).fit(X, y)
    seconds = time.perf_counter() - start
    linear = hasattr(fitted["model"].estimator_, "coef_")
    return seconds, len(pickle.dumps(fitted["model"].estimator_)), linear


@contextmanager
def _told(family: str, what: str) -> Iterator[None]:
    """Turn what an estimator raises into words."""
    try:
        yield
    except LassoJobsError:
        raise
    except Exception as error:
        raise _failed(family, f"{what} ({type(error).__name__}: {error})") from error


def _failed(family: str, found: str) -> JobError:
    return JobError(
        f"compare, {family}",
        found,
        "fits that predict numbers, and that pickle can write",
        "Correct its params and its search, or leave it out",
    )


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's."""
    return value.item() if isinstance(value, np.generic) else value
