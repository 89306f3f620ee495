"""Results as plain values: for JSON, for the terminal, for the Prefect UI."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from lasso_jobs.artifacts.cache import Entry
from lasso_jobs.artifacts.model import Model
from lasso_jobs.artifacts.registry import CHAMPION, Registry
from lasso_jobs.data.dataset import Dataset, Partition
from lasso_jobs.jobs import findings
from lasso_jobs.jobs.nights import Night, NightResult, Only, is_due
from lasso_jobs.jobs.report import of_checks
from lasso_jobs.jobs.rollback import RolledBack
from lasso_jobs.jobs.score import ScoreResult
from lasso_jobs.jobs.score_plan import ScorePlan
from lasso_jobs.jobs.train import TrainResult
from lasso_jobs.jobs.train_plan import TrainPlan
from lasso_jobs.jobs.vacuum import Vacuumed
from lasso_jobs.jobs.watch import PartitionDrift

Values = dict[str, Any]


def of_training(result: TrainResult) -> Values:
    """A training, as ``train --json`` prints it."""
    model, curve = result.model, result.model.curve
    return {
        "name": model.name,
        "model_version": f"v{result.registered.version}",
        "digest": result.registered.digest,
        "run_id": result.run_id,
        "promotion": {
            "promoted": result.promotion.promoted,
            "champion": _version(result.promotion.champion),
            "reason": result.promotion.reason,
        },
        "n_rows": model.n_rows,
        "rows_filtered": result.counts.filtered,
        "rows_without_target": result.counts.without_target,
        "rows_with_nulls": result.counts.with_nulls,
        "n_features": len(model.columns.features),
        "n_nonzero": int((model.predictor.coef != 0).sum()),
        "left_out": dict(result.left_out),
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "gamma": model.gamma,
        "alpha_min": curve.alpha_min,
        "alpha_1se": curve.alpha_1se,
        "cv": {
            "l1_ratios": curve.l1_ratios.tolist(),
            "gammas": curve.gammas.tolist(),
            "alphas": curve.alphas.tolist(),
            "mse": curve.mse.tolist(),
            "mse_se": curve.mse_se.tolist(),
            "n_nonzero": curve.n_nonzero.tolist(),
            "fold_mse": curve.fold_mse.tolist(),
            "fold_weight": curve.fold_weight.tolist(),
            "n_left_out": curve.n_left_out,
            "repeats": curve.repeats,
        },
        "intercept": model.intercept,
        "coef": dict(zip(model.labels, model.predictor.coef.tolist(), strict=True)),
        "per_sd": dict(zip(model.labels, model.standardised.tolist(), strict=True)),
        "holdout": None if model.holdout is None else dataclasses.asdict(model.holdout),
        "certificate": dataclasses.asdict(model.certificate),
        **findings.of_model(model),
        "checks": of_checks(result.checks),
        "provenance": dict(result.registered.provenance),
        "seconds": dict(result.seconds),
        "bytes_read": result.counts.bytes_read,
        "partitions_cached": result.counts.cached,
    }


def of_scoring(result: ScoreResult) -> Values:
    """A scoring run, as ``score --json`` prints it."""
    return {
        "run_id": result.run_id,
        "model_version": result.model_version,
        "rows_in": result.rows_in,
        "rows_scored": result.rows_scored,
        "rows_quarantined": result.rows_quarantined,
        "rows_filtered": result.rows_filtered,
        "reasons": dict(result.reasons),
        "partitions": result.partitions,
        "partitions_resumed": result.partitions_resumed,
        "output_version": result.output_version,
        "drift": [of_drift(row) for row in result.drift],
        "verdict": result.verdict,
        "seconds": dict(result.seconds),
        "bytes_read": result.bytes_read,
    }


def of_night(night: Night, only: Only, late: Literal["rescore", "report"]) -> Values:
    """A date, as ``score --dry-run --json`` prints it."""
    return {**dataclasses.asdict(night), "due": is_due(night, only, late)}


def of_night_result(result: NightResult) -> Values:
    """A date, as ``score --from --to --json`` prints it."""
    values: Values = {
        "date": result.night.date,
        "was": result.night.status,
        "fate": result.fate,
        "rows_scored": None,
        "rows_quarantined": None,
        "verdict": None,
        "error": result.error,
    }
    if result.result is not None:
        values |= of_scoring(result.result)
    return values


def of_vacuum(found: Vacuumed, every: bool) -> Values:
    """Orphans, as ``vacuum`` prints them."""
    values: Values = {
        "orphans": len(found.orphans),
        "orphan_bytes": sum(orphan.size_bytes for orphan in found.orphans),
        "journals": len(found.journals),
        "removed": found.removed,
    }
    if every:
        values["files"] = [dataclasses.asdict(orphan) for orphan in found.orphans]
        values["stale_journals"] = list(found.journals)
    return values


def of_rollback(found: RolledBack) -> Values:
    """A rollback, as ``rollback --json`` prints it."""
    return {
        "date": found.date,
        "old_generation": found.old.number,
        "generation": found.new.number,
        "run_id": found.new.record.run_id,
        "model": found.new.record.model,
        "rows_scored": found.new.record.rows_scored,
        "rows_quarantined": found.new.record.rows_quarantined,
        "output_version": found.output_version,
    }


def of_drift(row: PartitionDrift) -> Values:
    """One feature's drift; what is not defined is None."""
    values = {"partition": row.partition, "segment": row.segment, **dataclasses.asdict(row.drift)}
    return {key: None if _is_nan(value) else value for key, value in values.items()}


