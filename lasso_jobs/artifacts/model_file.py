"""A model on disk: ``model.json`` for what a person reads, ``arrays.npz`` for the numbers.

No code is stored and none is run on loading. The digest covers both files' contents, so that two
models are bitwise the same if and only if their digests are.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.artifacts import findings_file
from lasso_jobs.artifacts.model import (
    MEASURES,
    Certificate,
    Curve,
    Expectation,
    Holdout,
    Model,
)
from lasso_jobs.core.clusters import Estimate
from lasso_jobs.core.columns import Category, Columns, DateFeature
from lasso_jobs.core.drift import Reference
from lasso_jobs.core.limits import Innocent, Span
from lasso_jobs.core.predict import Predictor
from lasso_jobs.data import storage
from lasso_jobs.errors import FormatError, ModelError

FORMAT = 4
ARRAYS, DOCUMENT = "arrays.npz", "model.json"
Arrays = dict[str, NDArray[Any]]


def digest(model: Model) -> str:
    """SHA-256 of everything that is in the model."""
    return _digest(*_split(model))


def pack(model: Model, provenance: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a model, by name; ``model.json`` comes last.

    Parameters
    ----------
    model : Model
    provenance : mapping
        When and how this training ran; not part of the model, nor of its digest.
    """
    content, arrays = _split(model)
    document = {
        "format": FORMAT,
        "digest": _digest(content, arrays),
        "model": content,
        "provenance": dict(provenance),
    }
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    text = json.dumps(document, indent=2, allow_nan=False)
    return {ARRAYS: archive.getvalue(), DOCUMENT: (text + "\n").encode()}


