"""Searches other estimators on a sample of the training rows, over the job's folds.

The LASSO's own row follows from the moments of the sampled rows, by the training's own code.
"""

import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lasso_jobs.comparison.dask_ml_search import (
    RowsOnCluster,
    Split,
    require_dask_ml,
    search,
    send,
)
from lasso_jobs.comparison.families import Family, families
from lasso_jobs.comparison.importance import ColumnsOf, shuffled_errors, shuffled_features
from lasso_jobs.comparison.lasso_results import (
    alpha_max_of,
    in_folds,
    lasso_results,
    test_to_train,
)
from lasso_jobs.comparison.paired import PairedDifference, paired_difference
from lasso_jobs.comparison.pipeline import MODEL, LassoAtAlpha, pipeline, score
from lasso_jobs.comparison.result import Comparison, FamilyResult, Refit
from lasso_jobs.comparison.sample import TrainingSample, draw
from lasso_jobs.core.fit.choice import CrossValidation, mean_and_error
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.engine.dask_workers import DaskWorkers, result_of
from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.jobs.compare import LASSO
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.progress import Clock, Progress, of_stage
from lasso_jobs.training.gather import gather
from lasso_jobs.training.plan import TrainPlan, plan
from lasso_jobs.training.recipe import recipe_of
from lasso_jobs.training.search import cross_validate, sample_for_scaling

if TYPE_CHECKING:
    from distributed import Client


