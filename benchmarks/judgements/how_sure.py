"""Simulates how sure a coefficient is: its error and interval, its selection, copies of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judgements.rate import Rate
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.cross_validation import PathSearch, cross_validate
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference.refits import stability
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.repeated_rows import repeated_rows
from lasso_jobs.core.rows import repeats
from lasso_jobs.core.rows.centring import of_rows
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.folds import k_folds
from lasso_jobs.core.rows.moments import Floats

P, BUCKETS, FOLDS, ROWS = 26, 60, 5, 1_200
SIZES = (1.0, 1.0, 0.8, 0.8, 0.5, 0.5, 0.3, 0.3, 0.2, 0.2)
"""Of ten coefficients; the other 16 columns are noise. A clear one is 0.5 or more."""
CLEAR = 0.5
TABLE = 20_000


def true_coefficients() -> Floats:
    """In an order and with signs that are drawn once."""
    rng = np.random.default_rng(7)
    coef = np.zeros(P)
    coef[rng.permutation(P)[: len(SIZES)]] = np.array(SIZES) * rng.choice([-1, 1], len(SIZES))
    return coef


@dataclass(frozen=True, slots=True)
class Sure:
    """What a training said of its coefficients.

    Parameters
    ----------
    coef, error, low, high : ndarray, shape (p,)
        NaN is not known.
    stable : ndarray of bool, shape (p,)
    bound : float
        On the expected number of false ones among them.
    """

    coef: Floats
    error: Floats
    low: Floats
    high: Floats
    stable: NDArray[np.bool_]
    bound: float


@dataclass(frozen=True, slots=True)
class World:
    """Rows and how alike they are, and what was before, on the same seeds.

    Parameters
    ----------
    name : str
    grouped : bool
        Whether the 20 rows of a group share half of each column's variance, and of the error's.
    before : mapping of str to float
        By what is asked; the jackknife's errors, with an interval of 1.645 of them on each side,
        and stability selection at the alpha of cross-validation with a threshold of 0.6.
    """

    name: str
    grouped: bool
    before: dict[str, float]

    def rows(self, seed: int) -> tuple[Floats, NDArray[np.intp]]:
        """Columns and target, shape (p + 1, n), and the bucket of each row."""
        rng = np.random.default_rng([11, self.grouped, seed])
        bucket = rng.integers(0, BUCKETS, ROWS)
        X, error = rng.normal(size=(P, ROWS)), rng.normal(size=ROWS)
        if self.grouped:
            X = np.sqrt(0.5) * (X + rng.normal(size=(P, BUCKETS))[:, bucket])
            error = np.sqrt(0.5) * (error + rng.normal(size=BUCKETS)[bucket])
        for j in range(1, P):
            X[j] = 0.5 * X[j - 1] + np.sqrt(0.75) * X[j]
        return np.vstack([X, true_coefficients() @ X + 3 * error]), bucket

    def trained(self, seed: int) -> Sure:
        """Search for alpha, and ask how sure the coefficients are."""
        values, bucket = self.rows(seed)
        parts = [of_rows(values[:, bucket == b].copy()) for b in range(BUCKETS)]
        groups = ResamplingGroups.of(parts)
        recipe = Recipe(columns=Columns(tuple(f"x{j}" for j in range(P)), ()))
        dealt = [np.arange(k, BUCKETS, FOLDS) for k in range(FOLDS)]
        folds = k_folds([groups.merged(which.tolist()) for which in dealt], dealt)
        search = PathSearch(early_stop=True)
        alpha = cross_validate(recipe, groups.merged(), folds, search=search).alpha
        return judged(recipe, groups, alpha, seed)


def judged(recipe: Recipe, groups: ResamplingGroups, alpha: float, seed: int) -> Sure:
    """How sure the coefficients are at an alpha."""
    wanted = stability.Wanted(resamples=200, seed=seed)
    found = stability.assess(recipe, groups, wanted, alpha=alpha)
    spread = found.bootstrap
    if spread is None or found.bound is None:
        raise RuntimeError("60 groups have resamples, and 26 columns a bound")
    return Sure(
        coef=one_alpha.fit(recipe, groups.merged(), np.array([alpha])).coef,
        error=spread.standard_error,
        low=spread.low,
        high=spread.high,
        stable=found.stable,
        bound=found.bound,
    )


ERROR, COVERAGE, WIDTH = "error of standard errors", "coverage >= 90 %", "width of intervals"
ZERO_ERROR, FALSE = "std_error 0 beside a coefficient: 0 %", "false ones a set, of 1 allowed"
BOUND, POWER = "bound on false ones, of 1 allowed", "power"


def rates_of(sure: list[Sure]) -> Iterator[tuple[str, str, float]]:
    """What, of which coefficients, and how much."""
    truth = true_coefficients()
    kinds = {
        "clear coefficients": np.abs(truth) >= CLEAR,
        "small coefficients": (truth != 0) & (np.abs(truth) < CLEAR),
        "noise": truth == 0,
    }
    coef, error = np.array([s.coef for s in sure]), np.array([s.error for s in sure])
    low, high = np.array([s.low for s in sure]), np.array([s.high for s in sure])
    deviation = coef.std(axis=0, ddof=1)
    off = np.abs(error / deviation - 1)
    covered = (low <= truth) & (truth <= high) | np.isnan(low) & (truth == 0)
    for name, which in kinds.items():
        yield ERROR, name, float(np.nanmean(off[:, which]))
    for name, which in kinds.items():
        yield COVERAGE, name, float(covered[:, which].mean())
    clear, noise = kinds["clear coefficients"], kinds["noise"]
    yield WIDTH, "clear coefficients", float((high - low)[:, clear].mean())
    yield ZERO_ERROR, "all coefficients", float(((error == 0) & (coef != 0)).mean())
    stable = np.array([s.stable for s in sure])
    yield FALSE, "noise", float(stable[:, noise].sum(axis=1).mean())
    yield BOUND, "noise", float(np.mean([s.bound for s in sure]))
    yield POWER, "clear coefficients", float(stable[:, clear].mean())


WORLDS = (
    World(
        "independent rows",
        False,
        {
            "error of standard errors: clear coefficients": 0.145,
            "error of standard errors: small coefficients": 0.233,
            "error of standard errors: noise": 0.697,
            "coverage >= 90 %: clear coefficients": 0.826,
            "coverage >= 90 %: small coefficients": 0.716,
            "coverage >= 90 %: noise": 0.970,
            "width of intervals: clear coefficients": 0.339,
            "std_error 0 beside a coefficient: 0 %: all coefficients": 0.000,
            "false ones a set, of 1 allowed: noise": 7.500,
            "bound on false ones, of 1 allowed: noise": 69.783,
            "power: clear coefficients": 1.000,
        },
    ),
    World(
        "rows of groups",
        True,
        {
            "error of standard errors: clear coefficients": 0.207,
            "error of standard errors: small coefficients": 0.540,
            "error of standard errors: noise": 0.752,
            "coverage >= 90 %: clear coefficients": 0.801,
            "coverage >= 90 %: small coefficients": 0.496,
            "coverage >= 90 %: noise": 0.972,
            "width of intervals: clear coefficients": 0.769,
            "std_error 0 beside a coefficient: 0 %: all coefficients": 0.000,
            "false ones a set, of 1 allowed: noise": 5.258,
            "bound on false ones, of 1 allowed: noise": 51.487,
            "power: clear coefficients": 0.957,
        },
    ),
)


def copied(rng: np.random.Generator, share: float) -> tuple[Floats, Floats]:
    """Ten columns of numbers; a share of the rows has a copy."""
    X, y = rng.normal(size=(10, TABLE)), rng.normal(size=TABLE)
    k = int(share * TABLE / 2)
    X[:, TABLE - k :], y[TABLE - k :] = X[:, :k], y[:k]
    return X, y


def products(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """20 products decide all columns; the target has a thousand values."""
    product = rng.integers(0, 20, TABLE)
    return rng.normal(size=(4, 20))[:, product], np.round(product + 100 * rng.random(TABLE), 1)


def answers(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Five questions of yes or no, and a grade from 1 to 5."""
    return rng.integers(0, 2, (5, TABLE)).astype(float), rng.integers(1, 6, TABLE).astype(float)


