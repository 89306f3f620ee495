"""``lasso-jobs demo``: runs the demo's flow and prints what came of it."""

import argparse
import os
from typing import Any

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``demo``."""
    text = "Run the main job on real data, through the Prefect flows"
    demo = cli.add(commands, "demo", _demo, text)
    demo.add_argument(
        "--dir",
        type=usage.text,
        default="lasso-jobs-demo",
        help="the folder to write to (%(default)s)",
    )
    cli.add_cluster(demo)


def _demo(options: argparse.Namespace) -> int:
    from lasso_jobs.demo import flow

    quiet = options.quiet or options.json
    if not quiet and not os.environ.get("PREFECT_API_URL"):
        terminal.note("Starting a temporary Prefect server (about 10 seconds) ...")
    result = flow.run(options.dir, options.cluster, options.workers, quiet)
    if options.json:
        terminal.print_json(result)
    elif not quiet:
        _show(options.dir, result)
    return DONE


def _show(folder: str, result: dict[str, Any]) -> None:
    trained, held = result["train"], result["train"]["holdout"]
    terminal.heading("The model")
    terminal.show(
        {
            "version": f"{trained['name']}@{trained['model_version']}",
            "rows": f"{trained['n_rows']:,}; {trained['rows_without_target']:,} have no outcome",
            "alpha": f"{trained['alpha']:.4g}, of {len(trained['cv']['alphas'])} tried",
            "hold-out": f"R2 {held['r2']:.3f}, RMSE {held['rmse']:.2f} min, "
            f"MAE {held['mae']:.2f} min on {held['n_rows']:,} flights of other days",
            "read": f"{trained['bytes_read']:,} bytes",
            "seconds": ", ".join(f"{k} {v:.2f}" for k, v in trained["seconds"].items()),
        }
    )
    terminal.heading(f"Kept: {trained['n_nonzero']} of {len(trained['coef'])} coefficients")
    kept = sorted(
        ((name, value) for name, value in trained["coef"].items() if value),
        key=lambda item: -abs(trained["per_sd"][item[0]]),
    )
    terminal.table(
        [
            {
                "feature": name,
                "minutes per unit": value,
                "per sd": trained["per_sd"][name],
                "direction": "later" if value > 0 else "earlier",
            }
            for name, value in kept
        ]
    )
    terminal.heading("The nights")
    terminal.table([_night(name, night["score"]) for name, night in result["nights"].items()])
    terminal.heading("What happened (minutes)")
    terminal.table(result["outcomes"])
    terminal.heading("Where it is")
    terminal.show(
        {
            "models": f"{folder}/models",
            "scores": f"{folder}/scores/flights (Delta table)",
            "drift": f"{folder}/drift/flights (Delta table)",
            "errors": f"{folder}/errors/flights (Delta table)",
            "jobs": f"{folder}/train.yaml, score.yaml, monitor.yaml",
            "Prefect": "run 'prefect server start' to see the runs and their artifacts",
        }
    )


def _night(name: str, scored: dict[str, Any]) -> dict[str, Any]:
    features = [row for row in scored["drift"] if row["feature"] != "prediction"]
    most = max(features, key=lambda row: abs(row["score_shift"]))
    return {
        "night": name,
        "flights": scored["rows_scored"],
        "drift": scored["verdict"],
        "most moved by": most["feature"],
        "minutes": most["score_shift"],
        "PSI": most["psi"],
        "seconds": scored["seconds"]["total"],
    }
