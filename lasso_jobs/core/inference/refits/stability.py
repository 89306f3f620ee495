"""Measures how far the selection and the coefficients depend on the rows.

All fits are to groups of buckets, so that no row is read. Of many columns, the fits are those of
`lasso_jobs.core.fit.walk.refits`: only columns that can matter are solved for, and the optimality
conditions of all others are checked.

Stability selection. The groups of rows are cut at random into complementary halves. In each half
the path is walked until q columns have entered. A coefficient's frequency is the share of the
halves in which it is among them (Meinshausen & Bühlmann 2010, "Stability selection"; in
complementary pairs: Shah & Samworth 2013, "Variable selection with error control: another look at
stability selection"). q is the largest whose bound on the expected number of false selections is
what was asked for (`lasso_jobs.core.inference.refits.false_selections`), so the bound has a use
whatever cross-validation chose. At its alpha, which selects for prediction, the bound of
Meinshausen & Bühlmann averaged 29 with 16 columns of noise beside 10 others.

No pair is drawn twice, and the pairs in the bound are those that there are: of five groups, 15.

Resamples: see `lasso_jobs.core.inference.refits.bootstrap`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.walk import refits
from lasso_jobs.core.inference.collinearity import complements
from lasso_jobs.core.inference.refits.bootstrap import Bootstrap, bootstrap
from lasso_jobs.core.inference.refits.false_selections import (
    largest_q,
    r_concave_bound,
    unimodal_bound,
    worst_case_bound,
)
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows.buckets import row_hashes, text_key
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.threads import Steps, in_threads

Half = tuple[int, ...]
DRAWS_PER_PAIR = 20
"""So many draws for each pair that is wanted; those that were drawn before are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Selection frequencies of half-samples, and the spread of coefficients in resamples.

    Parameters
    ----------
    pairs : int
        Different complementary pairs of halves.
    groups : int
        Groups of rows that were halved, and drawn with replacement.
    threshold : float
        The frequency from which on a coefficient counts as stable.
    frequency : ndarray, shape (p,)
        Share of the halves in which the coefficient is among the first q; NaN of an offset, of
        one without an l1 penalty, which is always there, and everywhere if q is 0.
    standard_error : ndarray, shape (p,)
        By the bootstrap, in original units; NaN of an offset, and where it is not known. Without
        ``bootstrap`` it is NaN, or by the jackknife in a model of before.
    mean_selected : float
        Penalised coefficients selected in a half, on average.
    n_candidates : int
        Penalised coefficients of columns that vary: the p of the bounds.
    mb_bound : float or None
        On the expected number of false selections, by Meinshausen & Bühlmann; None where nothing
        is selected.
    unimodal_bound : float or None
        By Shah & Samworth's theorem 2; None where it does not apply.
    converged : bool
        Whether every fit did.
    r_concave_bound : float or None
        By Shah & Samworth's section 3.3.
    expected_false : float or None
        What was asked for; None in a model of before, whose halves were fitted at one alpha.
    q : int or None
        How many columns may enter in each half; 0 if one would be too many. None as above.
    bootstrap : Bootstrap or None
        None if it was not asked for, or with too few groups.
    """

    pairs: int
    groups: int
    threshold: float
    frequency: Floats
    standard_error: Floats
    mean_selected: float
    n_candidates: int
    mb_bound: float | None
    unimodal_bound: float | None
    converged: bool
    r_concave_bound: float | None = None
    expected_false: float | None = None
    q: int | None = None
    bootstrap: Bootstrap | None = None

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Which coefficients reach the threshold."""
        return self.frequency >= self.threshold

    @property
    def bound(self) -> float | None:
        """The smallest of the bounds on the expected number of false selections."""
        known = (self.r_concave_bound, self.mb_bound)
        return min((bound for bound in known if bound is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of stability selection and of the bootstrap.

    Parameters
    ----------
    pairs : int
        How many complementary pairs of halves; fewer if there are no more.
    threshold : float
        In (0.5, 1].
    expected_false : float
        The bound on the expected number of false selections.
    resamples : int or None
        Of the bootstrap; None for none.
    seed : int
    """

    pairs: int = 50
    threshold: float = 0.75
    expected_false: float = 1.0
    resamples: int | None = None
    seed: int = 0


def assess(
    recipe: Recipe,
    groups: ResamplingGroups,
    wanted: Wanted,
    *,
    alpha: float,
    gamma: float = 1.0,
    steps: Steps | None = None,
) -> Stability:
    """Fit to halves of the groups, and to resamples of them.

    All fits keep the levels that a fit to all groups keeps, so that their coefficients match.

    Parameters
    ----------
    recipe : Recipe
    groups : ResamplingGroups
    wanted : Wanted
    alpha : float
        Of the resamples; of halves it only tells where to look among very many columns.
    gamma : float
        Of a relaxed fit; it changes no selection, but the coefficients' spread.
    steps : Steps, optional
        Each fit takes one.
    """
    steps, path = steps or Steps(), np.array([alpha])
    everything = one_alpha.fit(recipe, groups.merged(), path, gamma=gamma, sample=groups.sample)
    recipe = replace(recipe, grouping=recipe.grouping or everything.design.grouping)
    spread = None
    if wanted.resamples is not None:
        spread = bootstrap(
            everything,
            recipe,
            groups,
            gamma=gamma,
            resamples=wanted.resamples,
            seed=wanted.seed,
            steps=steps,
        )
    selection = _select_in_halves(everything, recipe, groups, wanted, steps=steps)
    converged = everything.converged and selection.converged
    unknown = np.full(len(selection.frequency), np.nan)
    return replace(
        selection,
        standard_error=unknown if spread is None else spread.standard_error,
        converged=converged and (spread is None or spread.converged),
        bootstrap=spread,
    )


def _select_in_halves(
    everything: one_alpha.Fit,
    recipe: Recipe,
    groups: ResamplingGroups,
    wanted: Wanted,
    *,
    steps: Steps,
) -> Stability:
    """Stability selection, without standard errors."""
    candidates, usable = everything.design.usable.copy(), everything.design.usable
    candidates[candidates] = everything.design.problem.l1_factor > 0
    always = usable & ~candidates
    tied = complements(everything.design)
    candidates[[second for _, second in tied]] = False
    halves = [half for pair in _pairs(groups, wanted) for half in pair]
    n, pairs, threshold = int(candidates.sum()), len(halves) // 2, wanted.threshold
    q = largest_q(wanted.expected_false, n, threshold, pairs) if n else 0
    selected, converged = np.zeros((len(halves), len(usable)), np.bool_), True
    if q:
        steps.expect(len(halves))

        def first(part: slice) -> list[one_alpha.Fit]:
            rows = groups.of_sets(halves[part])
            return refits.first_to_enter(everything, recipe, rows, q, steps=steps)

        batches = groups.batches(len(halves))
        found = [fit for fits in in_threads(first, batches, steps) for fit in fits]
        selected = np.array([(fit.coef != 0) & usable for fit in found])
        converged = all(fit.converged for fit in found)
    for both in tied:  # which of the two enters is decided by rounding
        selected[:, both] = selected[:, both].any(axis=1, keepdims=True)
    frequency = selected.mean(axis=0) if q else np.where(always | (n > 0), np.nan, 0.0)
    frequency[always] = np.nan
    if everything.design.offset is not None:  # which is neither selected nor estimated
        frequency[everything.design.offset] = np.nan
    return Stability(
        pairs=pairs,
        groups=len(groups.moments),
        threshold=threshold,
        frequency=frequency,
        standard_error=frequency,
        mean_selected=float(selected[:, candidates].sum(axis=1).mean()),
        n_candidates=n,
        mb_bound=worst_case_bound(q, n, threshold) if q else None,
        unimodal_bound=unimodal_bound(q, n, threshold, pairs) if q else None,
        r_concave_bound=r_concave_bound(q, n, threshold, pairs) if q else None,
        converged=converged,
        expected_false=wanted.expected_false,
        q=q,
    )


def _pairs(groups: ResamplingGroups, wanted: Wanted) -> list[tuple[Half, Half]]:
    return complementary_halves(len(groups.moments), wanted.pairs, wanted.seed)


def complementary_halves(n_groups: int, pairs: int, seed: int) -> list[tuple[Half, Half]]:
    """Different pairs of disjoint halves of the groups; of an odd number, one is in neither.

    Fewer than ``pairs`` if there are no more.

    Examples
    --------
    >>> for left, right in complementary_halves(6, pairs=2, seed=0):
    ...     print(left, right)
    (0, 1, 4) (2, 3, 5)
    (0, 1, 2) (3, 4, 5)
    >>> len(complementary_halves(5, pairs=50, seed=0))
    15
    """
    half = n_groups // 2
    possible = comb(n_groups, half) * comb(n_groups - half, half) // 2
    if possible <= pairs:
        return list(_every_pair(n_groups, half))
    different: dict[tuple[Half, Half], None] = {}
    for i in range(DRAWS_PER_PAIR * pairs):
        # Our own hash, not numpy's generator, whose numbers may change with its version.
        draw = row_hashes(text_key(f"pair {i}", seed), np.arange(n_groups))
        order = np.argsort(draw, kind="stable")
        left, right = np.sort(order[:half]), np.sort(order[half : 2 * half])
        one, other = sorted([tuple(left.tolist()), tuple(right.tolist())])
        different[one, other] = None
        if len(different) == pairs:
            break
    return list(different)


def _every_pair(n_groups: int, half: int) -> Iterator[tuple[Half, Half]]:
    for left in combinations(range(n_groups), half):
        rest = [group for group in range(n_groups) if group not in left]
        for right in combinations(rest, half):
            if left < right:
                yield left, right
