"""``lasso-jobs plan`` and ``schema``: what a job would read, and what its file may say."""

import argparse
from typing import Any

from lasso_jobs import cli
from lasso_jobs.cli import terminal
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``plan`` and ``schema``."""
    cli.add_job(
        cli.add(
            commands,
            "plan",
            show_plan,
            "Show what a job would read; only footers of files are read for it",
        )
    )
    schema = cli.add(commands, "schema", _schema, "Print the JSON Schema of a job file")
    schema.add_argument("job", choices=["train", "score", "monitor"], help="which job")


def show_plan(options: argparse.Namespace) -> int:
    """Print the plan of a training or scoring job."""
    from lasso_jobs.jobs.base import load_yaml

    if "model" in load_yaml(options.job):
        from lasso_jobs.jobs.score import ScoreJob
        from lasso_jobs.scoring import plan as score_plan

        values = score_plan.plan(cli.read_job(ScoreJob, options)).as_values()
    else:
        from lasso_jobs.jobs.train import TrainJob
        from lasso_jobs.training import plan as train_plan

        values = train_plan.plan(cli.read_job(TrainJob, options)).as_values()
    odd = []
    if not options.json:
        odd = [row for row in values.pop("schema_columns", []) if row["fate"] != "ok"]
        values = {name: _short(value) for name, value in values.items()}
    terminal.result(values, options.json, options.quiet)
    if odd and not options.quiet:
        terminal.heading("Columns that deviate")
        terminal.table(odd)
    return DONE


def _short(value: Any) -> Any:
    """A list or mapping for people: its first entries.

    Examples
    --------
    >>> _short([f"x{j}" for j in range(5_000)])[-20:], _short({"v": 768}), _short([])
    (', x11 and 4,988 more', 'v (768)', 'none')
    """
    from lasso_jobs.data.schema import listed

    if isinstance(value, dict):
        value = [f"{name} ({said})" for name, said in value.items()]
    return (listed(value) or "none") if isinstance(value, list) else value


def _schema(options: argparse.Namespace) -> int:
    from lasso_jobs.jobs.monitor import MonitorJob
    from lasso_jobs.jobs.score import ScoreJob
    from lasso_jobs.jobs.train import TrainJob

    jobs: dict[str, Any] = {"train": TrainJob, "score": ScoreJob, "monitor": MonitorJob}
    terminal.print_json(jobs[options.job].model_json_schema())
    return DONE
