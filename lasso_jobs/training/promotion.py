"""Decides whether a new version becomes champion, and says why.

A champion is never stuck. One that cannot predict the newest data, or that uses what the job
excludes, is followed by the next version, compared or not. And a version that is not worse, and has
seen later rows, follows it by ``promote: if_not_worse``: what those rows taught, such as a mean
that has moved for good, is then in the reference that drift is measured against. That the reference
is the champion's own keeps it one idea; an alias of its own for the reference was weighed, and
would have had drift judged by one version while another predicts.
"""

import logging
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.errors import FormatError, ModelError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.alpha_grid_end import not_converged_advice
from lasso_jobs.models.registry import CHAMPION, Registered, Registry
from lasso_jobs.models.summary import version_name
from lasso_jobs.training.holdout import ChampionComparison, Evaluation
from lasso_jobs.training.plan import TrainPlan

logger = logging.getLogger(__name__)


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
    comparison : ChampionComparison or None
        With the champion before, if there was one that could be measured on the same rows.
    """

    promoted: bool
    champion: int | None
    reason: str
    comparison: ChampionComparison | None = None

    def as_values(self) -> dict[str, Any]:
        """What ``train --json`` prints of it."""
        return {
            "promoted": self.promoted,
            "champion": version_name(self.champion),
            "reason": self.reason,
            "comparison": None if self.comparison is None else self.comparison.as_values(),
        }


def champion_of(job: TrainJob) -> Registered | None:
    """The champion that a training job's model would succeed, if there is one that can be read."""
    registry = Registry(job.registry)
    try:
        return registry.load(job.name) if CHAMPION in registry.aliases(job.name) else None
    except FormatError:  # from before an upgrade, which a retraining is to get over
        return None


def compared_model(champion: Registered) -> Predictor:
    """What a challenger is compared with: like with like, both without their held-out rows.

    A champion that held none out is compared as it is. On rows that it was trained on it has an
    advantage, so that a challenger which is better nonetheless is better.
    """
    return champion.model.evaluated or champion.model.predictor


def last_period(registered: Registered, column: str | None) -> float | None:
    """The last period that a version was trained on, by a column; None if that is not known."""
    periods = registered.provenance.get("periods")
    if column is None or not periods or periods["column"] != column:
        return None
    return float(periods["last"])


def promote(
    planned: TrainPlan,
    registered: Registered,
    evaluation: Evaluation | None,
    by: str | None = None,
) -> Promotion:
    """Make a version champion where the job's rule says so.

    Raises
    ------
    ModelError
        If the fit did not converge and ``promote`` is ``always``.
    """
    registry, name = Registry(planned.job.registry), registered.model.name
    before = registry.aliases(name).get(CHAMPION)
    promoted, reason = _decision(planned, registered, before, evaluation)
    if promoted:
        registry.promote(registered.reference, reason, by=by)
    champion = registry.aliases(name).get(CHAMPION)
    comparison = evaluation.decisive if evaluation and before != registered.version else None
    return Promotion(promoted, champion, reason, comparison)


def _decision(
    planned: TrainPlan,
    registered: Registered,
    before: int | None,
    evaluation: Evaluation | None,
) -> tuple[bool, str]:
    rule = planned.job.promote
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
    if (undone := _rolled_back(planned, registered.version)) is not None:
        return False, undone
    champion = champion_of(planned.job)
    if champion is not None and (unfit := _unfit(planned, champion)) is not None:
        reason = f"v{before} can stay champion no longer: {unfit}. They were not compared"
        logger.warning("%s is the champion now: %s", registered.reference, reason)
        return True, reason
    if champion is None or evaluation is None or evaluation.comparison is None:
        why_not = _why_not_compared(planned, champion, evaluation)
        return False, f"cannot be compared with v{before} on held-out rows: {why_not}"
    return _judged(planned, registered, champion, evaluation)


def _rolled_back(planned: TrainPlan, version: int) -> str | None:
    """Who took a version back, and why, if that was the last that was done with it."""
    moves = Registry(planned.job.registry).moves(planned.job.name)
    own = [each for each in moves if each.alias == CHAMPION and version in (each.old, each.new)]
    if not own or own[-1].action != "rollback" or own[-1].old != version:
        return None
    last = own[-1]
    by_hand = "'lasso-jobs models promote' makes it champion all the same"
    return f"v{version} was rolled back by {last.by} on {last.at[:10]}: {last.why}. {by_hand}"


