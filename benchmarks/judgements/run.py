"""Runs the simulations of every judgement, and prints their table."""

import argparse
import sys
from collections.abc import Callable, Iterable

from benchmarks.judgements import (
    checks,
    comparison,
    drift_effect,
    drift_limits,
    gate,
    how_sure,
    intervals,
    stuck,
)
from benchmarks.judgements.rate import Rate
from benchmarks.processes import table

# How many simulations of each world, to the rates of the worlds.
Simulation = Callable[[int], Iterable[Rate]]

SIMULATIONS: dict[str, Simulation] = {
    "checks": checks.simulate,
    "comparison": comparison.simulate,
    "drift effect": drift_effect.simulate,
    "drift limits": drift_limits.simulate,
    "gate": gate.simulate,
    "how sure": how_sure.simulate,
    "intervals": intervals.simulate,
    "never stuck": stuck.simulate,
}

HEAD = ("judgement", "world", "asked", "before", "after", "simulations")


def judgements(options: argparse.Namespace) -> None:
    """Size and power of each judgement, in simulated worlds on fixed seeds."""
    rows: list[list[object]] = []
    for name in options.only or SIMULATIONS:
        sys.stderr.write(f"{name}\n")
        rows += [rate.row() for rate in SIMULATIONS[name](options.simulations)]
    sys.stdout.write(f"{table(HEAD, *rows)}\n")
