"""What keeps the demo from starting is told in one line."""

from pathlib import Path
from typing import Any

import pytest

from lasso_jobs.demo import flow
from lasso_jobs.errors import JobError, OutputError


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(flow, "demo_flow", fail)


def test_a_file_for_the_folder_is_refused_before_a_server_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(monkeypatch, AssertionError("it was started"))
    path = tmp_path / "train.yaml"
    path.touch()
    with pytest.raises(OutputError, match=r"train.yaml: is a file; .* Name one with --dir"):
        flow.run(str(path), None, None, quiet=True)


def test_a_server_that_does_not_start_is_no_foreign_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = "Timed out while attempting to connect to ephemeral Prefect API server."
    fails(monkeypatch, RuntimeError(late))
    with pytest.raises(JobError, match="Run this again, or run 'prefect server start'"):
        flow.run(str(tmp_path), None, None, quiet=True)
    fails(monkeypatch, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        flow.run(str(tmp_path), None, None, quiet=True)
