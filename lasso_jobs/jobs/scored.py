"""What a worker returns of a unit of work, and whether its rows add up."""

from collections.abc import Mapping
from dataclasses import dataclass

from lasso_jobs.core.current import Current, merge
from lasso_jobs.core.moments import Moments
from lasso_jobs.core.moments import merge as merge_moments
from lasso_jobs.data import staging
from lasso_jobs.data.dataset import Partition
from lasso_jobs.errors import OutputError


@dataclass(frozen=True, slots=True)
class Observed:
    """What drift is measured from, of some of the rows that were scored.

    Parameters
    ----------
    features : mapping of str to Current
        By feature, and ``prediction``; empty if the job measures no drift.
    moments : Moments or None
        Of the watched columns, if the job asks for their correlations.
    """

    features: Mapping[str, Current]
    moments: Moments | None = None


Group = tuple[staging.Partition, str]
"""A partition of the output and a segment of it; all of it has the segment ``""``."""

Watched = dict[Group, Observed]


def merged(a: Observed | None, b: Observed) -> Observed:
    """Two disjoint sets of rows together."""
    if a is None:
        return b
    moments = b.moments
    if a.moments is not None and b.moments is not None:
        moments = merge_moments(a.moments, b.moments)
    return Observed(
        {name: merge(a.features[name], b.features[name]) for name in a.features}, moments
    )


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
