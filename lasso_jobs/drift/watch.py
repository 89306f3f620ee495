"""Says what a scoring run watches for drift, and which run it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lasso_jobs.core.drift.drift import Reference
from lasso_jobs.core.rows.columns import Columns


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """A column of groups, and whether the model knows it as one of booleans."""

    name: str
    boolean: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """What is observed of the scored rows, so that their drift can be measured.

    Parameters
    ----------
    columns : Columns
        The model's columns that the rows are decoded into.
    references : mapping of str to Reference
        Of the features that are watched, and of ``prediction``; empty if no drift is measured.
    segment : SegmentColumn or None
        A column of groups whose drift is measured besides.
    correlation : bool
        Whether to measure how the columns are correlated.
    partition_by : tuple of str
        The columns whose values divide the rows into partitions.
    """

    columns: Columns
    references: Mapping[str, Reference]
    segment: SegmentColumn | None
    correlation: bool
    partition_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A scoring run: its id, its model's name and version (``v3``), and when it was started."""

    id: str
    model: str
    model_version: str
    scored_at: datetime
