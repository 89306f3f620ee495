"""Pools runs that are too small to be judged with the runs before them, and judges the pools."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isnan

import numpy as np

from lasso_jobs.core.drift import distances
from lasso_jobs.core.drift.drift import NAN, Drift
from lasso_jobs.core.drift.verdicts import affected, persisting


@dataclass(frozen=True, slots=True)
class Pool:
    """A feature over the rows of several runs together, and how many runs they are."""

    drift: Drift
    n_runs: int


def judge_with_earlier(
    drift: Drift,
    earlier: Sequence[Drift],
    judge: Callable[[Drift], Drift],
    *,
    min_rows: int,
    persistence: tuple[int, int],
) -> Drift:
    """A run's drift with its verdict, by its own rows if they are enough, else with earlier ones.

    Parameters
    ----------
    drift : Drift
        Measured, not judged.
    earlier : sequence of Drift
        The same feature in the runs before, the newest first.
    judge : callable
        Judges a drift by itself.
    min_rows : int
        The rows of a pool.
    persistence : tuple of int
        An alarm takes so many of the last so many pools.
    """
    if not drift.n:
        return replace(drift, reason="not judged: there are no rows")
    alike = [
        replace(
            past,
            reference_shares=drift.reference_shares,
            reference_missing_share=drift.reference_missing_share,
        )
        for past in earlier
    ]
    runs, last = persistence
    first, *before = islice(pools([drift, *alike], min_rows), last)
    judged = judge(first.drift)
    if judged.verdict != "unknown":
        enough = [pool for pool in before if pool.drift.n >= min_rows]
        was = [_affected(pool, judge) for pool in enough]
        judged = persisting(judged, was, runs=runs, last=last)
    if first.n_runs == 1:
        return judged
    runs_before = "the run" if first.n_runs == 2 else f"the {first.n_runs - 1} runs"
    reason = f"{judged.reason} (with the rows of {runs_before} before, {first.drift.n:,} in all)"
    return replace(drift, raised=judged.raised, verdict=judged.verdict, reason=reason)


def pools(drifts: Iterable[Drift], min_rows: int) -> Iterator[Pool]:
    """Neighbouring runs together, in their order, as few as have the rows; the last may lack some.

    No run is in two pools, so that drift which persists over pools is seen in separate rows.

    Examples
    --------
    >>> same = {"feature": "x", "kind": "numeric", "reference_shares": (1.0, 0.0)}
    >>> runs = [Drift(n=n, counts=(n, 0), **same) for n in (30, 80, 200)]
    >>> [(pool.drift.n, pool.n_runs) for pool in pools(runs, 100)]
    [(110, 2), (200, 1)]
    """
    waiting: list[Drift] = []
    for drift in drifts:
        # Without its counts, as an older table has it, a small run cannot be pooled.
        if drift.n >= min_rows or (drift.n and drift.counts):
            waiting.append(drift)
        if waiting and sum(waited.n for waited in waiting) >= min_rows:
            yield Pool(_together(waiting), len(waiting))
            waiting = []
    if waiting:
        yield Pool(_together(waiting), len(waiting))


def _together(drifts: Sequence[Drift]) -> Drift:
    """What is judged of several runs: means over their rows, and the PSI of all of them."""
    newest = drifts[0]
    if len(drifts) == 1:
        return newest
    n = np.array([drift.n for drift in drifts])
    # A category's last bin, its nulls, is always empty; PSI has no such bin (see `measure`).
    width = len(newest.counts) - (newest.kind == "categorical")
    counts = np.sum([drift.counts[:width] for drift in drifts], axis=0)

    def mean(name: str) -> float:
        return float(n @ [getattr(drift, name) for drift in drifts] / n.sum())

    return replace(
        newest,
        n=int(n.sum()),
        counts=tuple(counts.tolist()),
        out_of_range_share=NAN,  # of the runs before it is not read
        score_shift=mean("score_shift"),
        missing_share=mean("missing_share"),
        unseen_share=mean("unseen_share"),
        psi=distances.psi(np.array(newest.reference_shares[:width]), counts),
    )


def _affected(pool: Pool, judge: Callable[[Drift], Drift]) -> bool:
    known = pool.n_runs == 1 and not isnan(pool.drift.shift_limit)
    return affected(pool.drift if known else judge(pool.drift))
