"""Defines a scored work unit as its worker returns it, and checks that it has lost no row."""

from collections.abc import Mapping
from dataclasses import dataclass

from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.drift.observe import Observations
from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import protocol


@dataclass(frozen=True, slots=True)
class RowFates:
    """How many rows were scored, quarantined, and taken out by ``data.where``.

    Examples
    --------
    >>> (RowFates(scored=3, quarantined=1) + RowFates(filtered=2)).total
    6
    """

    scored: int = 0
    quarantined: int = 0
    filtered: int = 0

    def __add__(self, other: "RowFates") -> "RowFates":
        return RowFates(
            self.scored + other.scored,
            self.quarantined + other.quarantined,
            self.filtered + other.filtered,
        )

    @property
    def total(self) -> int:
        """All of the rows."""
        return self.kept + self.filtered

    @property
    def kept(self) -> int:
        """The rows that the filter keeps."""
        return self.scored + self.quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredUnit:
    """One scored work unit; its rows are in files that no reader sees yet.

    Parameters
    ----------
    files, quarantined_files : tuple of WrittenFile
    fates : tuple of RowFates
        Of each piece of the unit.
    bytes_read : int
    observations : dict
        What drift is measured from.
    reasons : mapping of str to int
        How many rows are quarantined for each code and column, such as ``"null price"``.
    """

    files: tuple[protocol.WrittenFile, ...]
    quarantined_files: tuple[protocol.WrittenFile, ...]
    fates: tuple[RowFates, ...]
    bytes_read: int
    observations: Observations
    reasons: Mapping[str, int]

    @property
    def rows(self) -> RowFates:
        """The rows of all pieces."""
        return sum(self.fates, RowFates())


def reconcile(unit: WorkUnit, scored: ScoredUnit) -> None:
    """Check that every row of the unit's files has a fate, and is in a file that was written.

    Raises
    ------
    OutputError
    """
    for piece, fates in zip(unit.pieces, scored.fates, strict=True):
        if fates.total != piece.rows:
            raise OutputError(
                piece.file.path,
                f"{fates.total:,} rows scored, quarantined or filtered",
                f"the {piece.rows:,} rows of its footer",
                "Nothing was committed: check the file",
            )
    rows_written = sum(file.rows for file in (*scored.files, *scored.quarantined_files))
    if rows_written != scored.rows.kept:
        raise OutputError(
            str(unit),
            f"{rows_written:,} rows written",
            f"{scored.rows.scored:,} scored and {scored.rows.quarantined:,} quarantined",
            "Nothing was committed: run this again",
        )
