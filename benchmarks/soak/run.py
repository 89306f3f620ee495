"""Makes the worlds of a soak, and lets them take turns until its time is over."""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from benchmarks.soak.disturbances import step
from benchmarks.soak.nights import FEATURES, Model, rows
from benchmarks.soak.outputs import Output
from benchmarks.soak.world import SoakError, World
from tests import servers

DISK_BYTES = 64 * 2**20


def run(options: argparse.Namespace) -> None:
    """Let the worlds take turns; end with the first broken promise."""
    with contextlib.ExitStack() as stack:
        root = Path(options.dir or stack.enter_context(tempfile.TemporaryDirectory()))
        models = _train(root / "training")
        worlds = []
        for place in options.places:
            rng = random.Random(f"{options.seed} {place}")
            worlds.append(_world(root, place, models=models, rng=rng, stack=stack))
        deadline = time.monotonic() + 60 * options.minutes
        while time.monotonic() < deadline:
            for world in worlds:
                _guarded(world, options, step)
                if time.monotonic() >= deadline:
                    break
        for world in worlds:
            _guarded(world, options, World.finish)
        _print({world.output.name: world.counts for world in worlds})


def _guarded(world: World, options: argparse.Namespace, act: Callable[[World], None]) -> None:
    try:
        act(world)
    except SoakError as broken:
        world.abandon()
        log = Path(world.log.name).read_text()
        sys.stdout.write(f"\n{log[-5000:]}\n")
        raise SystemExit(f"seed {options.seed}, {world.output.name}: {broken}") from None


def _world(
    root: Path,
    place: str,
    *,
    models: list[Model],
    rng: random.Random,
    stack: contextlib.ExitStack,
) -> World:
    folder = root / place.replace(" ", "-")
    folder.mkdir(parents=True)
    own_disk = " " not in place and place != "postgresql" and _mount(folder, stack)
    shutil.copytree(root / "training" / "models", folder / "models")
    return World(folder, _output(folder, place, stack), models, rng, own_disk)


def _mount(folder: Path, stack: contextlib.ExitStack) -> bool:
    """A small disk of the world's own, which can be filled; only root can have one."""
    if os.getuid() or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
    return True


def _output(folder: Path, place: str, stack: contextlib.ExitStack) -> Output:
    name, _, elsewhere = place.partition(" ")
    if name == "postgresql":
        program = servers.initdb()
        if program is None:
            raise SystemExit("PostgreSQL is not installed: leave it out with --places")
        env = {"LASSO_JOBS_POSTGRESQL_URI": stack.enter_context(servers.postgresql(program))}
        return Output(place, name, "scores", "scores_quarantine", env)
    if elsewhere:
        env = stack.enter_context(servers.s3())
        bucket = servers.new_bucket(env["AWS_ENDPOINT_URL"])
        return Output(place, name, f"{bucket}/scores", f"{bucket}/scores-quarantine", env)
    return Output(place, name, str(folder / "scores"), str(folder / "scores-quarantine"), {})


def _train(folder: Path) -> list[Model]:
    """Two versions of a model, trained on unlike rows."""
    job = folder / "train.yaml"
    models = []
    for number in (1, 2):
        data = folder / f"train-{number}"
        data.mkdir(parents=True)
        pq.write_table(rows(np.random.default_rng(number), 0, 500, bad=False), data / "0.parquet")
        values = {
            "name": "soak",
            "data": {"path": str(data)},
            "target": "y",
            "features": {"include": [*FEATURES]},
            "search": {"alphas": 10},
            "registry": "models",
            "promote": "always",
        }
        job.write_text(yaml.safe_dump(values))
        command = [sys.executable, "-m", "lasso_jobs", "train", str(job), "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(_command(folder, "models", "show", f"soak@v{number}", "--json"))
        models.append(Model(f"v{number}", found["intercept"], found["coef"]))
    _command(folder, "models", "promote", "soak@v1", "--registry", "models")
    return models


def _command(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "lasso_jobs", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def _print(counts: dict[str, Counter[str]]) -> None:
    frame = pd.DataFrame(counts).fillna(0).astype(int)
    frame.insert(len(frame.columns), "all", frame.sum(axis=1))
    sys.stdout.write(f"\nNo fault.\n\n{frame.to_string()}\n")
