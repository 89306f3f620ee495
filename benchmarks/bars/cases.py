"""All cases that have bars, in the order of the table."""

from benchmarks import backfill, partitions, score, train, wide
from benchmarks.bars.case import Case

CASES: dict[str, Case] = {
    case.name: case
    for case in (*train.CASES, score.CASE, backfill.CASE, partitions.CASE, wide.CASE)
}
