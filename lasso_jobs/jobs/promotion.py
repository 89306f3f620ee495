"""Which model is champion."""

from dataclasses import dataclass
from typing import Literal

from lasso_jobs.artifacts.registry import CHAMPION, Registered, Registry
from lasso_jobs.errors import FormatError, ModelError
from lasso_jobs.jobs.holdout import Evaluation
from lasso_jobs.jobs.train_job import TrainJob


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of the champion.

    Parameters
    ----------
    promoted : bool
    champion : int or None
        The version that is champion now.
    reason : str
    """

    promoted: bool
    champion: int | None
    reason: str


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
    promoted, reason = _decision(job.promote, registered, before, evaluation)
    if promoted:
        registry.promote(registered.reference, reason, by=by)
    return Promotion(promoted, registry.aliases(name).get(CHAMPION), reason)


def _decision(
    rule: Literal["never", "if_better", "always"],
    registered: Registered,
    before: int | None,
    evaluation: Evaluation | None,
) -> tuple[bool, str]:
    if not registered.model.certificate.converged:
        if rule == "always":
            raise ModelError(
                registered.reference,
                "its fit did not converge",
                "a converged fit to promote",
                "Raise search.eps, or remove duplicated columns",
            )
        return False, "the fit did not converge"
    if before is not None and before == registered.version:
        return False, f"v{before} is bitwise the same model, and champion already"
    if rule == "never":
        return False, "the job says promote: never"
    if before is None:
        return True, "the first champion"
    if rule == "always":
        return True, "the job says promote: always"
    if evaluation is None or evaluation.comparison is None:
        return False, f"cannot be compared with v{before} on held-out rows"
    return evaluation.comparison.better, _in_words(evaluation, before)


def _in_words(evaluation: Evaluation, version: int) -> str:
    """The comparison with the champion, such as a person would tell it."""
    found, held = evaluation.comparison, evaluation.holdout
    if found is None:
        raise ValueError("there is no comparison")
    gain = found.gain
    comparison = (
        f"hold-out MSE {found.mse:.6g} against {found.champion_mse:.6g} of v{version} "
        f"on the same {held.n_rows:,} rows"
    )
    if gain.standard_error is None:
        return f"{comparison}; of one {held.cluster or 'row'}, which says nothing of chance"
    what = f"values of {held.cluster}" if held.cluster else "rows"
    verdict = "better" if found.better else "not clearly better" if gain.mean > 0 else "not better"
    return (
        f"{verdict}: {comparison}; the difference is {gain.mean:.4g}, its standard error "
        f"{gain.standard_error:.4g} by {gain.n_clusters:,} {what}, and more than "
        f"{gain.limit:.3g} of these are asked for"
    )