def of_cache(entries: Sequence[Entry]) -> Values:
    """The cache, as ``cache list --json`` prints it."""
    return {
        "entries": [
            {
                "kind": entry.kind,
                "bytes": entry.size_bytes,
                "used": datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds"),
                "path": str(entry.path),
            }
            for entry in entries
        ],
        "bytes": sum(entry.size_bytes for entry in entries),
    }


def of_train_plan(plan: TrainPlan) -> Values:
    """A training plan, as ``plan --json`` prints it."""
    categorical = [name for name, _ in plan.features.categorical]
    return {
        "job": "train",
        "run_id": plan.run_id,
        **_of_dataset(plan.dataset, plan.partitions, plan.n_bytes),
        "target": plan.job.target,
        "numeric_features": list(plan.features.numeric),
        "categorical_features": categorical,
        "left_out": dict(plan.features.left_out),
        "schema": "every file has these columns",
    }


def of_score_plan(plan: ScorePlan) -> Values:
    """A scoring plan, as ``plan --json`` prints it."""
    return {
        "job": "score",
        "run_id": plan.run_id,
        "model": plan.registered.reference,
        "digest": plan.registered.digest,
        **_of_dataset(plan.dataset, plan.partitions, plan.n_bytes),
        "columns": list(plan.columns_read),
        "output": plan.scoring.root,
        "schema": plan.contract.summary,
        "schema_verdicts": [dataclasses.asdict(verdict) for verdict in plan.contract.verdicts],
        "extra_columns": list(plan.contract.extra),
        "expected_seconds": plan.expected_seconds,
    }


def _of_dataset(dataset: Dataset, partitions: tuple[Partition, ...], n_bytes: int) -> Values:
    return {
        "path": dataset.path,
        "table_version": dataset.version,
        "files": len(dataset.files),
        "rows_before_filter": dataset.n_rows,
        "bytes_to_read": n_bytes,
        "partitions": len(partitions),
    }


def of_registry(registry: Registry) -> list[Values]:
    """Every model and its versions, as ``models list --json`` prints them."""
    return [
        {
            "name": name,
            "versions": [f"v{version}" for version in registry.versions(name)],
            "aliases": {a: _version(v) for a, v in registry.aliases(name).items()},
        }
        for name in registry.names()
    ]


def of_model(registry: Registry, reference: str) -> Values:
    """One version, as ``models show --json`` prints it."""
    found = registry.load(reference)
    model = found.model
    return {
        "name": model.name,
        "model_version": f"v{found.version}",
        "digest": found.digest,
        "champion": registry.aliases(model.name).get(CHAMPION) == found.version,
        "target": model.target,
        "n_rows": model.n_rows,
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "gamma": model.gamma,
        "alpha_min": model.curve.alpha_min,
        "alpha_1se": model.curve.alpha_1se,
        "holdout": None if model.holdout is None else dataclasses.asdict(model.holdout),
        "certificate": dataclasses.asdict(model.certificate),
        **findings.of_model(model),
        "intercept": model.intercept,
        "coef": dict(zip(model.labels, model.predictor.coef.tolist(), strict=True)),
        "provenance": dict(found.provenance),
        "moves": [dataclasses.asdict(move) for move in registry.moves(model.name)],
        "job": dict(model.job),
    }


def coefficients(model: Model) -> list[Values]:
    """The coefficients that are not zero, the strongest first."""
    found = model.stability
    frequency, error = None, None
    if found is not None:
        frequency, error = found.frequency, found.standard_error
    rows = [
        {
            "feature": label,
            "coefficient": float(model.predictor.coef[j]),
            "std_error": None if error is None else float(error[j]),
            "per_sd": float(model.standardised[j]),
            "frequency": None if frequency is None else float(frequency[j]),
        }
        for j, label in enumerate(model.labels)
        if model.predictor.coef[j] != 0
    ]
    return sorted(rows, key=lambda row: -abs(float(row["per_sd"])))


def metrics(result: TrainResult) -> Mapping[str, str]:
    """A training in a few words."""
    model, held, curve = result.model, result.model.holdout, result.model.curve
    lines = {
        "model": f"{result.registered.reference} ({result.promotion.reason})",
        "rows": f"{model.n_rows:,}",
        "alpha": f"{model.alpha:.6g} (min {curve.alpha_min:.6g}, 1se {curve.alpha_1se:.6g})",
        "l1_ratio": f"{model.l1_ratio:g}",
        "gamma": f"{model.gamma:g}",
        "kept": f"{int((model.predictor.coef != 0).sum())} of {len(model.labels)} coefficients",
    }
    if curve.n_left_out:
        lines["left out"] = f"{curve.n_left_out} of the search, by the early stop"
    if held is not None:
        lines["hold-out"] = (
            f"R2 {held.r2:.4f}, RMSE {held.rmse:.4g}, MAE {held.mae:.4g} on {held.n_rows:,} rows"
        )
    lines |= findings.in_words(model)
    lines["checks"] = "; ".join(f"{check.name}: {check.verdict}" for check in result.checks)
    cached = result.counts.cached
    lines["read"] = f"{result.counts.bytes_read:,} bytes" + (
        f"; {cached} partitions were in the cache" if cached else ""
    )
    lines["seconds"] = ", ".join(f"{stage} {s:.2f}" for stage, s in result.seconds.items())
    return lines


def _version(version: int | None) -> str | None:
    return None if version is None else f"v{version}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