def verdict(X: Floats, y: Floats, rng: np.random.Generator) -> str:
    """What the check says of rows that are in 60 buckets at random."""
    hashing = repeats.Hashing(repeats.none(1), y, len(X))
    for column in X:
        hashing.add(column)
    counted = hashing.counted(rng.integers(0, BUCKETS, TABLE))
    sampled = rng.permutation(TABLE)[:10_000]
    return repeated_rows(counted, X[:, sampled], y[sampled]).verdict


def of_copies(simulations: int) -> Iterator[Rate]:
    """How often rows are called copies."""
    tables = {
        "no row is copied": ("called copies: 0 %", lambda rng: copied(rng, 0.0)),
        "3 % of the rows have a copy": ("power", lambda rng: copied(rng, 0.03)),
        "20 products, rounded revenue": ("called copies: 0 %", products),
        "yes or no, and grades": ("called copies: 0 %", answers),
    }
    for world, (asked, table) in tables.items():
        yes = 0
        for seed in range(simulations):
            rng = np.random.default_rng([12, seed])
            yes += verdict(*table(rng), rng) in ("watch", "alarm")
        yield Rate(
            judgement="repeated rows",
            world=world,
            asked=asked,
            before=None,
            after=yes / simulations,
            n=simulations,
        )


def simulate(simulations: int) -> Iterator[Rate]:
    """Errors, intervals and selections of coefficients, and copies of rows."""
    n = max(2, simulations // 3)  # a second each
    for world in WORLDS:
        sure = [world.trained(seed) for seed in range(n)]
        for asked, which, rate in rates_of(sure):
            yield Rate(
                judgement="how sure",
                world=f"{world.name}: {which}",
                asked=asked,
                before=world.before.get(f"{asked}: {which}"),
                after=rate,
                n=n,
            )
    yield from of_copies(max(2, simulations // 10))
