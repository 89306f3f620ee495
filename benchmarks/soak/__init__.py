"""A soak: random nights, kills, pauses, full disks and upkeep, against brute force.

Each world is an output: a Delta table and a folder of Parquet files, on disk and in a bucket, and a
table of PostgreSQL. They take turns. The choices follow the seed; the moments of kills do not, as
they are the clock's.
"""

import argparse

PLACES = ("delta", "parquet", "postgresql", "delta in a bucket", "parquet in a bucket")


def soak(options: argparse.Namespace) -> None:
    """Disturb scoring runs at random, and compare what readers see with brute force."""
    # The peers of other benchmarks are optional; here they are the readers.
    from benchmarks.soak.run import run

    run(options)
