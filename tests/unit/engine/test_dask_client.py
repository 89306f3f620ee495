"""What is started is closed, and neither is left half-done."""

import _thread
import signal
import threading
import time
from typing import Any

import pytest

from lasso_jobs.engine.dask_client import _never_half_done


class Opened:
    """Notes what happens to it, in which thread, and what that thread does not hear."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.notes = seconds, []
        self._work("started")

    def _work(self, note: str) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        time.sleep(self.seconds)
        self.notes.append(note)

    def __enter__(self) -> "Opened":
        opened.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        self._work("closed")


opened: list[Opened] = []


def interrupt_after(seconds: float) -> None:
    threading.Timer(seconds, _thread.interrupt_main).start()


def test_it_is_closed_at_the_end_and_after_an_error() -> None:
    with _never_half_done(Opened) as first:
        assert first.notes == ["started"]
    assert first.notes == ["started", "closed"]
    with pytest.raises(ZeroDivisionError), _never_half_done(Opened) as second:
        raise ZeroDivisionError
    assert second.notes == ["started", "closed"]


def test_what_cannot_be_started_is_its_own_error() -> None:
    def fails() -> Any:
        raise OSError("no such cluster")

    with pytest.raises(OSError, match="no such cluster"), _never_half_done(fails):
        pass


@pytest.mark.parametrize("at", ["start", "end"])
def test_an_interrupt_waits_until_it_is_started_and_closed(at: str) -> None:
    # A shell's background job ignores interrupts, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _interrupted(at)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(at: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        if at == "start":
            interrupt_after(0.1)
        with _never_half_done(lambda: Opened(0.3)):
            if at == "end":
                interrupt_after(0.1)
            else:
                pytest.fail("the interrupt is lost")
    assert opened[-1].notes == ["started", "closed"]
