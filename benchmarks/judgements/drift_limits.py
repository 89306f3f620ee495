"""Simulates days of training and nights after them, and counts how often drift is judged.

A world has ten features, each the only column of its term in the prediction, whose days have
effects. The sums by period, the null shares and the bins are simulated, not the rows; from them on
everything is the product's own: the baselines, the limits, the chart, and the verdict of each night
with the nights before it.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.judgements.rate import Rate
from lasso_jobs.core.drift import distances
from lasso_jobs.core.drift.chart import Chart
from lasso_jobs.core.drift.drift import Drift, Kind, Severity
from lasso_jobs.core.drift.limits import Baseline
from lasso_jobs.core.drift.normal.baselines import FeaturePeriods, TrainingPeriods, baseline_of
from lasso_jobs.core.drift.pools import Night, judge_with_earlier
from lasso_jobs.core.drift.verdicts import judge_drift, worst
from lasso_jobs.core.rows.periods import Periods

FEATURES, ROWS, SAMPLED, NIGHTS, BINS = 10, 2_000, 10_000, 20, 20
DAY_SD = 0.15
"""Of a day's effect, in standard deviations of the feature's rows."""

PREDICTION_SD = float(np.sqrt(FEATURES))
START = date(2024, 1, 1)
Array = NDArray[np.float64]
Days = NDArray[np.intp]
Effects = Callable[[np.random.Generator, Days], Array]


def _alike(rng: np.random.Generator, days: Days) -> Array:
    """Effects of days, shape (FEATURES, t), in standard deviations of a feature's rows."""
    return np.asarray(DAY_SD * rng.normal(size=(FEATURES, len(days))))


def _heavy(rng: np.random.Generator, days: Days) -> Array:
    return np.asarray(DAY_SD / np.sqrt(2) * rng.standard_t(4, size=(FEATURES, len(days))))


def _autoregressive(r: float, rng: np.random.Generator, days: Days) -> Array:
    steps = rng.normal(size=(FEATURES, int(days[-1]) + 1))
    for t in range(1, steps.shape[1]):
        steps[:, t] = r * steps[:, t - 1] + np.sqrt(1 - r * r) * steps[:, t]
    return np.asarray(DAY_SD * steps[:, days])


def _seasonal(rng: np.random.Generator, days: Days) -> Array:
    """A year's wave of half a standard deviation, low in January and high in July."""
    return np.asarray(_alike(rng, days) - 0.5 * np.cos(2 * np.pi * (days - 15) / 365.25))


def _weekly(rng: np.random.Generator, days: Days) -> Array:
    """Saturdays and Sundays are one standard deviation higher."""
    return np.asarray(_alike(rng, days) + ((days % 7) >= 5))


def _rising(per_day: float, nights: Days) -> Array:
    return np.asarray(per_day * (nights + 1), float)


@dataclass(frozen=True, kw_only=True)
class World:
    """Days of training, and nights after them.

    Parameters
    ----------
    name : str
    effects : callable
        Of days, counted from `START`.
    training, gap : int
        Days of training, and until the first night.
    odd : float
        Of the twentieth day of training, in every feature.
    shift : float or callable
        Of the first feature on each night.
    nulls : float
        Share of the first feature's rows on each night.
    """

    name: str
    effects: Effects = _alike
    training: int = 60
    gap: int = 0
    odd: float = 0.0
    shift: float | Callable[[Days], Array] = 0.0
    nulls: float = 0.0


@dataclass(frozen=True)
class Binned:
    """A feature's training: its bins' edges, their shares, and its baseline."""

    edges: Array
    shares: Array
    sd: float
    baseline: Baseline


INNOCENT = (
    World(name="60 days alike"),
    World(name="60 days, one of them at +5 sd", odd=5.0),
    World(name="5 days", training=5),
    World(name="7 days", training=7),
    World(name="9 days", training=9),
    World(name="60 days, autocorrelated 0.5", effects=partial(_autoregressive, 0.5)),
    World(name="60 days, autocorrelated 0.8", effects=partial(_autoregressive, 0.8)),
    World(name="January to March, judged in July", effects=_seasonal, training=91, gap=91),
    World(name="two years, judged in July", effects=_seasonal, training=731, gap=181),
    World(name="60 days, weekends differ", effects=_weekly),
    World(name="60 days, heavy tails (t4)", effects=_heavy),
)
CHANGED = (
    World(name="0.25 sd", shift=0.25),
    World(name="0.5 sd", shift=0.5),
    World(name="1 sd", shift=1.0),
    World(name="1.5 sd", shift=1.5),
    World(name="1.5 sd, after one day at +5 sd", shift=1.5, odd=5.0),
    World(name="0.5 sd, after one day at +5 sd", shift=0.5, odd=5.0),
    World(name="0.02 sd more each day", shift=partial(_rising, 0.02)),
    World(
        name="0.02 sd more each day, after one day at +5 sd",
        shift=partial(_rising, 0.02),
        odd=5.0,
    ),
    World(name="1.5 sd, 7 days of training", shift=1.5, training=7),
    World(name="1.5 sd, in an unseen July", effects=_seasonal, training=91, gap=91, shift=1.5),
    World(name="1 sd, weekends differ", effects=_weekly, shift=1.0),
    World(
        name="1 sd in a July after two years", effects=_seasonal, training=731, gap=181, shift=1.0
    ),
    World(name="30 % nulls", nulls=0.3),
    World(name="all nulls in an unseen July", effects=_seasonal, training=91, gap=91, nulls=1.0),
)


