"""Score rows: plan, predict, measure drift, commit once."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from flows import events
from flows.common import RETRIED, artifact_key, load, table
from flows.observe import cluster_of_run, progress, rename
from flows.parameters import ClusterName, Day, Scoring, Workers
from lasso_jobs.jobs import score, score_plan, summary, watch
from lasso_jobs.jobs.clock import Clock
from lasso_jobs.jobs.drift_show import place_of_page
from lasso_jobs.jobs.score_job import ScoreJob

SHOWN = (
    *("partition", "segment", "feature", "n", "missing_share", "mean", "reference_mean", "psi"),
    *("score_shift", "shift_limit", "variance_shift", "verdict", "reason"),
)

plan = task(name="plan", task_run_name="plan {job.model}", **RETRIED)(score_plan.plan)


@task(name="score", task_run_name="score with {planned.registered.reference}", **RETRIED)
def predict(client: Any, planned: score_plan.ScorePlan) -> score.Predicted:
    """Write files that no reader sees yet."""
    return score.predict(client, planned, progress())


# Repeating either replaces the run's own rows, so that a retry doubles nothing.
commit = task(name="commit", task_run_name="commit {planned.job.output.path}", **RETRIED)(
    score.commit
)
drift = task(name="drift", task_run_name="drift of {planned.run_id}", **RETRIED)(
    watch.measure_drift
)


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day")
    name = job if isinstance(job, str) else getattr(job, "model", None) or job["model"]
    return " ".join(filter(None, ("score", str(day or ""), f"with {name}")))


def _full_name(planned: score_plan.ScorePlan) -> str:
    output = planned.scoring.root.rstrip("/").rpartition("/")[2]
    words = ("score", output, planned.job.date, f"with v{planned.registered.version}")
    return " ".join(filter(None, words))


@flow(name="score", flow_run_name=_run_name, on_failure=[events.score_failed])
def score_flow(
    job: Scoring,
    day: Day = None,
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
    clock = Clock()
    planned = plan(load(ScoreJob, job, day))
    rename(_full_name(planned))
    clock.lap("plan")
    with cluster_of_run(cluster, workers) as client:
        clock.lap("cluster")
        predicted = predict(client, planned)
        clock.lap("score")
    measured = drift(planned, predicted.parts)
    clock.lap("drift")
    version = commit(planned, predicted, measured.version)
    score.finish(planned, version)
    clock.lap("commit")
    values = summary.of_scoring(score.summed_up(planned, predicted, measured, version, clock))
    name = planned.registered.model.name
    create_table_artifact(
        table([{name: row[name] for name in SHOWN} for row in values["drift"]]),
        key=artifact_key("drift", name),
        description=f"Drift of run {planned.run_id}: {values['verdict']}",
    )
    create_markdown_artifact(
        _report(planned, values), key=artifact_key("score", name), description="The newest run"
    )
    _tell(planned, values)
    return values


def _tell(planned: score_plan.ScorePlan, values: dict[str, Any]) -> None:
    facts = {
        "day": planned.job.date,
        "model_version": values["model_version"],
        "run_id": planned.run_id,
        "verdict": values["verdict"],
    }
    model, rows = planned.registered.model.name, values["rows_scored"]
    output = planned.scoring.root
    events.emit(events.SCORE_COMMITTED, model, **facts, rows_scored=rows, output=output)
    if values["verdict"] == "alarm":
        reasons = [
            f"{r['feature']}: {r['reason']}" for r in values["drift"] if r["verdict"] == "alarm"
        ]
        events.emit(events.DRIFT_ALARM, model, **facts, cause="drift", reason="; ".join(reasons))


def _report(planned: score_plan.ScorePlan, values: dict[str, Any]) -> str:
    reasons = [
        f"- **{row['verdict']}** {row['feature']} ({row['partition']}): {row['reason']}"
        for row in values["drift"]
        if row["verdict"] != "ok"
    ]
    return "\n".join(
        [
            f"# {planned.scoring.root}: {values['verdict']}",
            "",
            f"{values['rows_scored']:,} of {values['rows_in']:,} rows scored with "
            f"{planned.registered.reference}, {values['rows_quarantined']:,} quarantined; "
            f"table version {values['output_version']}.",
            "",
            *(reasons or ["No feature has drifted."]),
            *_page(planned),
        ]
    )


def _page(planned: score_plan.ScorePlan) -> list[str]:
    drift = planned.job.drift
    return [] if drift is None else ["", f"Page: `{place_of_page(drift.path, planned.run_id)}`"]
