"""Makes a model of a registry from a fitted estimator, and a fitted estimator from such a model."""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lasso_jobs.core.inference.diagnostics import diagnose
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.refits.left_out import importance
from lasso_jobs.core.rows.folds import KFold, k_folds
from lasso_jobs.engine.blas import one_blas_thread
from lasso_jobs.errors import JobError, ModelError
from lasso_jobs.estimator.search import Found
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.model import Model
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.training.build import build
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.read.scans.split_unit import SplitUnit
from lasso_jobs.training.recipe import path_search
from lasso_jobs.training.search import Selected, trials_of

if TYPE_CHECKING:
    from lasso_jobs.estimator.lasso_cv import LassoCV


def register(
    estimator: "LassoCV", registry: str | Path, name: str, target: str | None
) -> Registered:
    """Register a fit as a version of a model.

    It has what follows from the rows: drift's references, the curve, the certificate and the
    diagnostics. It has no hold-out, and so no intervals; nor a report, whose card names a job.

    Raises
    ------
    JobError
        If a name cannot be a model's, or the target is a feature.
    ModelError
        If the estimator was made of a model, or the version cannot be written.
    """
    found: Found | None = getattr(estimator, "_found", None)
    if found is None:
        raise ModelError(
            "LassoCV.to_model",
            "the estimator was made of a model",
            "one that was fitted to rows",
            "Register that model, or fit to rows",
        )
    job = _job(estimator, found, registry=registry, name=name, target=target)
    if job.target in found.recipe.columns.numeric:
        raise JobError(
            "LassoCV.to_model, target",
            f"{job.target!r} is a feature",
            "the name of another column",
            "Give the target's name",
        )
    model = _model(job, found)
    packages = ("numpy", "scipy", "numba", "pyarrow", "scikit-learn")
    provenance = {
        "trained_at": datetime.now(UTC).isoformat(),
        "rows": found.everything.n,
        "versions": {package: version(package) for package in packages},
    }
    return Registry(registry).register(model, provenance)


def _job(
    estimator: "LassoCV", found: Found, *, registry: str | Path, name: str, target: str | None
) -> TrainJob:
    """The job that a training would have had, but for its data and its folds."""
    alphas = estimator.alphas
    return TrainJob.from_values(
        {
            "name": name,
            # A path's name has at most 255 bytes, and folds may be listed row by row.
            "data": {"path": shorten(f"the rows of {estimator!r}.fit", 200, placeholder=" ...")},
            "target": target or found.reading.target,
            "intercept": estimator.fit_intercept,
            "preprocess": {"scaling": estimator.scaling, "missing": estimator.missing},
            "search": {
                "alphas": int(alphas) if np.ndim(alphas) == 0 else np.asarray(alphas).tolist(),
                "eps": float(estimator.eps),
                "folds": len(found.cv.fold_mse),
                "rule": estimator.rule,
                "fold_means": found.cv.fold_means,
            },
            "bounds": {name: [low, high] for name, (low, high) in found.recipe.bounds.items()},
            "holdout": None,
            "stability": None,
            "promote": "never",
            "registry": str(registry),
        },
        "LassoCV.to_model",
    )


def _model(job: TrainJob, found: Found) -> Model:
    summary, moments = found.summary, found.summary.moments
    groups = ResamplingGroups.of(moments.buckets[:-1])
    with one_blas_thread():
        diagnostics = diagnose(
            found.recipe,
            found.final,
            found.everything,
            groups,
            holdout=moments.holdout,
            search=path_search(job),
        )
        importances = importance(
            found.recipe,
            found.final,
            found.everything,
            trials_of(found.recipe, found.cv, None, k_folds(groups.moments)),
            judged_by="cross-validation",
        )
    selected = Selected(
        recipe=found.recipe,
        cv=found.cv,
        evaluated=None,
        final=found.final,
        rows=found.everything,
        stability=None,
        diagnostics=diagnostics,
        importance=importances,
    )
    n_sets = found.reading.n_buckets
    data = TrainingData(
        columns=found.recipe.columns,
        reading=found.reading,
        moments=moments,
        sample=replace(summary.sample, values=SampledRows(summary.sample.values).X),
        sampled=SampledRows(summary.sample.values),
        periods=summary.periods,
        held_out=SampledRows(summary.held_out.values),
        repeats=summary.repeats,
        counts=summary.counts,
        folds=KFold(n_sets, n_sets),
        groups=(),
        unlabelled=summary.unlabelled,
        unit=SplitUnit(None, "the splitter decides"),
    )
    return build(job, data, selected, None)


def from_model(cls: "type[LassoCV]", model: Model) -> "LassoCV":
    """A fitted estimator that predicts what a model does.

    Raises
    ------
    ModelError
    """
    columns = model.columns
    others = {
        "has categories": columns.categories,
        "has parts of dates": columns.dates,
        "has elements of vectors": columns.vectors,
        "has an offset": model.predictor.offset is not None,
        "has indicators of nulls": model.predictor.indicators,
        "is a mixture with a relaxed fit": model.gamma < 1,
        "has an l1_ratio below 1": model.l1_ratio < 1,
    }
    for found, there in others.items():
        if there:
            remedy = "Use model.predict, or model.to_sklearn()"
            raise ModelError(model.name, found, "a LASSO of columns of numbers", remedy)
    return _fitted(cls, model)


def _fitted(cls: "type[LassoCV]", model: Model) -> "LassoCV":
    how: dict[str, Any] = dict(model.job["preprocess"])
    search: dict[str, Any] = dict(model.job["search"])
    missing: Literal["error", "mean"] = "mean"
    if how["missing"] in ("error", "drop"):
        missing = "error"
    given = model.job.get("bounds", {})
    bounds = [tuple(map(float, given.get(name, ("-inf", "inf")))) for name in model.columns.numeric]
    estimator = cls(
        alphas=search["alphas"],
        eps=search["eps"] or 1e-3,
        cv=search["folds"],
        fit_intercept=model.job.get("intercept", True),
        positive=all(pair == (0, np.inf) for pair in bounds),
        rule=search["rule"],
        scaling=how["scaling"],
        missing=missing,
    )
    curve, predictor = model.curve, model.predictor
    estimator.alpha_, estimator.alphas_ = model.alpha, curve.alphas
    estimator.mse_path_ = curve.fold_mse.T
    estimator.coef_, estimator.intercept_ = predictor.coef.copy(), predictor.intercept
    estimator.n_features_in_ = len(predictor.coef)
    estimator.feature_names_in_ = np.array(model.columns.numeric, object)
    if missing == "mean":
        estimator.fill_ = predictor.fill.copy()
    return estimator
