"""Pools runs that are too small to be judged with the runs before them, and judges the pools."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import isnan

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift import distances
from lasso_jobs.core.drift.chart import Chart
from lasso_jobs.core.drift.drift import NAN, Drift
from lasso_jobs.core.drift.verdicts import Judge, affected, judge_together, persisting

Night = Mapping[str, Drift]
"""A run's drift of the predictions and of features, by their names."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows of several runs together: the drift of each feature of the first, and the runs."""

    drifts: Night
    n_runs: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return _n_rows(self.drifts)


def judge_with_earlier(
    night: Night,
    earlier: Sequence[Night],
    judges: Mapping[str, Judge],
    *,
    min_rows: int,
    persistence: tuple[int, int],
    chart: Chart | None = None,
) -> dict[str, Drift]:
    """A run's drift with its verdicts, by its own rows if they are enough, else with earlier ones.

    Parameters
    ----------
    night : mapping of str to Drift
        The predictions and the features that are judged: measured, not judged.
    earlier : sequence of mapping
        The same in the runs before, the newest first.
    judges : mapping of str to callable
        Judges each of them by itself.
    min_rows : int
        The rows of a pool.
    persistence : tuple of int
        An alarm takes so many of the last so many pools.
    chart : Chart, optional
        Finds shifts that last and are small each night.
    """
    if not _n_rows(night):
        reason = "not judged: there are no rows"
        return {name: replace(drift, reason=reason) for name, drift in night.items()}
    runs, last = persistence
    alike = (_compared_alike(past, night) for past in earlier)
    first, *others = islice(pools(chain([night], alike), min_rows), last)
    before = [_judged_before(pool, judges) for pool in others if pool.n >= min_rows]
    judged, now = {}, judge_together(first.drifts, judges)
    if chart is not None:
        now = chart.judge(now, [night, *earlier])
    for name, drift in now.items():
        if drift.verdict != "unknown":
            was = [affected(past[name]) for past in before if name in past]
            drift = persisting(drift, was, runs=runs, last=last)
        judged[name] = drift if first.n_runs == 1 else _of_pool(night[name], drift, first)
    return judged


def _of_pool(drift: Drift, judged: Drift, pool: Pool) -> Drift:
    """A run's own drift, with the verdict of the rows of several runs."""
    runs_before = "the run" if pool.n_runs == 2 else f"the {pool.n_runs - 1} runs"
    reason = f"{judged.reason} (with the rows of {runs_before} before, {judged.n:,} in all)"
    return replace(
        drift,
        raised=judged.raised,
        verdict=judged.verdict,
        ewma_shift=judged.ewma_shift,
        ewma_limit=judged.ewma_limit,
        unseen_season=judged.unseen_season,
        reason=reason,
    )


def _compared_alike(past: Night, night: Night) -> Night:
    """A run before with the reference of this one, which the table's columns of it leave out."""
    return {
        name: replace(
            drift,
            reference_shares=night[name].reference_shares,
            reference_missing_share=night[name].reference_missing_share,
            reference_sd=night[name].reference_sd,
        )
        for name, drift in past.items()
        if name in night
    }


def _judged_before(pool: Pool, judges: Mapping[str, Judge]) -> Night:
    if pool.n_runs == 1 and not any(isnan(drift.shift_limit) for drift in pool.drifts.values()):
        return pool.drifts
    return judge_together(pool.drifts, judges)


def _n_rows(night: Night) -> int:
    """Of the predictions; each feature has the same rows."""
    return max((drift.n for drift in night.values()), default=0)


def pools(nights: Iterable[Night], min_rows: int) -> Iterator[Pool]:
    """Neighbouring runs together, in their order, as few as have the rows; the last may lack some.

    No run is in two pools, so that drift which persists over pools is seen in separate rows.

    Examples
    --------
    >>> same = {"feature": "x", "kind": "numeric", "reference_shares": (1.0, 0.0)}
    >>> runs = [{"x": Drift(n=n, counts=(n, 0), **same)} for n in (30, 80, 200)]
    >>> [(pool.n, pool.n_runs) for pool in pools(runs, 100)]
    [(110, 2), (200, 1)]
    """
    waiting: list[Night] = []
    for night in nights:
        # Without its counts, as an older table has it, a small run cannot be pooled.
        n = _n_rows(night)
        if n >= min_rows or (n and all(drift.counts for drift in night.values())):
            waiting.append(night)
        if waiting and sum(map(_n_rows, waiting)) >= min_rows:
            yield _pooled(waiting)
            waiting = []
    if waiting:
        yield _pooled(waiting)


def _pooled(nights: Sequence[Night]) -> Pool:
    """Runs together; of a feature that some of them lack, those that have it."""
    drifts = {
        name: _together([night[name] for night in nights if name in night]) for name in nights[0]
    }
    return Pool(drifts, len(nights))


def _together(drifts: Sequence[Drift]) -> Drift:
    """What is judged of several runs: means over their rows, the PSI and the SD of all of them."""
    newest = drifts[0]
    if len(drifts) == 1:
        return newest
    n = np.array([drift.n for drift in drifts])
    # A category's last bin, its nulls, is always empty; PSI has no such bin (see `measure`).
    width = len(newest.counts) - (newest.kind == "categorical")
    counts = np.sum([drift.counts[:width] for drift in drifts], axis=0)

    def mean(name: str) -> float:
        return float(n @ [getattr(drift, name) for drift in drifts] / n.sum())

    usual = n @ np.nan_to_num([drift.usual_shift for drift in drifts]) / n.sum()

    return replace(
        newest,
        n=int(n.sum()),
        counts=tuple(counts.tolist()),
        out_of_range_share=NAN,  # of the runs before it is not read
        sd=_sd_together(drifts, n),
        score_shift=mean("score_shift"),
        usual_shift=float(usual),
        missing_share=mean("missing_share"),
        unseen_share=mean("unseen_share"),
        psi=distances.psi(np.array(newest.reference_shares[:width]), counts),
    )


def _sd_together(drifts: Sequence[Drift], n: NDArray[np.int64]) -> float:
    """Of the predictions of several runs; of a feature with nulls it is judged by nothing."""
    means, sds = (np.array([getattr(drift, name) for drift in drifts]) for name in ("mean", "sd"))
    centre = n @ means / n.sum()
    return float(np.sqrt(n @ (sds**2 + (means - centre) ** 2) / n.sum()))
