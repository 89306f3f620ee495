"""What a soak does to an output's drivers and source, at random."""

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import psutil

from benchmarks.soak.world import Driver, SoakError, World, check_told

# A driver takes 2 to 5 seconds: its start, its plan, its rows and its commits.
KILL_WITHIN_SECONDS = 5.0


def step(world: World) -> None:
    """Change the source, start a driver, disturb it, and look."""
    rng = world.rng
    if not world.nights.dates or (rng.random() < 0.25 and len(world.nights.dates) < 25):
        world.allowed[world.nights.add()] = {None}
    elif rng.random() < 0.4:
        world.note(world.nights.change(rng.choice(world.nights.dates)))
    actions: list[tuple[float, Callable[[World], None]]] = [
        (3, undisturbed),
        (6, killed),
        (2, paused),
        (2, changed_while_scored),
        (2, two_at_once),
        (1, promote),
    ]
    if world.output.format == "delta":
        actions += [(1.5, vacuum_while_paused), (1.5, take_back)]
    if world.is_own_disk:
        actions.append((2, full_disk))
    weights, functions = zip(*actions, strict=True)
    (action,) = rng.choices(functions, weights)
    world.note(action.__name__)
    world.counts[action.__name__] += 1
    action(world)
    world.settle()
    if rng.random() < 0.1:
        world.finish()


def _some(world: World) -> tuple[list[str], bool]:
    dates = world.nights.dates
    if world.rng.random() < 0.4:
        return dates, True
    return [world.rng.choice(dates[-3:])], False


def undisturbed(world: World) -> None:
    driver = world.start(*_some(world))
    for _ in range(world.rng.randint(0, 3)):
        _wait(world, driver)
        world.look(quiet=False)
    world.end(driver)


def killed(world: World) -> None:
    driver = _under_way(world)
    driver.disturbed = True
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended by itself
        children = psutil.Process(driver.process.pid).children(recursive=True)
    driver.process.send_signal(world.rng.choice([signal.SIGTERM, signal.SIGKILL]))
    world.look(quiet=False)
    world.end(driver)
    _, alive = psutil.wait_procs(children, timeout=30)
    if alive:
        raise SoakError(f"{len(alive)} processes outlive their driver: {alive}")


def paused(world: World) -> None:
    driver = _under_way(world)
    with _stopped(driver):
        world.look(quiet=False)
        time.sleep(world.rng.uniform(0, 3))
    world.end(driver)


def changed_while_scored(world: World) -> None:
    driver = _under_way(world)
    driver.disturbed = True
    world.note(world.nights.change(world.rng.choice(driver.dates)))
    world.allow(driver.dates)
    world.end(driver)


def two_at_once(world: World) -> None:
    first = _under_way(world)
    second = world.start(*_some(world))
    first.shared = second.shared = True
    world.look(quiet=False)
    world.end(first)
    world.end(second)


def promote(world: World) -> None:
    world.version = world.rng.choice([m.version for m in world.models])
    world.run("models", "promote", f"soak@{world.version}", "--registry", "models")


def vacuum_while_paused(world: World) -> None:
    driver = _under_way(world)
    driver.disturbed = True
    with _stopped(driver):
        process = world.command("vacuum", world.output.root, "--remove", "--grace", "0")
        _, told = world.ended(process)
        check_told(told, "vacuum")
    world.end(driver)


def take_back(world: World) -> None:
    date = world.rng.choice(world.nights.dates)
    process = world.command("rollback", world.output.root, "--date", date, "--json")
    _, told = world.ended(process)
    world.note(f"rollback {date}: exit {process.returncode} {told.strip()}")
    check_told(told, f"rollback {date}")
    if process.returncode == 0:
        every = range(world.nights.latest(date) + 1)
        world.allowed[date] = set(itertools.product(every, [m.version for m in world.models]))


def full_disk(world: World) -> None:
    ballast = world.folder / "ballast"
    stat = os.statvfs(world.folder)
    left = int(world.rng.uniform(0, 300_000))
    ballast.write_bytes(b"\0" * max(0, stat.f_bavail * stat.f_frsize - left))
    driver = world.start(*_some(world))
    driver.disturbed = True
    try:
        world.end(driver)
    finally:
        ballast.unlink()


def _under_way(world: World) -> Driver:
    """A driver, at some moment of its run."""
    driver = world.start(*_some(world))
    _wait(world, driver)
    return driver


def _wait(world: World, driver: Driver) -> None:
    # Not in a busy loop on the process: it must be able to end before.
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.process.wait(world.rng.uniform(0, KILL_WITHIN_SECONDS))


@contextlib.contextmanager
def _stopped(driver: Driver) -> Iterator[None]:
    driver.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        driver.process.send_signal(signal.SIGCONT)
