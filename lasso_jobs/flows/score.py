"""Scores rows: plan, predictions, drift, one commit."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from lasso_jobs import escape
from lasso_jobs.drift.page import place_of_page
from lasso_jobs.flows import events, run_page
from lasso_jobs.flows.parameters import ClusterName, Day, Scoring, Workers, load, name_in_run
from lasso_jobs.flows.run_page import cluster_of_run, progress, rename
from lasso_jobs.flows.stages import RETRIED, TaskStages, with_new_connections
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.scoring.plan import ScorePlan, plan
from lasso_jobs.scoring.run import ScoreResult, run_stages

SHOWN = (
    *("partition", "segment", "feature", "n", "missing_share", "mean", "reference_mean", "psi"),
    *("score_shift", "shift_limit", "variance_shift", "verdict", "reason"),
)

# Repeating drift or commit replaces the run's own rows, so that a retry doubles nothing.
TASKS: dict[str, dict[str, Any]] = {
    "plan": {"task_run_name": "plan {job.model}", **RETRIED},
    "score": {"task_run_name": "score with {planned.registered.reference}", **RETRIED},
    "drift": {"task_run_name": "drift of {planned.run_id}", **RETRIED},
    "commit": {"task_run_name": "commit {planned.job.output.path}", **RETRIED},
}


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day")
    name = name_in_run(job, "model")
    return run_page.name("score", day, f"with {name}")


def _full_name(planned: ScorePlan) -> str:
    output = planned.job.output.path.rstrip("/").rpartition("/")[2]
    return run_page.name("score", output, planned.job.date, f"with v{planned.registered.version}")


@flow(name="score", flow_run_name=_run_name, on_failure=[events.score_failed])
def score_flow(
    job: Scoring,
    day: Day = None,
    *,
    cluster: ClusterName = None,
    workers: Workers = None,
) -> dict[str, Any]:
    """Score rows, commit them, and compare them with the model's training rows.

    Parameters
    ----------
    job : ScoreJob or str
        The job, the path of its file, or ``variable:NAME``.
    day : date, optional
        The day to score.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.

    Returns
    -------
    dict
        What ``lasso-jobs score --json`` prints.
    """
    stages = TaskStages(TASKS)
    planned = stages.run("plan", plan, load(ScoreJob, job, day))
    rename(_full_name(planned))

    def scored() -> ScoreResult:
        with cluster_of_run(cluster, workers) as started:
            stages.clock.lap("cluster")
            return run_stages(started, planned, stages, progress())

    values = with_new_connections(scored).as_values()
    name = planned.registered.model.name
    run_page.table(
        ("drift", name),
        [{name: row[name] for name in SHOWN} for row in values["drift"]],
        f"Drift of run {planned.run_id}: {values['verdict']}. {values['because']}",
    )
    run_page.markdown(("score", name), _report(planned, values), "The newest run")
    _emit_events(planned, values)
    return values


def _emit_events(planned: ScorePlan, values: dict[str, Any]) -> None:
    facts = {
        "day": planned.job.date,
        "model_version": values["model_version"],
        "run_id": planned.run_id,
        "verdict": values["verdict"],
    }
    model, rows = planned.registered.model.name, values["rows_scored"]
    output = planned.job.output.path
    events.emit(events.SCORE_COMMITTED, model, **facts, rows_scored=rows, output=output)
    if values["verdict"] == "alarm":
        reasons = [
            f"{r['feature']}: {r['reason']}" for r in values["drift"] if r["verdict"] == "alarm"
        ]
        events.emit(events.DRIFT_ALARM, model, **facts, cause="drift", reason="; ".join(reasons))


def _report(planned: ScorePlan, values: dict[str, Any]) -> str:
    shown = escape.markdown
    reasons = [
        f"- **{row['verdict']}** "
        + shown(f"{row['feature']} ({row['partition']}): {row['reason']}")
        for row in values["drift"]
        if row["verdict"] in ("watch", "alarm")
    ]
    return "\n".join(
        [
            f"# {shown(planned.job.output.path)}: {values['verdict']}",
            "",
            f"{values['rows_scored']:,} of {values['rows_in']:,} rows scored with "
            f"{shown(planned.registered.reference)}, {values['rows_quarantined']:,} quarantined; "
            f"table version {values['output_version']}.",
            "",
            *(reasons or [shown(f"{values['because'][0].upper()}{values['because'][1:]}.")]),
            *_page(planned),
        ]
    )


def _page(planned: ScorePlan) -> list[str]:
    drift = planned.job.drift
    if drift is None:
        return []
    return ["", f"Page: {escape.markdown_code(place_of_page(drift.path, planned.run_id))}"]
