"""Fits on threads: their order, their progress, and that a signal does not wait for them."""

import threading
import time
from collections.abc import Callable

import pytest

from lasso_jobs.core.threads import Steps, in_threads


def test_results_are_in_the_order_of_the_items_and_each_step_is_told() -> None:
    told: list[tuple[int, int]] = []
    steps = Steps(lambda done, expected: told.append((done, expected))).expect(6)

    def slower_first(k: int) -> int:
        time.sleep(0.05 * (3 - k))
        steps.take()
        steps.take()
        return k

    assert in_threads(slower_first, range(3), steps) == [0, 1, 2]
    assert told[-1] == (6, 6)
    assert told == sorted(set(told))


def test_more_steps_than_expected_move_the_end() -> None:
    told: list[tuple[int, int]] = []
    steps = Steps(lambda done, expected: told.append((done, expected))).expect(1)
    in_threads(lambda _: steps.take(), range(3), steps)
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_or_a_signal_ends_the_others_at_their_next_step(
    error: Callable[[], BaseException],
) -> None:
    """As a handler of a signal does, progress raises in the thread that waits."""
    begun, ended = threading.Event(), threading.Event()

    def interrupt(done: int, expected: int) -> None:
        raise error()

    steps = Steps(interrupt)

    def endless(_: int) -> None:
        begun.set()
        try:
            while True:
                time.sleep(0.01)
                steps.take()
        finally:
            ended.set()

    with pytest.raises(error):  # type: ignore[arg-type]
        in_threads(endless, range(100), steps)
    assert begun.is_set()
    assert ended.is_set()
