"""Judges a case's bars by the ratios of its turns, each of which ran both sides of a ratio.

The rule. A ratio is the median of the turns' ratios. Its *noise* is the exact interval of a median
of independent turns, whatever their distribution: from the k-th smallest to the k-th largest, with
the largest k for which chance leaves the true median below it in at most one run of twenty. Of 5 to
7 turns that is the smallest and the largest (1 in 32 of five), of 8 turns the second ones. A bar is

- ``missed`` if the whole noise is above it. With a true ratio at the bar that is one run of twenty
  at most; with one 10 % above, and turns that differ by 5 % (a standard deviation), nine of ten;
- ``met`` if the ratio is not above it;
- ``within noise`` if the ratio is above it, by no more than a tenth, and the noise reaches it;
- ``not judged`` otherwise, as the turns differ too much, and always if something was not measured:
  a peer is not there, the data is smaller than the bar's, turns are fewer than five, or other
  processes used more than `OTHERS` cores.

Three standard errors from the median deviation were tried: with five turns, as such a deviation is
often near zero, they err in 6 % of the runs (this rule: 3 %), and find 76 % where this finds 89 %.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bars.case import Bar, Case

TURNS = 5
ERROR = 0.05
OTHERS = 0.2
FAR = 1.1

MET, NOISE, MISSED = "met", "within noise", "missed"
KNOWN, UNJUDGED, FAILED = "known shortfall", "not judged", "failed"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A bar's verdict, the reason if it is not the ratio, and what was measured, if anything."""

    bar: Bar
    verdict: str
    because: str = ""
    of: float | None = None
    beside: float | None = None
    ratio: float | None = None
    noise: tuple[float, float] | None = None


def judged(case: Case, record: dict[str, Any] | None) -> list[Judgement]:
    """Judge each bar of a case by a record of `case.measured`; None: it was not measured."""
    if record is None:
        return [Judgement(bar=bar, verdict=UNJUDGED, because="not measured") for bar in case.bars]
    if "failed" in record:
        because = record["failed"]
        return [Judgement(bar=bar, verdict=FAILED, because=because) for bar in case.bars]
    return [_judged(bar, record) for bar in case.bars]


def _judged(bar: Bar, record: dict[str, Any]) -> Judgement:
    sides = [side for side in (bar.of, bar.beside) if side is not None]
    for command, _ in sides:
        if command not in record["turns"]:
            because = f"{command} was left out, or is not installed"
            return Judgement(bar=bar, verdict=UNJUDGED, because=because)
    values = [[turn[what] for turn in record["turns"][command]] for command, what in sides]
    values[0] = [value / bar.per for value in values[0]]
    beside = values[1] if bar.beside is not None else [1.0] * len(values[0])
    ratios = [of / other for of, other in zip(values[0], beside, strict=True)]
    ratio, noise = statistics.median(ratios), interval(ratios)
    verdict, because = verdict_of(ratios, bar.at_most)
    why_not = _not_judged(record, len(ratios))
    if why_not:
        verdict, because = UNJUDGED, why_not
    elif verdict == MISSED and bar.known:
        verdict, because = KNOWN, bar.known
    return Judgement(
        bar=bar,
        verdict=verdict,
        because=because,
        of=statistics.median(values[0]),
        beside=statistics.median(values[1]) if bar.beside is not None else None,
        ratio=ratio,
        noise=noise,
    )


def _not_judged(record: dict[str, Any], n_turns: int) -> str:
    if not record["whole size"]:
        return f"of {record['rows']:,} rows x {record['features']:,}, which is another size"
    if n_turns < TURNS:
        return f"of {n_turns} turns; {TURNS} are needed"
    if record["others"] > OTHERS:
        return f"others used {record['others']:.2f} cores; at most {OTHERS} is idle"
    return ""


def verdict_of(ratios: Sequence[float], at_most: float) -> tuple[str, str]:
    """The verdict by the ratios alone, and the reason if there is no verdict.

    >>> verdict_of([1.18, 1.19, 1.17, 1.21, 1.19], 1.2)[0]
    'met'
    >>> verdict_of([1.22, 1.19, 1.23, 1.21, 1.22], 1.2)[0]
    'within noise'
    >>> verdict_of([1.22, 1.21, 1.23, 1.21, 1.22], 1.2)[0]
    'missed'
    >>> verdict_of([1.5, 1.1, 1.6, 1.4, 1.5], 1.2)
    ('not judged', 'turns from 1.1 to 1.6 differ too much; take more')
    """
    ratio, (low, high) = statistics.median(ratios), interval(ratios)
    if ratio <= at_most:
        return MET, ""
    if low > at_most:
        return MISSED, ""
    if ratio <= FAR * at_most:
        return NOISE, ""
    return UNJUDGED, f"turns from {low:.3g} to {high:.3g} differ too much; take more"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The noise of the median of the values; of fewer than five, all that they span.

    >>> interval([5.0, 1.0, 4.0, 2.0, 3.0])
    (1.0, 5.0)
    >>> interval([5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0, 8.0])
    (2.0, 7.0)
    """
    n, k = len(values), 1
    # The k + 1 smallest are all below the true median with this chance, and no more are.
    while sum(math.comb(n, i) for i in range(k + 1)) / 2**n <= ERROR:
        k += 1
    ordered = sorted(values)
    return ordered[k - 1], ordered[n - k]
