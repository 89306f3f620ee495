"""Samples of stacks, by what the work is."""

import doctest

import pytest

from benchmarks.bars import judge, traces

THREAD = "Thread.run (threading.py:982);_run_task (distributed/worker.py:2785)"
GATHER = "run_stages (lasso_jobs/training/run.py:9);gather (lasso_jobs/training/gather.py:120)"
SELECT = "select (lasso_jobs/training/search.py:5)"
SUMMARISE = "summarise (lasso_jobs/training/read/row_summary.py:88)"


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (f"{THREAD};{SUMMARISE};read (lasso_jobs/data/blocks.py:60)", "rows: decode"),
        (
            f"{THREAD};{SUMMARISE};Centring.centre (lasso_jobs/core/rows/centring.py:85)",
            "rows: centre",
        ),
        (
            f"{THREAD};{SUMMARISE};Centring._of_set (lasso_jobs/core/rows/centring.py:140)",
            "rows: multiply",
        ),
        (
            f"{THREAD};{SUMMARISE};check_finite (lasso_jobs/training/read/numbers.py:2)",
            "rows: check",
        ),
        (f"{THREAD};merge (lasso_jobs/training/read/row_summary.py:251)", "rows: merge"),
        (f"{THREAD};{SUMMARISE};_find_and_load (<frozen importlib._bootstrap>:1176)", "imports"),
        (f"{GATHER};Condition.wait (threading.py:320)", "waits"),
        (f"{SELECT};merge (lasso_jobs/core/rows/moments.py:155)", "select"),
        (f"{SELECT};compile (numba/core/dispatcher.py:9)", "select"),
        (f"{THREAD};Threads._work (lasso_jobs/engine/threads.py:140)", "waits"),
        ('process 7:"python -m lasso_jobs"', "interpreter"),
        (f"{THREAD};loads (distributed/protocol.py:3)", "Dask"),
        ("_run_module_as_main (<frozen runpy>:198);main (elsewhere.py:1)", "other"),
    ],
)
def test_a_sample_is_of_its_stage_or_of_its_part_of_the_rows(stack: str, expected: str) -> None:
    assert traces.classified([f"{stack} 3"]) == {expected: 3}


def test_shares_are_of_the_samples_that_do_not_wait_and_small_ones_are_together() -> None:
    shares = traces.shares({"select": 99_000, "plan": 400, "merge": 600, "waits": 10_000})
    assert shares == pytest.approx({"select": 0.99, "merge": 0.006, "other": 0.004})


@pytest.mark.parametrize("module", [judge, traces])
def test_examples_are_right(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed
