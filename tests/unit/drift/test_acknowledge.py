"""The log of acknowledged drift, and which of its entries are in force."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lasso_jobs import acknowledge_drift
from lasso_jobs.cli.main import main
from lasso_jobs.drift.acknowledge import acknowledgements, in_force
from lasso_jobs.drift.watch import Run
from lasso_jobs.errors import JobError, OutputError

from ...drift_tables import write_nights


@pytest.fixture
def nights(tmp_path: Path) -> str:
    """Five quiet nights and an alarm."""
    write_nights(tmp_path / "table", 6)
    return str(tmp_path / "table")


def known(nights: str, night: str, **of_run: Any) -> list[str]:
    given = {"id": "a", "model": "sales", "model_version": "v3"} | of_run
    run = Run(**given, scored_at=datetime(2024, 2, 1, tzinfo=UTC))
    return list(in_force(acknowledgements(nights), run, f"date={night}"))


def test_the_command_keeps_what_was_said(nights: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["drift", "acknowledge", nights, "--feature", "price", "--why", "list prices rose"]
    assert main([*command, "--until", "2024-01-20", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (entry,) = acknowledgements(nights)
    assert said == json.loads(json.dumps(entry.as_values()))
    assert (entry.feature, entry.why, entry.until) == ("price", "list prices rose", "2024-01-20")
    assert entry.levels["date/"].since == "2024-01-06"
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "list prices rose" in said
    assert "up to  a shift of" in said
    assert "from 2024-01-06 on; what is scored keeps its verdict until it is scored again" in said
    assert main([*command, "--until", "2024-01-05"]) == 0
    assert "never, as it ends before the run, 2024-01-06; what was" in capsys.readouterr().out


def test_the_last_entry_of_a_feature_counts_from_its_night_until_its_day(nights: str) -> None:
    of = acknowledge_drift(nights, "price", "why", until="2024-01-20", by="me")
    run = {"model": of.model, "model_version": of.model_version}
    assert of.by == "me"
    for night, there in [
        ("2024-01-05", False),
        ("2024-01-06", True),
        ("2024-01-20", True),
        ("2024-01-21", False),
    ]:
        assert known(nights, night, **run) == ["price"] * there
    assert known(nights, "2024-01-07", **run | {"model_version": "v99"}) == []
    assert known(nights, "2024-01-07", **run | {"model": "other"}) == []
    acknowledge_drift(nights, "price", "taken back", until="2024-01-01")
    assert known(nights, "2024-01-07", **run) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"feature": "prices"}, "is not among what was compared"),
        ({"date": "2024-01-03"}, "has the verdict ok"),
        ({"until": "soon"}, "expected a date"),
        ({"why": " "}, "is empty"),
        ({"run": "no"}, "has no run"),
    ],
)
def test_what_cannot_be_acknowledged(nights: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(JobError, match=words):
        acknowledge_drift(**{"source": nights, "feature": "price", "why": "why", **given})  # type: ignore[arg-type]
    assert acknowledgements(nights) == []


def test_a_damaged_log_is_refused(nights: str) -> None:
    acknowledge_drift(nights, "price", "the reason")
    (file,) = Path(nights, "_acknowledged").iterdir()
    file.write_text(file.read_text().replace("the reason", "another"))
    with pytest.raises(OutputError, match="does not match its digest"):
        acknowledgements(nights)
