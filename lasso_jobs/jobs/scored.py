"""What a worker returns of a unit of work, and whether its rows add up."""

from collections.abc import Mapping
from dataclasses import dataclass

from lasso_jobs.core import drift as d
from lasso_jobs.data import staging
from lasso_jobs.data.dataset import Partition
from lasso_jobs.errors import OutputError

Watched = dict[staging.Partition, dict[str, d.Current]]
"""Distributions by output partition and feature."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a piece, by their fate."""

    scored: int = 0
    quarantined: int = 0
    filtered: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.scored + self.quarantined + self.filtered


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored unit of work.

    Parameters
    ----------
    files, quarantined_files : tuple of WrittenFile
    counts : tuple of Counts
        Of each piece.
    bytes_read : int
    watched : dict
    reasons : mapping of str to int
        Quarantined rows by code and column.
    """

    files: tuple[staging.WrittenFile, ...]
    quarantined_files: tuple[staging.WrittenFile, ...]
    counts: tuple[Counts, ...]
    bytes_read: int
    watched: Watched
    reasons: Mapping[str, int]

    @property
    def rows_scored(self) -> int:
        """Rows with a prediction."""
        return sum(counts.scored for counts in self.counts)

    @property
    def rows_quarantined(self) -> int:
        """Rows that could not be scored."""
        return sum(counts.quarantined for counts in self.counts)

    @property
    def rows_filtered(self) -> int:
        """Rows that the filter took out."""
        return sum(counts.filtered for counts in self.counts)


def reconcile(partition: Partition, scored: Scored) -> None:
    """Check that every row of every file is accounted for, and is in a file that was written.

    Raises
    ------
    OutputError
    """
    for piece, counts in zip(partition.pieces, scored.counts, strict=True):
        if counts.total != piece.rows:
            raise OutputError(
                piece.file.path,
                f"{counts.total:,} rows scored, quarantined or filtered",
                f"the {piece.rows:,} rows of its footer",
                "Nothing was committed: check the file",
            )
    written = sum(file.rows for file in (*scored.files, *scored.quarantined_files))
    if written != scored.rows_scored + scored.rows_quarantined:
        raise OutputError(
            str(partition),
            f"{written:,} rows written",
            f"{scored.rows_scored:,} scored and {scored.rows_quarantined:,} quarantined",
            "Nothing was committed: run this again",
        )
