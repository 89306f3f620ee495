"""Whether a non-linear model earns its keep; a comparison as plain values."""

from dataclasses import dataclass
from typing import Any

from lasso_jobs.jobs.compare_result import Comparison, Searched

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison comes to.

    Parameters
    ----------
    best : str or None
        The non-linear family with the least error; None if none was searched.
    earns_its_keep : bool
        Whether its error is less than the LASSO's by more than one standard error of the paired
        difference, and its RMSE by the job's ``min_gain`` at least.
    text : str
    """

    best: str | None
    earns_its_keep: bool
    text: str


def verdict(found: Comparison) -> Verdict:
    """Judge the best non-linear family against the LASSO of the least error."""
    lasso = found.reference
    others = [row for row in found.searched if not row.linear]
    if not others:
        return Verdict(None, False, "No non-linear model was searched.")
    best = min(others, key=lambda row: row.mse)
    share = best.rmse / lasso.rmse - 1 if lasso.mse > 0 else 0.0
    where = "below" if share < 0 else "above"
    standing = (
        f"has an RMSE of {best.rmse:.4g}, {100 * abs(share):.1f} % {where} the "
        f"LASSO's {lasso.rmse:.4g} on the same rows and folds (MSE {best.difference:+.4g}, "
        f"standard error {best.difference_se:.2g})"
    )
    clear = -best.difference > best.difference_se
    least = found.job.compare.min_gain
    if clear and -share >= least:
        return Verdict(best.family, True, _price(best, lasso, standing, found.sample_rows))
    why = ""
    if best.difference < 0 and not clear:
        why = ", which is no more than one standard error"
    elif best.difference < 0:
        why = f", which is less than the {100 * least:.3g} % that would be worth it"
    text = f"A non-linear model does not earn its keep: {best.family}, the best, {standing}{why}."
    return Verdict(best.family, False, text)


def _price(best: Searched, lasso: Searched, standing: str, n_rows: int) -> str:
    return (
        f"A non-linear model earns its keep: {best.family} {standing}. It costs "
        f"{best.size_bytes:,} bytes instead of {lasso.size_bytes:,}, and {best.fit_seconds:.2g} s "
        f"instead of {lasso.fit_seconds:.2g} s for a fit to {n_rows:,} rows in memory; lost are "
        "exact cross-validation and retraining from one read of all rows, and coefficients that "
        "can be read."
    )


def of_comparison(found: Comparison) -> Values:
    """A comparison, as ``compare --json`` prints it."""
    judged = verdict(found)
    chosen, all_rows = found.all_rows.index, found.all_rows
    return {
        "name": found.job.name,
        "sample_rows": found.sample_rows,
        "rows_in_folds": found.n_rows,
        "sample_bytes": found.sample_bytes,
        "seed": found.job.seed,
        "folds": found.n_folds,
        "repeats": found.job.search.repeats,
        "families": [_of_row(row) for row in found.searched],
        "all_rows": {
            "alpha": all_rows.alpha,
            "l1_ratio": all_rows.l1_ratio,
            "gamma": all_rows.gamma,
            "mse": float(all_rows.mse[chosen]),
            "mse_se": float(all_rows.mse_se[chosen]),
            "rmse": float(all_rows.mse[chosen]) ** 0.5,
        },
        "best_nonlinear": judged.best,
        "earns_its_keep": judged.earns_its_keep,
        "verdict": judged.text,
        "seconds": dict(found.seconds),
        "bytes_read": found.bytes_read,
    }


def _of_row(row: Searched) -> Values:
    return {
        "family": row.family,
        "linear": row.linear,
        "settings": row.settings,
        "params": dict(row.params),
        "mse": row.mse,
        "mse_se": row.mse_se,
        "rmse": row.rmse,
        "difference": row.difference,
        "difference_se": row.difference_se,
        "fold_mse": row.fold_mse.tolist(),
        "fit_seconds": row.fit_seconds,
        "size_bytes": row.size_bytes,
    }


def in_words(found: Comparison) -> dict[str, str]:
    """What the comparison is of, in a few words."""
    chosen, all_rows = found.all_rows.index, found.all_rows
    mse, error = float(all_rows.mse[chosen]), float(all_rows.mse_se[chosen])
    repeats = found.job.search.repeats
    times = f", {repeats} times" if repeats > 1 else ""
    every = "all" if found.sample_rows == found.n_rows else f"{found.sample_rows:,} of"
    return {
        "rows": f"{every} {found.n_rows:,} in folds, {found.sample_bytes:,} bytes in memory",
        "folds": f"{found.n_folds}{times}, those of the training",
        "all rows": f"the LASSO's CV error is {mse:.4g} (SE {error:.2g}), RMSE {mse**0.5:.4g}, at "
        f"alpha {all_rows.alpha:.4g}",
        "seconds": ", ".join(f"{stage} {s:.2f}" for stage, s in found.seconds.items()),
    }


def table(found: Comparison) -> list[Values]:
    """A row for each family, as a terminal shows it."""
    return [
        {
            "family": row.family,
            "CV MSE": row.mse,
            "SE": row.mse_se,
            "RMSE": row.rmse,
            "to LASSO": row.difference,
            "its SE": row.difference_se,
            "settings": row.settings,
            "fit s": row.fit_seconds,
            "bytes": row.size_bytes,
            "best": ", ".join(f"{k} {_short(v)}" for k, v in row.params.items()),
        }
        for row in found.searched
    ]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