def _unfit(planned: TrainPlan, champion: Registered) -> str | None:
    """Why a champion cannot predict the newest data, or is not to; None if it may."""
    predictor, there = champion.model.predictor, {*planned.dataset.schema.names}
    used = predictor.only(predictor.used).columns
    gone = [name for name in used.stored if name not in there]
    if gone:
        return f"it needs {_named(gone)}, which the data do not have"
    patterns, own = planned.job.features.exclude, planned.features
    left_out = dict.fromkeys([*used.features, *used.stored])
    excluded = [
        name
        for name in left_out.keys() - {*own.names, *own.stored}
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
    ]
    return f"it uses {_named(sorted(excluded))}, which the job excludes" if excluded else None


def _named(columns: list[str]) -> str:
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
    return ", ".join(map(repr, columns[:3])) + more


def _why_not_compared(
    planned: TrainPlan, champion: Registered | None, evaluation: Evaluation | None
) -> str:
    if evaluation is None:
        return "the job holds no rows out. Set holdout, or promote: always"
    if champion is None:
        return "its file has another format. Promote by hand, or set promote: always"
    predictor, features = champion.model.predictor, {*planned.features.stored}
    used = predictor.only(predictor.used).columns
    if left_out := [name for name in used.stored if name not in features]:
        return (
            f"it uses {_named(left_out)}, which is no feature of this job. If that is meant, name "
            "it in features.exclude, and the next version follows without a comparison"
        )
    return (
        "there is no held-out row that it can predict, as a category has another type, its levels "
        "are among (other) here, or its offset is null. Promote by hand, or set promote: always"
    )


def _judged(
    planned: TrainPlan, registered: Registered, champion: Registered, evaluation: Evaluation
) -> tuple[bool, str]:
    """The decision by the comparison, and how a person would tell it."""
    decisive, cohort = evaluation.decisive, evaluation.holdout.cohort
    if decisive is None:
        raise ValueError("the champion was not measured")
    gain, margin = decisive.gain, planned.job.margin
    told = _in_words(decisive, champion, cohort)
    if gain.standard_error is None:
        return False, told
    if decisive.better:
        return True, f"better: {told}; it must exceed {gain.limit:.3g} standard errors"
    sign = "not clearly better" if gain.mean > 0 else "not better"
    if planned.job.promote == "if_better":
        return False, f"{sign}: {told}; it must exceed {gain.limit:.3g} standard errors"
    shown_by = evaluation.not_worse(margin)
    if shown_by is None:
        return False, (
            f"{sign}, and not surely within {_percent(margin)} of it: {told}; with "
            f"{margin * decisive.champion_mse:.4g} added it must exceed {gain.limit:.3g} "
            "standard errors"
        )
    told = _in_words(shown_by, champion, cohort)
    if (news := _news(planned, registered, champion)) is None:
        return False, f"not worse, but it has seen no later rows: {told}"
    return True, f"not worse by more than {_percent(margin)}, and {news}: {told}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _news(planned: TrainPlan, registered: Registered, champion: Registered) -> str | None:
    """What a version has been trained on and the champion has not; None if that is nothing."""
    own, before = (last_period(each, planned.period) for each in (registered, champion))
    if own is not None and before is not None:
        return f"it has seen later values of {planned.period}" if own > before else None
    # Without periods, what is trained later on other files is taken to know more.
    other = registered.provenance.get("data_plan") != champion.provenance.get("data_plan")
    return "its data are others" if other else None


def _in_words(comparison: ChampionComparison, champion: Registered, cohort: str | None) -> str:
    """The comparison with the champion, as a person would tell it."""
    gain, name = comparison.gain, f"v{champion.version}"
    rows = f"the same {comparison.n_rows:,} rows"
    if comparison.later:
        rows += f", all after the training of {name}"
    elif champion.model.evaluated is None:
        rows += f", which {name}, having no hold-out, was trained on"
    errors = (
        f"hold-out MSE {comparison.mse:.6g} against {comparison.champion_mse:.6g} of {name} on "
        f"{rows}"
    )
    if gain.standard_error is None:
        return (
            f"{errors}. All of them are of one {cohort or 'row'}, "
            "so that chance may explain the difference"
        )
    cohorts = f"values of {cohort}" if cohort else "rows"
    return (
        f"{errors}. The difference is {gain.mean:.4g}, with a standard error of "
        f"{gain.standard_error:.4g} by {gain.n_cohorts:,} {cohorts}"
    )
