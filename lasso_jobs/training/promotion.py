"""Decides whether a new version becomes champion, and says why."""

from dataclasses import dataclass
from typing import Any

from lasso_jobs.errors import FormatError, ModelError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.alpha_grid_end import not_converged_advice
from lasso_jobs.models.model import Holdout
from lasso_jobs.models.registry import CHAMPION, Registered, Registry
from lasso_jobs.models.summary import version_name
from lasso_jobs.training.holdout import ChampionComparison, Evaluation


@dataclass(frozen=True, slots=True)
class Promotion:
    """Whether a version became champion.

    Parameters
    ----------
    promoted : bool
    champion : int or None
        The version that is champion now.
    reason : str
        For people.
    """

    promoted: bool
    champion: int | None
    reason: str

    def as_values(self) -> dict[str, Any]:
        """What ``train --json`` prints of it."""
        return {
            "promoted": self.promoted,
            "champion": version_name(self.champion),
            "reason": self.reason,
        }


def champion_of(job: TrainJob) -> Registered | None:
    """The champion that a training job's model would succeed, if there is one that can be read."""
    registry = Registry(job.registry)
    try:
        return registry.load(job.name) if CHAMPION in registry.aliases(job.name) else None
    except FormatError:  # from before an upgrade, which a retraining is to get over
        return None


def promote(
    job: TrainJob, registered: Registered, evaluation: Evaluation | None, by: str | None = None
) -> Promotion:
    """Make a version champion where the job's rule says so.

    Raises
    ------
    ModelError
        If the fit did not converge and ``promote`` is ``always``.
    """
    registry, name = Registry(job.registry), registered.model.name
    before = registry.aliases(name).get(CHAMPION)
    promoted, reason = _decision(job, registered, before, evaluation)
    if promoted:
        registry.promote(registered.reference, reason, by=by)
    return Promotion(promoted, registry.aliases(name).get(CHAMPION), reason)


def _decision(
    job: TrainJob,
    registered: Registered,
    before: int | None,
    evaluation: Evaluation | None,
) -> tuple[bool, str]:
    rule = job.promote
    if not registered.model.certificate.converged:
        advice = not_converged_advice(registered.model)
        if rule == "always":
            raise ModelError(
                registered.reference,
                "its fit did not converge",
                "a converged fit to promote",
                advice,
            )
        return False, f"the fit did not converge. {advice}"
    if before is not None and before == registered.version:
        return False, f"v{before} is bitwise the same model, and champion already"
    if rule == "never":
        return False, "the job says promote: never"
    if before is None:
        return True, "the first champion"
    if rule == "always":
        return True, "the job says promote: always"
    if evaluation is None or evaluation.comparison is None:
        why_not = _why_not_compared(job, evaluation)
        return False, f"cannot be compared with v{before} on held-out rows: {why_not}"
    comparison = evaluation.comparison
    return comparison.better, _in_words(comparison, evaluation.holdout, before)


def _why_not_compared(job: TrainJob, evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "the job holds no rows out"
    if champion_of(job) is None:
        return "its file has another format. Promote by hand, or set promote: always"
    return (
        "it was trained without a hold-out, uses a column or a level that this job has not, or its "
        "offset has nulls"
    )


def _in_words(comparison: ChampionComparison, held: Holdout, version: int) -> str:
    """The comparison with the champion, as a person would tell it."""
    gain = comparison.gain
    errors = (
        f"hold-out MSE {comparison.mse:.6g} against {comparison.champion_mse:.6g} of v{version} "
        f"on the same {held.n_rows:,} rows"
    )
    if gain.standard_error is None:
        return (
            f"{errors}. All of them are of one {held.cohort or 'row'}, "
            "so that chance may explain the difference"
        )
    if comparison.better:
        verdict = "better"
    else:
        verdict = "not clearly better" if gain.mean > 0 else "not better"
    cohorts = f"values of {held.cohort}" if held.cohort else "rows"
    return (
        f"{verdict}: {errors}. The difference is {gain.mean:.4g}, with a standard error of "
        f"{gain.standard_error:.4g} by {gain.n_cohorts:,} {cohorts}; it must exceed "
        f"{gain.limit:.3g} standard errors"
    )