RAISED = ("watch", "alarm")
# Of the first twenty runs of each world.
BEFORE: dict[str, float] = {
    "60 days alike: watch or alarm": 0.0725,
    "60 days, one of them at +5 sd: watch or alarm": 0.0,
    "5 days: watch or alarm": 0.2725,
    "7 days: watch or alarm": 0.2225,
    "9 days: watch or alarm": 0.2275,
    "60 days, autocorrelated 0.5: watch or alarm": 0.1475,
    "60 days, autocorrelated 0.8: watch or alarm": 0.1775,
    "January to March, judged in July: watch or alarm": 1.0,
    "two years, judged in July: watch or alarm": 0.0,
    "60 days, weekends differ: watch or alarm": 0.0,
    "60 days, heavy tails (t4): watch or alarm": 0.2,
    "0.25 sd: watched on night 1": 0.15,
    "0.25 sd: alarm within 20": 0.05,
    "0.5 sd: watched on night 1": 0.8,
    "0.5 sd: alarm within 20": 0.8,
    "1 sd: watched on night 1": 1.0,
    "1 sd: alarm within 20": 1.0,
    "1.5 sd: watched on night 1": 1.0,
    "1.5 sd: alarm within 20": 1.0,
    "1.5 sd, after one day at +5 sd: watched on night 1": 0.0,
    "1.5 sd, after one day at +5 sd: alarm within 20": 0.0,
    "0.5 sd, after one day at +5 sd: watched on night 1": 0.0,
    "0.5 sd, after one day at +5 sd: alarm within 20": 0.0,
    "0.02 sd more each day: watched on night 1": 0.15,
    "0.02 sd more each day: alarm within 20": 0.0,
    "0.02 sd more each day, after one day at +5 sd: watched on night 1": 0.0,
    "0.02 sd more each day, after one day at +5 sd: alarm within 20": 0.0,
    "1.5 sd, 7 days of training: watched on night 1": 1.0,
    "1.5 sd, 7 days of training: alarm within 20": 1.0,
    "1.5 sd, in an unseen July: watched on night 1": 1.0,
    "1.5 sd, in an unseen July: alarm within 20": 1.0,
    "1 sd, weekends differ: watched on night 1": 0.0,
    "1 sd, weekends differ: alarm within 20": 0.0,
    "1 sd in a July after two years: watched on night 1": 0.95,
    "1 sd in a July after two years: alarm within 20": 1.0,
    "30 % nulls: watched on night 1": 1.0,
    "30 % nulls: alarm within 20": 1.0,
    "all nulls in an unseen July: watched on night 1": 1.0,
    "all nulls in an unseen July: alarm within 20": 1.0,
}


