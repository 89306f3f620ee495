"""What the pages name is there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from lasso_jobs.jobs.base import Job
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.sinks import fence, partitions
from lasso_jobs.sinks.protocol import Change, Sink

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
JOBS = {"README.md": 3, "train.md": 1, "score.md": 1, "monitor.md": 1}
INVENTED = {"lasso_jobs/sinks/warehouse.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:lasso_jobs|tests|flows|deploy)/[\w./-]*\w", text)) - INVENTED
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    linked = re.findall(r"\]\(([^)#:]+\.\w+)\)", text)
    assert [link for link in linked if not (page.parent / link).exists()] == []


def test_the_page_on_sinks_names_what_a_sink_has_and_what_helps() -> None:
    text = (ROOT / "docs" / "how-to" / "sink.md").read_text(encoding="utf-8")
    functions = {name for name in vars(Sink) if not name.startswith("_")}
    assert {name for name in functions if f"`{name}`" not in text} == set()
    (helpers,) = re.findall(r"`partitions` and `fence` have (.*?) Make errors", text, re.S)
    for name in re.findall(r"`(\w+)`", helpers):
        assert callable(getattr(partitions, name, None) or getattr(fence, name)), name
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert set(re.findall(r"(\w+)=", example)) <= {field.name for field in fields(Change)}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name in JOBS and p.parent.name != "deploy"], ids=lambda p: p.name
)
def test_the_job_files_that_a_page_shows_are_accepted(page: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == JOBS[page.name]
    for block in blocks:
        values = yaml.safe_load(block)
        model: type[Job] = ScoreJob if "model" in values else TrainJob
        model = MonitorJob if "actuals" in values else model
        model.from_values(values)
        if page.name != "README.md":
            # The guide shows every key.
            assert set(model.model_json_schema()["properties"]) == set(values)