def compare(
    job: TrainJob,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Search other estimators on a sample of a training's rows, over its folds.

    Parameters
    ----------
    job : TrainJob
        Its ``compare`` section says which.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    progress : callable, optional
        Called with the stage's name, the work units or fits done, and all of them.

    Raises
    ------
    LassoJobsError
    """
    require_dask_ml()
    from lasso_jobs.engine.cluster_options import Cluster
    from lasso_jobs.engine.dask_client import dask_client

    families(job, 1.0, 1)  # What is wrong in the job is said before anything is read.
    clock = Clock()
    planned = plan(job)
    _refuse_screening(planned)
    clock.lap("plan")
    with dask_client(Cluster.of(cluster, workers)) as client:
        clock.lap("cluster")
        return _compared(client, planned, clock, progress)


def _refuse_screening(planned: TrainPlan) -> None:
    """Refuse columns that the LASSO would choose, by rows that the others are then tested on."""
    if planned.engine == "screened":
        columns = f"the {len(planned.features.numeric):,} numeric columns"
        if planned.features.tokens:
            columns = f"the tokens of {planned.features.tokens[0].column!r}"
        raise _screened(columns)


def _screened(columns: str) -> JobError:
    return JobError(
        "search.engine",
        f"{columns} would be screened by the LASSO",
        "all columns for every estimator",
        "Set search.engine to all, or include fewer columns",
    )


def _compared(
    client: "Client", planned: TrainPlan, clock: Clock, progress: Progress | None
) -> Comparison:
    job = planned.job
    workers = DaskWorkers(client)
    gathered = gather(lambda: workers, planned, progress)
    if gathered.screened is not None:  # as the listed levels were so many
        raise _screened("the levels of the categories")
    clock.lap("moments")
    sample = draw(workers, planned, gathered, most=job.compare.rows, progress=progress)
    clock.lap("sample")
    rows = in_folds(gathered)
    recipe = recipe_of(job, gathered.columns, gathered.moments)
    scaling = sample_for_scaling(planned, gathered)
    all_rows = cross_validate(job, gathered, recipe, in_folds=rows, sample=scaling)
    splits = sample.splits()
    ratio = test_to_train(sample.weights, splits)
    lassos, least = lasso_results(planned, sample, recipe, ratio)
    searching = _searching(
        client, job, recipe, sample=sample, reference=lassos[-1], splits=splits, ratio=ratio
    )
    lassos[-1] = replace(lassos[-1], importance=searching.importance_of_lasso(least))
    clock.lap(LASSO)
    others = []
    chosen = families(job, alpha_max_of(recipe, sample.gathered), len(sample.y))
    for k, family in enumerate(chosen, 1):
        stage = f"{family.name} ({k} of {len(chosen)})"
        others.append(searching.result(family, of_stage(progress, stage)))
        clock.lap(family.name)
    return Comparison(
        job=job,
        sample_rows=len(sample.y),
        n_rows=sample.n_rows,
        sample_bytes=searching.rows.n_bytes,
        all_rows=all_rows,
        families=(*lassos, *others),
        test_to_train=ratio,
        seconds=clock.seconds(),
        bytes_read=gathered.counts.bytes_read,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searching:
    """The sampled rows on the cluster, and what the families are held against."""

    client: "Client"
    job: TrainJob
    recipe: Recipe
    reference: FamilyResult
    rows: RowsOnCluster
    fold_weight: Floats
    features: ColumnsOf
    ratio: float

    def importance_of_lasso(self, cv: CrossValidation) -> dict[str, PairedDifference]:
        """The importance of each feature to the LASSO of a search's choice."""
        recipe = replace(self.recipe, l1_ratio=cv.l1_ratio)
        return self._importance(LassoAtAlpha(recipe, cv.alphas_to_chosen, cv.gamma), {})

    def result(self, family: Family, advance: Callable[[int, int], None] | None) -> FamilyResult:
        """Search a family, then fit its best setting to all sampled rows."""
        estimator = pipeline(self.recipe, family.estimator, self.job.weight is not None)
        with _as_job_error(family.name, "a fit failed"):
            scores = search(
                self.client, estimator, family.space, self.rows, scoring=score, progress=advance
            )
        fold_mse = -scores.by_fold
        if not np.isfinite(fold_mse).all():
            raise _failed(family.name, "a prediction is not finite")
        mean, standard_error = self._mean_and_error(fold_mse)
        best = int(np.argmin(mean))
        paired = fold_mse[:, best] - self.reference.fold_mse
        params = scores.settings[best]
        with _as_job_error(family.name, "the fit to all sampled rows failed"):
            X, y = self.rows.X, self.rows.y
            future = self.client.submit(_refitted, estimator, params, X=X, y=y, pure=False)
            refit = result_of(future, f"the fit of {family.name}")
            importance = self._importance(estimator, params)
        return FamilyResult(
            family=family.name,
            settings=len(scores.settings),
            params={key.removeprefix(MODEL): _plain(value) for key, value in params.items()},
            fold_mse=fold_mse[:, best],
            mse=float(mean[best]),
            mse_se=float(standard_error[best]),
            paired=paired_difference(paired, self._counts, self.ratio),
            refit=refit,
            importance=importance,
        )

    def _importance(self, estimator: Any, params: Mapping[str, Any]) -> dict[str, PairedDifference]:
        """How much the error rises where a feature is shuffled, in folds of the first repeat."""
        n_folds = len(self.rows.splits) // self.job.search.repeats
        futures = [
            self.client.submit(
                shuffled_errors,
                estimator,
                params,
                split,
                features=self.features,
                seed=self.job.seed,
                X=self.rows.X,
                y=self.rows.y,
                pure=False,
            )
            for split in self.rows.splits[:n_folds]
        ]
        errors = np.array([result_of(future, "a fit of the importances") for future in futures])
        rises = errors[:, 1:] - errors[:, :1]
        return {
            name: paired_difference(rise, self._counts[:n_folds], self.ratio)
            for name, rise in zip(self.features, rises.T, strict=True)
        }

    @property
    def _counts(self) -> Floats:
        """How much each fold counts in a mean."""
        by_size = self.job.search.fold_means == "size"
        return self.fold_weight if by_size else np.ones(len(self.fold_weight))

    def _mean_and_error(self, fold_mse: Floats) -> tuple[Floats, Floats]:
        search = self.job.search
        return mean_and_error(fold_mse, self.fold_weight, search.fold_means, search.repeats)


def _searching(
    client: "Client",
    job: TrainJob,
    recipe: Recipe,
    *,
    sample: TrainingSample,
    reference: FamilyResult,
    splits: Sequence[Split],
    ratio: float,
) -> _Searching:
    matrix = sample.X()
    return _Searching(
        client=client,
        job=job,
        recipe=recipe,
        reference=reference,
        rows=send(client, matrix, sample.response, splits),
        fold_weight=np.array([matrix[test, -1].sum() for _, test in splits]),
        features=shuffled_features(sample.gathered.columns, matrix, sample.response, recipe.offset),
        ratio=ratio,
    )


def _refitted(estimator: Any, params: Mapping[str, Any], X: Floats, y: Floats) -> Refit:
    start = time.perf_counter()
    fitted = estimator.set_params(**params).fit(X, y)
    seconds = time.perf_counter() - start
    model = fitted["model"].estimator_
    return Refit(seconds, len(pickle.dumps(model)), linear=hasattr(model, "coef_"))


@contextmanager
def _as_job_error(family: str, what: str) -> Iterator[None]:
    """Turn what an estimator raises into an error of ours, in words."""
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
