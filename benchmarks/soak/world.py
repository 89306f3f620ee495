"""One output of a soak: its drivers, and what readers may see of it.

For each night the world keeps its *allowed* generations: pairs of a state of the source and a
version of the model, or None while nothing needs to be there. A run that starts adds the one that
it would commit; a run that ends well leaves that alone. Whatever a reader sees of a night must be
all of one allowed generation, and nothing else.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.soak.nights import Model, Nights
from benchmarks.soak.outputs import Output

Generation = tuple[int, str] | None
# What lasts longer hangs; on a busy machine, a command of a few seconds may take minutes.
LONGEST_SECONDS = 900.0


class SoakError(Exception):
    """A promise that was broken."""


def check_told(told: str, of: str) -> None:
    """Refuse what no command may print on standard error, however it ends."""
    if "Traceback" in told or "unexpected" in told:
        raise SoakError(f"{of}: {told}")


@dataclass
class Driver:
    """A scoring command that runs."""

    process: "subprocess.Popen[str]"
    dates: list[str]
    is_range: bool
    version: str
    disturbed: bool = False
    shared: bool = False


@dataclass
class World:
    """One output, its source and its drivers."""

    folder: Path
    output: Output
    models: list[Model]
    rng: random.Random
    is_own_disk: bool = False
    allowed: dict[str, set[Generation]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nights = Nights(self.folder / "data", self.rng)
        self.version = "v1"
        self.job = self.folder / "job.yaml"
        values: dict[str, Any] = {
            "model": "soak",
            "data": {"path": "data"},
            "keys": ["id"],
            "output": {
                "path": self.output.root,
                "format": self.output.format,
                "partition_by": "date",
            },
            "drift": {"path": "drift"},
            "registry": "models",
        }
        self.job.write_text(yaml.safe_dump(values))
        self.log = (self.folder / "soak.log").open("a")

    def note(self, text: str) -> None:
        """Write what is done to the world's log, from which a fault can be told again."""
        self.log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self.log.flush()

    # Commands.

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        self.counts["commands"] += 1
        process = subprocess.Popen(
            [sys.executable, "-m", "lasso_jobs", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.output.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started = [*(p for p in self.started if p.returncode is None), process]
        return process

    def ended(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        """Wait for a command's end, and return what it printed and told; hanging is a fault."""
        try:
            return process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise SoakError(f"{error.cmd[3:]} has not ended for {LONGEST_SECONDS:g} s") from None

    def abandon(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            if process.returncode is None:
                process.kill()
                process.communicate()

    def run(self, *arguments: str) -> str:
        """Run a command that nothing disturbs, and return what it prints."""
        self.note(" ".join(arguments))
        process = self.command(*arguments)
        printed, told = self.ended(process)
        if process.returncode not in (0, 3):
            raise SoakError(f"{' '.join(arguments)}: exit {process.returncode}: {told}")
        return printed

    def start(self, dates: list[str], is_range: bool) -> Driver:
        """Start a driver of one date, or of the dates of a range that are missing."""
        cluster = "local-processes" if self.rng.random() < 0.15 else "local"
        span = ["--from", dates[0], "--to", dates[-1], "--only", "missing"]
        which = span if is_range else ["--date", dates[0]]
        arguments = ["score", "job.yaml", "--json", *which, "--cluster", cluster, "--workers", "1"]
        self.note(" ".join(arguments))
        self.allow(dates)
        return Driver(self.command(*arguments), dates, is_range, self.version)

    def allow(self, dates: list[str]) -> None:
        for date in dates:
            self.allowed[date].add((self.nights.latest(date), self.version))

    def end(self, driver: Driver) -> None:
        """Wait for a driver's end, and learn from it what the output has to show."""
        process = driver.process
        printed, told = self.ended(process)
        status = process.returncode
        self.note(f"exit {status} {' '.join(told.split())[:300]}")
        if driver.disturbed and status not in (0, 3):
            return
        check_told(told, f"a driver, exit {status}")
        if status not in (0, 3):
            if driver.shared:
                return
            raise SoakError(f"a driver that nothing disturbed: exit {status}: {told}")
        values = json.loads(printed)
        if driver.shared or driver.disturbed:
            return
        if not driver.is_range:
            self.now(driver.dates[0], driver.version)
            return
        for row in values["dates"]:
            if row["fate"] == "scored":
                self.now(row["date"], driver.version)
            elif row["fate"] == "done":
                date, latest = row["date"], self.nights.latest(row["date"])
                self.allowed[date] = {g for g in self.allowed[date] if g and g[0] == latest}
            else:
                raise SoakError(f"{row['date']} is {row['fate']}: {row['error']}")

    def now(self, date: str, version: str) -> None:
        self.counts["nights scored"] += 1
        self.allowed[date] = {(self.nights.latest(date), version)}

    # What readers see.

    def look(self, *, quiet: bool) -> None:
        """Read the output with every reader; ``quiet`` is when no driver runs."""
        if not any(self.allowed.values()):
            return
        for name, read in self.output.readers().items():
            try:
                frame = read()
            except Exception as error:
                if self._may_fail(error, quiet):
                    continue
                raise SoakError(f"{name} cannot read {self.output.root}: {error!r}") from error
            self.counts["reads"] += 1
            self.counts["rows compared"] += len(frame)
            self._compare(name, frame, quiet)

    def _may_fail(self, error: Exception, quiet: bool) -> bool:
        nothing = all(None in allowed for allowed in self.allowed.values())
        # Files of a plain folder are listed, and then read: a commit may come between.
        return nothing or (self.output.format == "parquet" and not quiet)

    def _compare(self, reader: str, frame: pd.DataFrame, quiet: bool) -> None:
        shown = dict(iter(frame.groupby(frame["date"].astype(str).str[:10])))
        for date in shown.keys() - self.allowed.keys():
            raise SoakError(
                f"{reader} sees {len(shown[date])} rows of {date}, which was never scored"
            )
        for date, allowed in self.allowed.items():
            rows = shown.get(date, frame.iloc[:0])
            matching = {g for g in allowed if self._is(rows, date, g, quiet)}
            if not matching:
                runs, versions = [*rows["run_id"].unique()], [*rows["model_version"].unique()]
                raise SoakError(
                    f"{reader} sees {len(rows)} rows of {date}, of run {runs} "
                    f"and model {versions}: none of {allowed}, which have "
                    f"{[len(self._expected(date, g)) for g in allowed]} rows"
                )
            if quiet:
                self.allowed[date] = matching

    def _expected(self, date: str, generation: Generation) -> pd.Series:
        if generation is None:
            return pd.Series(dtype=float)
        snapshot, version = generation
        (model,) = (model for model in self.models if model.version == version)
        return self.nights.expected(date, snapshot, model)

    def _is(self, rows: pd.DataFrame, date: str, generation: Generation, quiet: bool) -> bool:
        expected = self._expected(date, generation)
        found = rows.set_index("id")["prediction"].sort_index()
        if self.output.format == "parquet" and not quiet:
            # A folder is changed file by file: rows may be missing while a commit is carried out.
            if not found.index.isin(expected.index).all():
                return False
            expected = expected[found.index]
        if len(found) != len(expected) or not found.index.equals(expected.index):
            return False
        if len(rows) and (rows["run_id"].nunique() > 1 or not found.index.is_unique):
            return False
        versions = set(rows["model_version"])
        if generation is not None and versions - {generation[1]}:
            return False
        return bool(np.allclose(found, expected, rtol=1e-10, atol=1e-10))

    def check_markers(self) -> None:
        """Every completion marker counts the rows that readers see, and names their run."""
        if not (markers := self.output.markers()):
            return
        frame = next(iter(self.output.readers().values()))()
        seen = dict(iter(frame.groupby(frame["date"].astype(str).str[:10])["run_id"]))
        for date, marker in markers.items():
            told = [marker["run_id"]] * marker["rows_scored"]
            found = [*seen.get(date, [])]
            if found != told:
                raise SoakError(
                    f"the marker of {date} says {len(told)} rows of run {marker['run_id']}, "
                    f"readers see {len(found)} of {sorted(set(found))}"
                )
            self.counts["markers"] += 1

    def settle(self) -> None:
        """Ask for the status of all nights, which ends what a dead driver left half done."""
        dates = self.nights.dates
        span = ["--from", dates[0], "--to", dates[-1], "--dry-run", "--json"]
        for row in json.loads(self.run("score", "job.yaml", *span))["dates"]:
            latest, allowed = self.nights.latest(row["date"]), self.allowed[row["date"]]
            if row["status"] == "done" and not any(g and g[0] == latest for g in allowed):
                raise SoakError(f"{row['date']} is done, but was never scored since it changed")
        self.look(quiet=True)
        self.check_markers()

    def finish(self) -> None:
        """Score what is missing; then output, quarantine, markers and log agree with the source."""
        dates = self.nights.dates
        if not dates:
            return
        self.end(self.start(dates, True))
        self.settle()
        bad = self.output.bad_ids()
        shown = dict(iter(bad.groupby(bad["date"].astype(str).str[:10])["id"]))
        for date in dates:
            found, expected = (
                set(shown.get(date, [])),
                self.nights.bad(date, self.nights.latest(date)),
            )
            if found != expected:
                raise SoakError(
                    f"the quarantine of {date} has {len(found)} rows, not {len(expected)}"
                )
        if self.output.format == "delta":
            self.run("verify", self.output.root, "--deep", "--seed", str(self.rng.randint(0, 99)))
            self.run("vacuum", self.output.root, "--remove", "--grace", "0")
            self.run("verify", self.output.root)
        self.look(quiet=True)
        self.counts["whole checks"] += 1
