"""Threads run tasks as a cluster does: few at a time, errors as they are, one tree of merges."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lasso_jobs.engine.tasks import IN_FLIGHT_PER_THREAD
from lasso_jobs.engine.threads import Threads

N = 40


def is_true_soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_each_item_has_its_result_and_progress_counts_them() -> None:
    told: list[tuple[int, int]] = []
    with Threads(3) as threads:
        found = threads.map(pow, range(N), 2, progress=lambda done, n: told.append((done, n)))
        assert dict(found) == {i: i**2 for i in range(N)}
        assert list(threads.map(pow, [], 2)) == []
    assert told == [(i, N) for i in range(1, N + 1)]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_merges_are_the_same_on_any_number_of_threads(n_threads: int) -> None:
    def slow_first(item: int) -> str:
        time.sleep(0.01 * (item == 0))
        return str(item)

    with Threads(n_threads) as threads:
        found = threads.reduce(slow_first, "({} {})".format, range(7))
    assert found == "(((0 1) (2 3)) ((4 5) 6))"


def test_no_more_begins_than_the_driver_takes() -> None:
    begun: list[int] = []
    with Threads(2) as threads:
        results = threads.map(begun.append, range(N))
        next(results)
        bound = IN_FLIGHT_PER_THREAD * 2 + 1
        assert is_true_soon(lambda: len(begun) == bound)
        time.sleep(0.05)
        assert len(begun) == bound


def test_an_error_is_raised_as_it_is_and_nothing_runs_after_it() -> None:
    class OwnError(Exception):
        pass

    error, ended = OwnError("as it is"), []

    def work(item: int) -> None:
        if item == 0:
            raise error
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(OwnError) as caught, Threads(2) as threads:
        for _ in threads.map(work, range(N)):
            pass
    assert caught.value is error
    n_ended = len(ended)
    assert n_ended < IN_FLIGHT_PER_THREAD * 2
    time.sleep(0.1)
    assert len(ended) == n_ended


def test_an_interrupt_does_not_wait_for_what_runs() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(_: int) -> None:
        begun.set()
        go_on.wait(30)

    with pytest.raises(KeyboardInterrupt), Threads(1) as threads:
        results = threads.map(work, range(N), progress=None)
        threading.Thread(target=lambda: (begun.wait(30), go_on.set())).start()
        next(results)
        go_on.clear()
        raise KeyboardInterrupt
    assert not go_on.is_set()  # and yet the block has ended
    go_on.set()
    assert is_true_soon(lambda: not any(t.name == "lasso-jobs-0" for t in threading.enumerate()))


def test_what_is_kept_is_used_as_items() -> None:
    with Threads(2) as threads:
        kept = threads.keep(pow, range(5), 2)
        assert threads.reduce(lambda item: item + 1, lambda a, b: a + b, kept) == 35
        assert dict(threads.map(str, kept)) == {i: str(i**2) for i in range(5)}


def test_what_cannot_be_kept_is_told_when_it_is_used() -> None:
    with Threads(2) as threads:
        kept = threads.keep(divmod, [1, 2], 0)
        with pytest.raises(ZeroDivisionError):
            threads.reduce(str, max, kept)


def test_no_result_is_held_once_it_was_taken() -> None:
    class Result:
        pass

    with Threads(2) as threads:
        seen: list[Any] = []
        for _, result in threads.map(lambda _: Result(), range(6)):
            seen.append(weakref.ref(result))
            del result
        gc.collect()
        assert is_true_soon(lambda: not any(reference() for reference in seen))


def test_its_memory_is_this_processs() -> None:
    with Threads(3) as threads:
        (memory,) = threads.memory()
        assert (memory.n_threads, memory.limit_bytes) == (3, 0)
        assert threads.dashboard() is None