def read(folder: str | Path) -> tuple[Model, str, dict[str, Any]]:
    """Read a model, its digest and its provenance.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or of another format.
    """
    document = _document(folder)
    try:
        found_format = document["format"]
        if found_format != FORMAT:
            raise FormatError(
                str(folder),
                f"has format {found_format}",
                f"format {FORMAT}",
                "Use the version of lasso_jobs that wrote it, or retrain and promote",
            )
        archive = io.BytesIO(storage.read(storage.join(str(folder), ARRAYS)))
        with np.load(archive, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        content, stated, provenance = document["model"], document["digest"], document["provenance"]
    except ModelError:
        raise
    except Exception as error:
        raise _damaged(folder, error) from error
    if _digest(content, arrays) != stated:
        raise ModelError(
            str(folder),
            "does not match its digest",
            f"SHA-256 {stated}",
            "It was changed after training: restore it, or promote another version",
        )
    return _join(content, arrays), stated, provenance


def stated_digest(folder: str | Path) -> str:
    """The digest that a stored model claims; only `read` checks it.

    Raises
    ------
    ModelError
    """
    return str(_document(folder).get("digest"))


def _document(folder: str | Path) -> dict[str, Any]:
    try:
        document = json.loads(storage.read(storage.join(str(folder), DOCUMENT)))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if not isinstance(document, dict):
        raise _damaged(folder, TypeError("not a JSON object"))
    return document


def _damaged(folder: str | Path, error: Exception) -> ModelError:
    return ModelError(
        str(folder),
        f"cannot be read ({error!r})",
        "an intact model",
        "Restore it, or promote another version",
    )


def _digest(content: Mapping[str, Any], arrays: Arrays) -> str:
    sha = hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _split(model: Model) -> tuple[dict[str, Any], Arrays]:
    """The part for JSON, and the arrays."""
    evaluated, holdout = model.evaluated, model.holdout
    findings, arrays_of_findings = findings_file.split(model.stability, model.diagnostics)
    content = {
        "name": model.name,
        "target": model.target,
        "n_rows": model.n_rows,
        "numeric": list(model.columns.numeric),
        "dates": [dataclasses.asdict(date) for date in model.columns.dates],
        "categories": [_category(c) for c in model.columns.categories],
        "evaluated_categories": None
        if evaluated is None
        else [_category(c) for c in evaluated.columns.categories],
        "indicators": list(model.predictor.indicators),
        "labels": list(model.labels),
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "gamma": model.gamma,
        "intercept": model.intercept,
        "evaluated_intercept": None if evaluated is None else evaluated.intercept,
        "prediction_mean": model.prediction_mean,
        "prediction_sd": model.prediction_sd,
        "alpha_min": model.curve.alpha_min,
        "alpha_1se": model.curve.alpha_1se,
        "n_left_out": model.curve.n_left_out,
        "cv_repeats": model.curve.repeats,
        "holdout": None if holdout is None else dataclasses.asdict(holdout),
        "certificate": dataclasses.asdict(model.certificate),
        "findings": findings,
        "references": list(model.references),
        "job": dict(model.job),
    }
    arrays = {
        "coef": model.predictor.coef,
        "fill": model.predictor.fill,
        "standardised": model.standardised,
        "means": model.means,
        "deviations": model.deviations,
        "scales": model.scales,
        **arrays_of_findings,
        **{f"cv.{name}": getattr(model.curve, name) for name in _CURVE},
        "references": np.array([_numbers(r) for r in model.references.values()]),
    }
    for i, reference in enumerate(model.references.values()):
        for name in _BINS:
            arrays[f"reference.{i}.{name}"] = getattr(reference, name)
        own = [[getattr(span, name) for name in _OF_SPAN] for span in reference.days.spans]
        arrays[f"reference.{i}.spans"] = np.array(own, float).reshape(-1, len(_OF_SPAN))
    if evaluated is not None:
        arrays["evaluated_coef"], arrays["evaluated_fill"] = evaluated.coef, evaluated.fill
    return content, arrays


_CURVE = ("l1_ratios", "gammas", "alphas", "mse", "mse_se", "n_nonzero", "fold_mse", "fold_weight")


_BINS = ("edges", "shares", "places")
_OF_REFERENCE = ("mean", "sd", "low", "high", "missing_share", "variance")
_OF_DAYS = ("n_periods", "n_sampled", "variance", "rows")
_OF_SPAN = ("between", "extreme", "psi", "missing")


def _numbers(reference: Reference) -> list[float]:
    own = [getattr(reference, name) for name in _OF_REFERENCE]
    return own + [float(getattr(reference.days, name)) for name in _OF_DAYS]


def _reference(i: int, arrays: Arrays) -> Reference:
    own, days = np.split(arrays["references"][i], [len(_OF_REFERENCE)])
    counts = dict(zip(_OF_DAYS[:2], map(int, days[:2]), strict=True))
    edges, shares, places = (arrays[f"reference.{i}.{name}"] for name in _BINS)
    return Reference(
        edges,
        shares,
        places,
        **dict(zip(_OF_REFERENCE, own.tolist(), strict=True)),
        days=Innocent(
            **counts,
            **dict(zip(_OF_DAYS[2:], days[2:].tolist(), strict=True)),
            spans=tuple(Span(*values) for values in arrays[f"reference.{i}.spans"].tolist()),
        ),
    )


def _category(category: Category) -> dict[str, Any]:
    return {**dataclasses.asdict(category), "levels": list(category.levels)}


def _join(content: Mapping[str, Any], arrays: Arrays) -> Model:
    indicators = tuple(content["indicators"])

    def predictor(prefix: str, intercept: float) -> Predictor:
        columns = Columns(
            tuple(content["numeric"]),
            tuple(
                Category(**{**c, "levels": tuple(c["levels"])})
                for c in content[f"{prefix}categories"]
            ),
            tuple(DateFeature(**date) for date in content["dates"]),
        )
        return Predictor(
            columns, indicators, arrays[f"{prefix}fill"], arrays[f"{prefix}coef"], intercept
        )

    holdout, evaluated = content["holdout"], content["evaluated_intercept"]
    stability, diagnostics = findings_file.join(content["findings"], arrays)
    return Model(
        name=content["name"],
        target=content["target"],
        n_rows=content["n_rows"],
        predictor=predictor("", content["intercept"]),
        alpha=content["alpha"],
        l1_ratio=content["l1_ratio"],
        gamma=content["gamma"],
        standardised=arrays["standardised"],
        means=arrays["means"],
        deviations=arrays["deviations"],
        scales=arrays["scales"],
        prediction_mean=content["prediction_mean"],
        prediction_sd=content["prediction_sd"],
        references={name: _reference(i, arrays) for i, name in enumerate(content["references"])},
        curve=Curve(
            **{name: arrays[f"cv.{name}"] for name in _CURVE},
            alpha_min=content["alpha_min"],
            alpha_1se=content["alpha_1se"],
            n_left_out=content["n_left_out"],
            repeats=content["cv_repeats"],
        ),
        certificate=Certificate(**content["certificate"]),
        stability=stability,
        diagnostics=diagnostics,
        holdout=None if holdout is None else _holdout(holdout),
        evaluated=None if evaluated is None else predictor("evaluated_", evaluated),
        job=content["job"],
    )


def _holdout(content: Mapping[str, Any]) -> Holdout:
    def expectation(values: Mapping[str, Any]) -> Expectation:
        estimates = {name: Estimate(**values[name]) for name in MEASURES}
        return Expectation(n_sampled=values["n_sampled"], **estimates)

    expected, by = content["expected"], content["expected_by"]
    return Holdout(
        **{
            **content,
            "expected": None if expected is None else expectation(expected),
            "expected_by": {name: expectation(values) for name, values in by.items()},
        }
    )
