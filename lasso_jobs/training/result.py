"""Says what a training did: as values for JSON, and in words for people."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lasso_jobs.core.inference import checks as c
from lasso_jobs.core.inference.repeated_rows import NAME as REPEATED_ROWS
from lasso_jobs.models import findings
from lasso_jobs.models.model import Holdout, Model
from lasso_jobs.models.registry import Registered
from lasso_jobs.training.promotion import Promotion
from lasso_jobs.training.read.reading import ReadCounts
from lasso_jobs.training.read.scans.split_unit import SplitUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """A finished training.

    Parameters
    ----------
    registered : Registered
        The model, and its version.
    run_id : str
    promotion : Promotion
    counts : ReadCounts
    unit : SplitUnit
        What was dealt out to folds and hold-out, and what standard errors count.
    left_out : tuple of (str, str)
        Columns that ``*`` matched but that cannot be features, and why.
    seconds : mapping of str to float
        By stage.
    checks : tuple of Check
        Of the assumptions of the linear model.
    """

    registered: Registered
    run_id: str
    promotion: Promotion
    counts: ReadCounts
    unit: SplitUnit
    left_out: tuple[tuple[str, str], ...]
    seconds: Mapping[str, float]
    checks: tuple[c.Check, ...]

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.registered.model

    def as_values(self) -> dict[str, Any]:
        """What ``train --json`` prints."""
        model, curve = self.model, self.model.curve
        return {
            "name": model.name,
            "model_version": f"v{self.registered.version}",
            "digest": self.registered.digest,
            "run_id": self.run_id,
            "promotion": self.promotion.as_values(),
            "n_rows": model.n_rows,
            "unit": self.unit.column or "row",
            "unit_because": self.unit.because,
            "rows_filtered": self.counts.filtered,
            "rows_without_target": self.counts.without_target,
            "rows_with_nulls": self.counts.with_nulls,
            "n_features": len(model.columns.features) - (model.predictor.offset is not None),
            "n_nonzero": model.predictor.n_nonzero,
            "left_out": dict(self.left_out),
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
            "offset": model.predictor.offset,
            "coef": findings.by_label(model, model.predictor.coef),
            "per_sd": findings.by_label(model, model.standardised),
            "holdout": None if model.holdout is None else dataclasses.asdict(model.holdout),
            "certificate": dataclasses.asdict(model.certificate),
            **findings.as_values(model),
            "checks": c.as_values(self.checks),
            "provenance": dict(self.registered.provenance),
            "seconds": dict(self.seconds),
            "bytes_read": self.counts.bytes_read,
            "work_units_cached": self.counts.cached,
        }

    def in_words(self) -> dict[str, str]:
        """What ``train`` prints: a line for each topic."""
        model, held, curve = self.model, self.model.holdout, self.model.curve
        n_kept, n_looked_at = model.predictor.n_nonzero, findings.n_looked_at(model)
        lines = {
            "model": f"{self.registered.reference} ({self.promotion.reason})",
            "rows": f"{model.n_rows:,}",
            "unit": f"{self.unit.column or 'row'}: {self.unit.because}",
            "alpha": f"{model.alpha:.6g} (min {curve.alpha_min:.6g}, 1se {curve.alpha_1se:.6g})",
            "l1_ratio": f"{model.l1_ratio:g}",
            "gamma": f"{model.gamma:g}",
            "kept": f"{n_kept:,} of {n_looked_at:,} coefficients",
        }
        if curve.n_left_out:
            lines["left out"] = f"{curve.n_left_out} of the search, by the early stop"
        if (screening := model.certificate.screening) is not None:
            lines["screened"] = screening.in_words()
        if held is not None:
            lines["hold-out"] = (
                f"R2 {held.r2:.4f}, RMSE {held.rmse:.4g}, MAE {held.mae:.4g} "
                f"on {held.n_rows:,} rows{_of_cohorts(held)}"
            )
        lines |= findings.in_words(model)
        lines["checks"] = "; ".join(f"{check.name}: {check.verdict}" for check in self.checks)
        # They make every error above too small, so that they are told here, too.
        for check in self.checks:
            if check.name == REPEATED_ROWS and check.remedy:
                lines[check.name] = f"{check.finding} {check.remedy}"
        cached = self.counts.cached
        lines["read"] = f"{self.counts.bytes_read:,} bytes" + (
            f"; {cached} work units were in the cache" if cached else ""
        )
        lines["seconds"] = ", ".join(f"{stage} {s:.2f}" for stage, s in self.seconds.items())
        return lines


def _of_cohorts(held: Holdout) -> str:
    """How many values of what the held-out rows are of, if they come in cohorts."""
    if held.cohort is None or held.expected is None:
        return ""
    return f" of {held.expected.error.n_cohorts:,} values of {held.cohort}"
