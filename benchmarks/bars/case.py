"""A case is commands that take turns, and bars on ratios of what is taken from their runs.

Of each run are taken ``whole`` (seconds), ``processor`` (seconds), ``peak`` (MB), ``faults``,
``switches``, and what it prints itself: a job's seconds by stage and its bytes read, a peer's
seconds, or the ``work`` of a limit.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import Run, installed, run

Turn = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where a case has its data, and how large it is; peers that are not named are left out."""

    folder: Path
    rows: int
    features: int
    peers: Sequence[str] | None = None

    def wants(self, peer: str) -> bool:
        """Whether the peer is wanted, and is there."""
        return (self.peers is None or peer in self.peers) and installed(peer)


@dataclass(frozen=True)
class Command:
    """Arguments of Python.

    ``work`` names what it prints of the seconds of the work itself; ``before`` is called before
    each of its turns, and is not timed.
    """

    arguments: Sequence[str]
    work: str = ""
    before: Callable[[], object] | None = None
    python: str | None = None


@dataclass(frozen=True)
class Bar:
    """What a ratio may be at most: ``of`` and ``beside`` name a command, and what is taken from it.

    Without ``beside``, the number itself has the bar. ``known`` is why a bar is not reached yet.
    """

    name: str
    of: tuple[str, str]
    at_most: float
    beside: tuple[str, str] | None = None
    per: int = 1
    known: str = ""


@dataclass(frozen=True)
class Case:
    """Commands by name, made by a function that also makes their data; and their bars."""

    name: str
    says: str
    rows: int
    features: int
    commands: Callable[[Setting], Mapping[str, Command]]
    bars: tuple[Bar, ...] = ()
    peers: tuple[str, ...] = field(default=())
    also: Callable[[Setting, Mapping[str, Run]], str] | None = None


def measured(case: Case, setting: Setting, repeat: int, say: Callable[[str], object]) -> Any:
    """Run each command of the case, then each again, and so on; a record for JSON.

    What else the machine does hits all of them alike. How many cores it used is in ``others``.
    """
    record: dict[str, Any] = {
        "rows": setting.rows,
        "features": setting.features,
        "whole size": (setting.rows, setting.features) == (case.rows, case.features),
        "turns": {},
    }
    try:
        commands = case.commands(setting)
        record["load"] = os.getloadavg()[0]
        others: list[tuple[float, float]] = []
        first: dict[str, Run] = {}
        turns: dict[str, list[Turn]] = {name: [] for name in commands}
        for i in range(repeat):
            for name, command in commands.items():
                say(f"{i + 1} of {repeat}: {case.name}: {name}\n")
                if command.before is not None:
                    command.before()
                done = run(command.arguments, command.python)
                first.setdefault(name, done)
                others.append((done.others_seconds, done.seconds))
                turns[name].append(taken(done))
        record["others"] = sum(o for o, _ in others) / sum(s for _, s in others)
        record["work"] = {name: command.work for name, command in commands.items()}
        record["turns"] = turns
        if case.also is not None:
            record["also"] = case.also(setting, first)
    except (SystemExit, OSError) as error:
        record["failed"] = str(error)
    return record


def taken(done: Run) -> Turn:
    """All numbers of a run, by name."""
    return {
        "whole": done.seconds,
        "processor": done.cpu_seconds,
        "peak": done.peak_bytes / 1e6,
        "faults": done.minor_faults,
        "switches": done.involuntary_switches,
        **_printed(done.output),
    }


def _printed(output: str) -> Turn:
    try:
        found = json.loads(output)
    except json.JSONDecodeError:
        return {}
    if isinstance(found, float):
        return {"work": found}
    seconds = {name: float(value) for name, value in found.get("seconds", {}).items()}
    return {**seconds, **({"bytes": found["bytes_read"]} if "bytes_read" in found else {})}
