"""Measure beside limits and peers, in one run, taking turns; print medians and ratios.

python -m benchmarks all [--rows N] [--repeat R] [--dir DIR] [--only CASE ...]
python -m benchmarks check [--from FILE] [as all]
python -m benchmarks traces [--rows N] [--dir DIR] [--only CASE ...]
python -m benchmarks CASE [--rows N] [--features P] [--repeat R] [--dir DIR] [--peers NAME ...]
python -m benchmarks wide [--rows N] [--features P] [--true K] [--rho R] [--snr S] [--repeat R]
                     [--peers NAME ...]
python -m benchmarks genes [--repeat R] [--peers NAME ...]
python -m benchmarks judgements [--only NAME ...] [--simulations N]
python -m benchmarks drift [--rows N] [--worlds TEXT] [--dir DIR]
python -m benchmarks drift-peers [--rows N] [--worlds TEXT] [--dir DIR] [--peers NAME ...]
python -m benchmarks nights [--days N] [--rows N] [--features P] [--formats F ...] [--dir DIR]
                     [--cluster CLUSTER]
python -m benchmarks plan [--columns P] [--files N] [--repeat R] [--dir DIR]
python -m benchmarks soak [--minutes N] [--seed S] [--dir DIR] [--places PLACE ...]
python -m benchmarks estimator [--rows N] [--features P] [--repeat R]
python -m benchmarks serve [--features P] [--seconds S] [--soak-seconds S]
python -m benchmarks scheduler [--units N] [--features P] [--cluster CLUSTER] [--workers N]
"""

import argparse
import sys

from benchmarks import (
    drift,
    drift_peers,
    estimator,
    genes,
    nights,
    plan,
    scheduler,
    serve,
    soak,
    wide,
)
from benchmarks.bars import run, traces
from benchmarks.bars.cases import CASES
from benchmarks.judgements.run import SIMULATIONS, judgements


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(required=True)
    _add_cases(commands)
    command = commands.add_parser("estimator", help=estimator.estimator.__doc__)
    command.set_defaults(function=estimator.estimator)
    command.add_argument("--rows", type=int, default=2_000_000)
    command.add_argument("--features", type=int, default=100)
    command.add_argument("--repeat", type=int, default=1)
    command = commands.add_parser("scheduler", help=scheduler.scheduler.__doc__)
    command.set_defaults(function=scheduler.scheduler)
    command.add_argument("--units", type=int, default=10_000)
    command.add_argument("--features", type=int, default=500)
    command.add_argument("--cluster", default="local")
    command.add_argument("--workers", type=int)
    command = commands.add_parser("nights", help=nights.nights.__doc__)
    command.set_defaults(function=nights.nights)
    command.add_argument("--days", type=int, default=365)
    command.add_argument("--rows", type=int, default=10_000, help="of each day")
    command.add_argument("--features", type=int, default=20)
    command.add_argument("--formats", nargs="+", choices=nights.FORMATS, default=["delta"])
    command.add_argument("--cluster", help="as for lasso-jobs score")
    command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
    command = commands.add_parser("serve", help=serve.serve.__doc__)
    command.set_defaults(function=serve.serve)
    command.add_argument("--features", type=int, default=30)
    command.add_argument("--seconds", type=int, default=20, help="of each load")
    command.add_argument("--soak-seconds", type=int, default=60)
    command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
    command = commands.add_parser("plan", help=plan.plan.__doc__)
    command.set_defaults(function=plan.plan)
    command.add_argument("--columns", type=int, default=20_000)
    command.add_argument("--files", type=int, default=10)
    command.add_argument("--repeat", type=int, default=3)
    command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
    command = commands.add_parser("wide", help=wide.wide.__doc__)
    command.set_defaults(function=wide.wide)
    command.add_argument("--rows", type=int, default=4_000)
    command.add_argument("--features", type=int, default=10_000)
    command.add_argument("--true", type=int, default=20, help="columns that have a coefficient")
    command.add_argument("--rho", type=float, default=0.0, help="correlation of neighbours")
    command.add_argument("--snr", type=float, default=1.0, help="variance of signal over noise")
    command.add_argument("--entries", type=int, help="of a row, whose columns are a sparse vector")
    _beside_peers(command)
    command = commands.add_parser("genes", help=genes.genes.__doc__)
    command.set_defaults(function=genes.genes)
    _beside_peers(command)
    _add_simulations(commands)
    return parser


def _add_cases(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for case in CASES.values():
        command = commands.add_parser(case.name, help=case.says)
        command.set_defaults(function=run.one_case, case=case)
        command.add_argument("--rows", type=int, default=case.rows)
        command.add_argument("--features", type=int, default=case.features)
        command.add_argument("--repeat", type=int, default=3)
        command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
        if case.peers:
            peers = list(case.peers)
            command.add_argument("--peers", nargs="*", choices=peers, default=peers)
    for name, function, named in (
        ("all", run.all_cases, CASES),
        ("check", run.check, CASES),
        ("traces", traces.traces, traces.TRACED),
    ):
        command = commands.add_parser(name, help=function.__doc__)
        command.set_defaults(function=function)
        rows_help = "of the case train; the other cases have as many times fewer"
        command.add_argument("--rows", type=int, default=run.STANDARD_ROWS, help=rows_help)
        command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
        command.add_argument("--only", nargs="+", choices=list(named), help="leave others out")
        if name != "traces":
            command.add_argument("--repeat", type=int, default=5)
        if name == "check":
            command.add_argument("--from", dest="file", help="a bars.json to judge instead")


def _add_simulations(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("drift", help=drift.drift.__doc__)
    command.set_defaults(function=drift.drift)
    _of_worlds(command, rows=5_000)
    command = commands.add_parser("drift-peers", help=drift_peers.drift_peers.__doc__)
    command.set_defaults(function=drift_peers.drift_peers)
    _of_worlds(command, rows=500)
    peers = list(drift_peers.PEERS)
    command.add_argument("--peers", nargs="*", choices=peers, default=peers)
    command = commands.add_parser("judgements", help=judgements.__doc__)
    command.set_defaults(function=judgements)
    command.add_argument("--only", nargs="+", choices=list(SIMULATIONS), help="leave others out")
    command.add_argument("--simulations", type=int, default=200, help="of each world")
    command = commands.add_parser("soak", help=soak.soak.__doc__)
    command.set_defaults(function=soak.soak)
    command.add_argument("--minutes", type=float, default=60)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--dir", help="where its folders are kept, for a look at them after")
    command.add_argument("--places", nargs="+", choices=soak.PLACES, default=soak.PLACES)


def _of_worlds(command: argparse.ArgumentParser, rows: int) -> None:
    command.add_argument("--rows", type=int, default=rows, help="of each day")
    command.add_argument("--worlds", default="", help="a part of the names of those to run")
    command.add_argument("--dir", default="benchmark-data", help="where the data is kept")


def _beside_peers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repeat", type=int, default=3)
    command.add_argument("--dir", default="benchmark-data", help="where the data is kept")
    peers = list(wide.PEERS)
    command.add_argument("--peers", nargs="*", choices=peers, default=peers)


def main() -> None:
    options = _parser().parse_args()
    sys.stdout.write(f"{run.machine()}\n")
    options.function(options)


if __name__ == "__main__":
    main()
