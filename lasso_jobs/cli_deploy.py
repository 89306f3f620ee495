"""The command line's part that registers deployments."""

import argparse
from collections.abc import Callable
from typing import Any

DONE = 0


def add_command(add: Callable[[str, Callable[[argparse.Namespace], int], str], Any]) -> None:
    """``lasso-jobs deploy``."""
    deploy = add("deploy", _deploy, "Register the deployments and automations with Prefect")
    deploy.add_argument("--file", default="deploy/prefect.yaml", help="(%(default)s)")
    deploy.add_argument("--prefect-api", metavar="URL", help="(PREFECT_API_URL)")
    deploy.add_argument("--pool", default="lasso-jobs", help="the work pool (%(default)s)")
    deploy.add_argument(
        "--pool-type", default="process", help="of a pool that is not there yet (%(default)s)"
    )
    deploy.add_argument("--dir", default=".", help="where runs work, on the worker (%(default)s)")
    deploy.add_argument(
        "--image", default="lasso-jobs", help="of a docker or kubernetes pool (%(default)s)"
    )


def _deploy(options: argparse.Namespace) -> int:
    from flows.deploy import deploy
    from lasso_jobs import terminal

    values = deploy(
        options.file,
        options.prefect_api,
        options.pool,
        options.pool_type,
        options.dir,
        options.image,
    )
    if not options.json:
        values |= {k: ", ".join(values[k]) for k in ("deployments", "automations")}
    terminal.result(values, options.json, options.quiet)
    return DONE
