"""``lasso-jobs serve``: answers requests with a model, over HTTP."""

import argparse
import sys
from typing import Any

from lasso_jobs import cli
from lasso_jobs.cli import terminal, usage
from lasso_jobs.cli.usage import DONE


def add_command(commands: cli.Commands) -> None:
    """Add ``serve``."""
    serve = cli.add(commands, "serve", _serve, "Serve a model over HTTP, and follow its alias")
    serve.add_argument("model", type=usage.text, help="NAME, NAME@ALIAS or NAME@vN")
    cli.add_registry(serve)
    serve.add_argument(
        "--host",
        type=usage.text,
        default="127.0.0.1",
        help="the address to listen on (%(default)s); another than of this machine alone needs a "
        "token in LASSO_JOBS_SERVE_TOKEN",
    )
    serve.add_argument(
        "--port",
        # A larger one would be taken without its upper bits.
        type=usage.whole(0, 65_535),
        default=8000,
        help="the port (%(default)s); 0 takes one that is free",
    )
    # Not the workers of a Dask cluster, which other commands mean by this name.
    serve.add_argument(
        "--workers",
        type=usage.whole(1),
        default=1,
        dest="processes",
        help="how many processes answer (%(default)s)",
    )
    for name, text in (("--tls-cert", "certificate"), ("--tls-key", "key")):
        serve.add_argument(
            name, type=usage.text, metavar="FILE", help=f"the {text} for HTTPS, in PEM"
        )
    serve.add_argument(
        "--missing-columns",
        choices=["error", "impute"],
        default="error",
        help="what happens if a row lacks a field: error refuses the request, impute takes it as "
        "null (%(default)s)",
    )
    serve.add_argument(
        "--poll-seconds",
        type=usage.seconds,
        default=1.0,
        help="how often to look whether the alias has moved (%(default)s)",
    )
    _add_limits(serve)
    _add_log(serve)


def _add_limits(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--max-body-bytes",
        type=usage.whole(1),
        default=16 * 2**20,
        help="the largest body of a request (%(default)s)",
    )
    serve.add_argument(
        "--max-rows",
        type=usage.whole(1),
        default=50_000,
        help="the most rows of a request (%(default)s)",
    )


def _add_log(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--log-requests",
        type=usage.text,
        metavar="FOLDER",
        help="log rows and predictions to Parquet files there, as monitor and score take them",
    )
    serve.add_argument(
        "--log-seconds",
        type=usage.seconds,
        default=60.0,
        help="how long a row waits at most until it is in a file (%(default)s)",
    )
    serve.add_argument(
        "--keys",
        nargs="+",
        type=usage.text,
        default=[],
        metavar="FIELD",
        help="fields that say which row is which: each request has them, and they are logged",
    )


def _serve(options: argparse.Namespace) -> int:
    from lasso_jobs.serving.options import ServeOptions
    from lasso_jobs.serving.run import serve

    chosen = ServeOptions(
        model=options.model,
        registry=options.registry,
        host=options.host,
        port=options.port,
        workers=options.processes,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        missing_columns=options.missing_columns,
        poll_seconds=options.poll_seconds,
        max_body_bytes=options.max_body_bytes,
        max_rows=options.max_rows,
        log_folder=options.log_requests,
        log_seconds=options.log_seconds,
        keys=tuple(options.keys),
    )

    def started(values: dict[str, Any]) -> None:
        if options.json:
            terminal.print_json(values)
            sys.stdout.flush()  # It goes on for as long as it is not stopped.
        elif not options.quiet:
            terminal.line(
                f"{values['model']} answers at {values['address']} (what it takes: "
                f"{values['address']}docs)"
            )

    serve(chosen, started)
    return DONE