def simulate(simulations: int) -> Iterator[Rate]:
    """Nights of innocent worlds with a watch or an alarm, and changes that have one.

    A fourth of the simulations, as each has twenty nights.
    """
    n_runs = max(simulations // 4, 1)
    for world in INNOCENT:
        nights = [v for i in range(n_runs) for v in verdicts(world, i)]
        yield _rate(f"{world.name}: watch or alarm", "nights <= 2 %", [v in RAISED for v in nights])
    for world in CHANGED:
        runs = [verdicts(world, i) for i in range(n_runs)]
        yield _rate(
            f"{world.name}: watched on night 1", "power", [run[0] in RAISED for run in runs]
        )
        found = ["alarm" in run for run in runs]
        yield _rate(f"{world.name}: alarm within {NIGHTS}", "power", found)


def _rate(world: str, asked: str, yes: list[bool]) -> Rate:
    after, before = sum(yes) / len(yes), BEFORE.get(world)
    return Rate(
        judgement="drift limits", world=world, asked=asked, before=before, after=after, n=len(yes)
    )


def verdicts(world: World, seed: int) -> list[Severity]:
    """The gravest verdict of each night."""
    rng = np.random.default_rng([20, zlib.crc32(world.name.encode()), seed])
    t = world.training
    days = np.concatenate([np.arange(t), t + world.gap + np.arange(NIGHTS)])
    dates = [START + timedelta(days=int(day)) for day in days]
    effects = world.effects(rng, days)
    if world.odd:
        effects[:, 19] += world.odd
    effects[0, t:] += world.shift(np.arange(NIGHTS)) if callable(world.shift) else world.shift
    means = effects + rng.normal(size=effects.shape) / np.sqrt(ROWS)
    keys = np.array([day.toordinal() for day in dates[:t]], float)
    trained = _trained(rng, means[:, :t], effects[:, :t], keys)
    moved = means[:, t:] - means[:, :t].mean(axis=1)[:, None]
    past: list[Night] = []
    found: list[Severity] = []
    for i, night in enumerate(dates[t:]):
        drifts = _measured(rng, trained, effects[:, t + i], moved[:, i], world.nulls)
        past.insert(0, _judged(drifts, trained, past, night.isoformat()))
        found.append(worst([drift.verdict for drift in past[0].values()]))
    return found


def _trained(
    rng: np.random.Generator, means: Array, effects: Array, keys: Array
) -> dict[str, Binned]:
    """Features, whose coefficients are 1, and last their sum."""
    t, n = len(keys), np.full(len(keys), ROWS)
    shifts = (means - means.mean(axis=1)[:, None]) * ROWS
    periods = Periods(keys=keys, n=n, observed=np.tile(n, (FEATURES, 1)), sums=shifts)
    place = np.sort(rng.integers(0, t, SAMPLED))
    training = TrainingPeriods.of(periods, keys[place]).with_common(shifts)
    rows = effects[:, place] + rng.normal(size=(FEATURES, SAMPLED))
    values = [*rows, rows.sum(axis=0)]
    variances = [*(1 + effects.var(axis=1)), FEATURES + effects.sum(axis=0).var()]
    trained: dict[str, Binned] = {}
    for j, of_feature in enumerate([*shifts, shifts.sum(axis=0)]):
        edges = np.sort(values[j])[np.arange(1, BINS) * SAMPLED // BINS]
        bins = np.searchsorted(edges, values[j], "right")
        feature = FeaturePeriods(
            shifts=of_feature,
            nulls=np.zeros(t),
            bins=bins,
            n_bins=BINS + 1,
            variance=float(variances[j]),
        )
        shares = np.append(np.bincount(bins, minlength=BINS) / SAMPLED, 0.0)
        sd = float(np.sqrt(variances[j]))
        trained[_name(j)] = Binned(edges, shares, sd, baseline_of(feature, training))
    return trained


def _name(j: int) -> str:
    return f"x{j}" if j < FEATURES else "prediction"


def _measured(
    rng: np.random.Generator,
    trained: Mapping[str, Binned],
    effects: Array,
    moved: Array,
    nulls: float,
) -> dict[str, Drift]:
    """A night as it is measured; nulls of the first feature have its mean."""
    moved = np.append(moved[0] * (1 - nulls), moved[1:])
    effects = np.append(effects[0] * (1 - nulls), effects[1:])
    night = {}
    for j, (name, binned) in enumerate(trained.items()):
        lost = round(nulls * ROWS) if j == 0 else 0
        prediction = j == FEATURES
        effect, sd = (effects.sum(), PREDICTION_SD) if prediction else (effects[j], 1.0)
        cumulated = _normal((binned.edges - effect) / sd)
        counts = np.append(rng.multinomial(ROWS - lost, np.diff(cumulated)), lost)
        kind: Kind = "prediction" if prediction else "numeric"
        night[name] = Drift(
            feature=name,
            kind=kind,
            n=ROWS,
            missing_share=lost / ROWS,
            reference_missing_share=0.0,
            psi=distances.psi(binned.shares, counts),
            sd=sd,
            reference_sd=binned.sd,
            out_of_range_share=0.0,
            score_shift=float(moved.sum() if prediction else moved[j]),
            counts=tuple(counts.tolist()),
            reference_shares=tuple(binned.shares.tolist()),
        )
    return night


def _normal(edges: Array) -> Array:
    from scipy.special import ndtr

    return np.concatenate([[0.0], ndtr(edges), [1.0]])


def _judged(
    drifts: Mapping[str, Drift], trained: Mapping[str, Binned], past: list[Night], night: str
) -> Night:
    baselines = {name: binned.baseline for name, binned in trained.items()}
    usual = {name: baseline.usual_shift(night) for name, baseline in baselines.items()}
    judges = {
        name: partial(
            judge_drift,
            baseline=baseline,
            prediction_sd=PREDICTION_SD,
            n_judged=len(baselines),
            night=night,
        )
        for name, baseline in baselines.items()
    }
    return judge_with_earlier(
        {name: replace(drift, usual_shift=usual[name]) for name, drift in drifts.items()},
        past,
        judges,
        min_rows=100,
        persistence=(3, 5),
        chart=Chart(baselines, PREDICTION_SD, night),
    )
