"""Says when the chosen alpha is at an end of those that were tried, and what to try then."""

from typing import Literal

import numpy as np

from lasso_jobs.core.fit.cross_validation import SMALLEST_RATIO
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.model import Model

End = Literal["smallest", "largest"]


def end_of_grid(model: Model) -> End | None:
    """The end at which the chosen alpha is; None if the error is larger on both of its sides.

    An alpha of 0 is no end: there is none below it.
    """
    alphas = _tried(model)
    if len(np.unique(alphas)) < 2 or model.alpha == 0:
        return None
    if model.alpha == alphas.min():
        return "smallest"
    return "largest" if model.alpha == alphas.max() else None


def _tried(model: Model) -> Floats:
    """The alphas of the chosen l1_ratio and gamma."""
    curve = model.curve
    same = (curve.l1_ratios == model.l1_ratio) & (curve.gammas == model.gamma)
    return np.asarray(curve.alphas[same])


def end_in_words(model: Model) -> str | None:
    """The end at which the chosen alpha is, and what to do; None if it is at none."""
    end, search = end_of_grid(model), model.job.get("search", {})
    if end is None:
        return None
    listed = isinstance(search.get("alphas"), list | tuple)
    if end == "smallest":
        lead = "the smallest alpha that was tried is chosen, and a smaller one may be better"
        screening = model.certificate.screening
        if screening is not None and "end" not in screening.stopped:  # what has turned ends at none
            return f"{lead}: set search.early_stop to false, as the fit is nearly perfect there"
        if listed:
            return f"{lead}: add smaller ones to search.alphas"
        return (
            f"{lead}: set search.eps below {_share(model):.1g}, or add 0 to a list of search.alphas"
        )
    lead = "the largest alpha that was tried is chosen"
    if listed or model.l1_ratio < SMALLEST_RATIO:
        return f"{lead}, and a larger one may be better: list larger ones in search.alphas"
    return f"{lead}, at which no penalised feature is used: none of them lowers the error clearly"


def not_converged_advice(model: Model) -> str:
    """What to do where the fits that could be chosen did not converge."""
    search = model.job.get("search", {})
    if isinstance(search.get("alphas"), list | tuple):
        smaller = "Take the smallest out of search.alphas"
    else:
        smaller = f"Set search.eps above {_share(model):.1g}"
    return f"{smaller}, or remove columns that others determine"


def _share(model: Model) -> float:
    """The smallest alpha that was tried, as a share of the largest: what search.eps is."""
    tried = _tried(model)
    return float(tried.min() / tried.max()) if tried.max() > 0 else 0.0
