"""Defines what a worker needs to score a work unit, and the columns that it writes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.data.where import Condition
from lasso_jobs.drift.watch import Run, Watch
from lasso_jobs.models.contributions import TopContributions, top_columns
from lasso_jobs.models.intervals import Interval
from lasso_jobs.sinks import protocol

SCORED_COLUMNS = pa.schema(
    [
        ("prediction", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("model_version", pa.string()),
        ("run_id", pa.string()),
        ("scored_at", pa.timestamp("us", "UTC")),
    ]
)

QUARANTINE_COLUMNS = pa.schema(
    [
        ("reason", pa.string()),
        ("column", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("run_id", pa.string()),
    ]
)


def scored_columns(n_top: int) -> pa.Schema:
    """The columns that scoring adds, with those of the n largest contributions last."""
    return pa.schema([*SCORED_COLUMNS, *top_columns(n_top)])


@dataclass(frozen=True, slots=True)
class Features:
    """What the predictions are made from, and where the source has it.

    Parameters
    ----------
    predictor : Predictor
        Of the features that are used or watched.
    used : frozenset of str
        The features with a coefficient that is not zero.
    nulls_allowed : bool
        Whether a used feature may be null.
    sources : mapping of str to str
        The source's column for each feature.
    absent : frozenset of str
        Columns that are null where a file lacks them.
    """

    predictor: Predictor
    used: frozenset[str]
    nulls_allowed: bool
    sources: Mapping[str, str]
    absent: frozenset[str]

    @property
    def strict(self) -> frozenset[str]:
        """The features of which a row must have a value."""
        offset = self.predictor.offset
        return self.used if not self.nulls_allowed else frozenset([offset] if offset else [])

    @property
    def columns_read(self) -> list[str]:
        """The source's columns."""
        return [self.sources[name] for name in self.predictor.columns.stored]

    def of(self, table: pa.Table) -> pa.Table:
        """The columns of some rows that features are made of, under the model's names for them."""
        return table.select(self.columns_read).rename_columns(list(self.predictor.columns.stored))


@dataclass(frozen=True, slots=True)
class Destination:
    """The tables that a run writes.

    Parameters
    ----------
    root, quarantine : str
        The output's place and its quarantine's.
    format : str
        The format of both.
    carried : pyarrow.Schema
        The columns that go from the source into both.
    partition_by : tuple of str
    """

    root: str
    quarantine: str
    format: protocol.Format
    carried: pa.Schema
    partition_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringTask:
    """What a worker needs to score a work unit.

    Parameters
    ----------
    features : Features
    interval : Interval or None
        Half the widths of the prediction intervals.
    top : TopContributions
        What is written of the contributions to each prediction.
    watch : Watch
        What is observed for drift.
    where : tuple of Condition
    destination : Destination
    run : Run
    """

    features: Features
    interval: Interval | None
    top: TopContributions
    watch: Watch
    where: tuple[Condition, ...]
    destination: Destination
    run: Run

    @property
    def output_change(self) -> protocol.Change:
        """The commit of the scored rows, as far as it is known before they are scored."""
        return self._change(self.destination.root, scored_columns(self.top.n))

    @property
    def quarantine_change(self) -> protocol.Change:
        """The commit of the rows that cannot be scored, likewise."""
        return self._change(self.destination.quarantine, QUARANTINE_COLUMNS)

    def _change(self, root: str, added: pa.Schema) -> protocol.Change:
        return protocol.Change(
            root=root,
            schema=pa.schema([*self.destination.carried, *added]),
            partition_by=self.destination.partition_by,
            run_id=self.run.id,
        )

    @property
    def columns_read(self) -> list[str]:
        """The columns of the source that a worker reads."""
        by = [self.interval.column] if self.interval and self.interval.column else []
        by += [self.watch.segment.name] if self.watch.segment else []
        names = [*self.features.columns_read, *self.destination.carried.names, *by]
        return list(dict.fromkeys(names))
