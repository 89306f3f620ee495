"""``lasso-jobs deploy``: registers deployments with Prefect."""

import argparse

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``deploy``."""
    text = "Register the deployments and automations with Prefect"
    deploy = cli.add(commands, "deploy", _deploy, text)
    deploy.add_argument(
        "--file",
        type=usage.text,
        default="deploy/prefect.yaml",
        help="the prefect.yaml (%(default)s)",
    )
    deploy.add_argument(
        "--prefect-api",
        type=usage.address,
        metavar="URL",
        help="the server's address (PREFECT_API_URL)",
    )
    deploy.add_argument(
        "--pool", type=usage.text, default="lasso-jobs", help="the work pool (%(default)s)"
    )
    deploy.add_argument(
        "--pool-type",
        type=usage.text,
        default="process",
        help="the type of the work pool, if it has to be made (%(default)s)",
    )
    deploy.add_argument(
        "--dir",
        type=usage.text,
        default=".",
        help="the folder, on the worker, in which runs work (%(default)s)",
    )
    deploy.add_argument(
        "--image",
        type=usage.text,
        default="lasso-jobs",
        help="the image, for a docker or kubernetes pool (%(default)s)",
    )


def _deploy(options: argparse.Namespace) -> int:
    from lasso_jobs.flows.deploy import deploy

    values = deploy(
        options.file,
        api=options.prefect_api,
        pool=options.pool,
        pool_type=options.pool_type,
        directory=options.dir,
        image=options.image,
    )
    if not options.json:
        values |= {k: ", ".join(values[k]) for k in ("deployments", "automations")}
    terminal.result(values, options.json, options.quiet)
    return DONE
