"""Keeps what persons have acknowledged of a drift, in a log beside its table, and applies it.

A drift is acknowledged for one version of a model, as its score shift is relative to the training
of that version: a new champion brings a reference of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from lasso_jobs.core.drift import acknowledged as a
from lasso_jobs.core.drift.acknowledged import Level
from lasso_jobs.core.drift.drift import Drift
from lasso_jobs.data.schema import listed
from lasso_jobs.data.times import is_date
from lasso_jobs.drift.facts import DriftFacts
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.drift.show import drift_of, source_of
from lasso_jobs.drift.table import DriftRow, night_of, series_of
from lasso_jobs.drift.watch import Run
from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.storage import chained_log
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.chained_log import ChainedLog
from lasso_jobs.storage.failures import as_output_error

FOLDER = "_acknowledged"
"""Beside a drift table; readers of Delta tables pass over names that begin so."""


@dataclass(frozen=True, slots=True)
class KnownLevels:
    """The levels of a feature, and of the predictions, in the run that was acknowledged.

    Parameters
    ----------
    since : str
        The night of the run, or when it was scored.
    feature, prediction : Level
    """

    since: str
    feature: Level
    prediction: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """One entry of the log.

    Parameters
    ----------
    model, model_version : str
    feature : str
    until : str or None
        The last day that it is in force for; None is for as long as the version predicts.
    levels : mapping of str to KnownLevels
        By series of partitions: of those partitions of the run where the feature drifts.
    run_id : str
        The run whose drift it is.
    at : str
        UTC time, ISO 8601.
    by, why : str
    """

    model: str
    model_version: str
    feature: str
    until: str | None
    levels: Mapping[str, KnownLevels]
    run_id: str
    at: str
    by: str
    why: str

    @property
    def said(self) -> str:
        """By whom, when and why."""
        until = f" until {self.until}" if self.until else ""
        return f"by {self.by} on {self.at[:10]}{until}: {self.why}"

    def as_values(self) -> dict[str, Any]:
        """What ``drift acknowledge --json`` prints."""
        return asdict(self)

    def in_words(self) -> dict[str, str]:
        """What ``drift acknowledge`` prints."""
        return {
            "acknowledged": f"{self.feature} of {self.model} {self.model_version} {self.said}",
            **{
                " in ".join(filter(None, ["up to", _others(series)])): f"a shift of "
                f"{known.feature.shift:+.3g}, PSI {known.feature.psi:.3g}, "
                f"{known.feature.unusable:.1%} without a usable value"
                for series, known in self.levels.items()
            },
            "in force": self._in_force(),
        }

    def _in_force(self) -> str:
        """Which runs it changes; of those that were scored before, the verdict stays as it was."""
        since = min(known.since for known in self.levels.values())
        if self.until is not None and self.until < since[:10]:
            earlier = f"what was acknowledged of {self.feature} before is taken back"
            return f"never, as it ends before the run, {since[:10]}; {earlier}"
        return f"from {since[:10]} on; what is scored keeps its verdict until it is scored again"


def acknowledge_drift(
    source: str,
    feature: str,
    why: str,
    *,
    date: str | None = None,
    run: str | None = None,
    until: str | None = None,
    by: str | None = None,
) -> Acknowledgement:
    """Take a feature's drift as known: the next runs of the same version are no alarm for it.

    They are one again where it moves on, by more than its limit. The predictions are known to have
    moved with it. A later entry takes its place; one whose ``until`` is past takes it back.

    Parameters
    ----------
    source : str
        A scoring job's file, or the path of a drift table.
    feature, why : str
    date, run : str, optional
        Which run, as for ``drift show``; by default the last.
    until, by : str, optional
        The last day that it is in force for; who does it, by default the user.

    Raises
    ------
    LassoJobsError
        If there is no such run, or the feature is neither to watch nor an alarm in it.

    Examples
    --------
    >>> from lasso_jobs import LassoJobsError, acknowledge_drift
    >>> try:
    ...     acknowledge_drift("score.yaml", "price", "list prices rose")
    ... except LassoJobsError as error:
    ...     print(error.found, "-", error.remedy)
    has no section drift - Set drift.path and score a date, or name a drift table
    """
    _check(why, until)
    path = source_of(source).path
    facts = drift_of(path, date, run)
    acknowledgement = Acknowledgement(
        model=facts.run.model,
        model_version=facts.run.model_version,
        feature=feature,
        until=until,
        levels=_levels(facts, feature),
        run_id=facts.run.id,
        at=datetime.now(UTC).isoformat(),
        by=by or chained_log.user(),
        why=why,
    )
    _append(path, acknowledgement)
    return acknowledgement


def _append(path: str, acknowledgement: Acknowledgement) -> None:
    log = _log(path)
    place, remedy = log.folder, "Make room or give access, and try again"
    with as_output_error(place, "a place that can be written to", remedy):
        try:
            log.append(log.entries(), acknowledgement)
        except FileExistsError as error:
            raise OutputError(
                place,
                "someone else acknowledged a drift at the same time",
                "one entry at a time",
                "Try again",
            ) from error


def acknowledgements(path: str) -> list[Acknowledgement]:
    """All that was acknowledged of a drift table's runs, oldest first.

    Raises
    ------
    LassoJobsError
        If the log cannot be read, or is not what was written.
    """
    return _log(path).entries()


def _log(path: str) -> ChainedLog[Acknowledgement]:
    return ChainedLog(
        storage.join(path, FOLDER),
        Acknowledgement,
        name="the log of acknowledged drift",
        error=OutputError,
        remedy="Restore its folder; or remove this entry and all after it, and acknowledge again",
    )


def _check(why: str, until: str | None) -> None:
    if not why.strip():
        raise JobError("why", "is empty", "the reason, for the log", "Say why")
    if until is not None and not is_date(until):
        raise JobError("until", repr(until), "a date, YYYY-MM-DD", "Correct it")


def _levels(facts: DriftFacts, feature: str) -> dict[str, KnownLevels]:
    """By series of partitions, the newest partition of the run where the feature drifts."""
    whole = [row for row in facts.rows if not row.segment and row.drift.kind != "correlation"]
    own = [row for row in whole if row.drift.feature == feature]
    if not own:
        names = dict.fromkeys(row.drift.feature for row in whole)
        where = f"run {facts.run.id[:12]}, feature {feature!r}"
        expected = f"one of {listed(list(names))}"
        raise JobError(where, "is not among what was compared", expected, "Correct its name")
    drifting = [row for row in own if {row.drift.raised, row.drift.verdict} & {"watch", "alarm"}]
    if not drifting:
        raise JobError(
            f"run {facts.run.id[:12]}, feature {feature!r}",
            f"has the verdict {own[-1].drift.verdict} ({own[-1].drift.reason})",
            "a feature to watch or with an alarm",
            "Name one of those that drift show lists, or another --date or --run",
        )
    predictions = {row.partition: row.drift for row in whole if row.drift.feature == PREDICTION}
    return {
        series_of(row.partition): KnownLevels(
            _night(row.partition, facts.run),
            Level.of(row.drift),
            Level.of(predictions[row.partition]),
        )
        for row in sorted(drifting, key=lambda row: row.partition)
    }


def _others(series: str) -> str:
    """What partitions of a series have in common beside their nights."""
    first, _, rest = series.partition("/")
    return series if "=" in first else rest


def _night(partition: str, run: Run) -> str:
    return night_of(partition) or run.scored_at.isoformat()


@dataclass(frozen=True, slots=True)
class Known:
    """A level that is in force for a partition, and who acknowledged it."""

    levels: KnownLevels
    said: str


def apply(rows: Sequence[DriftRow], entries: Sequence[Acknowledgement]) -> list[DriftRow]:
    """The judged rows of a partition, where what was acknowledged is no alarm."""
    first = rows[0]
    known = in_force(entries, first.run, first.partition)
    if not known:
        return list(rows)
    return [DriftRow(r.run, r.partition, r.segment, _known(r.drift, known)) for r in rows]


def in_force(entries: Sequence[Acknowledgement], run: Run, partition: str) -> dict[str, Known]:
    """What is acknowledged of a partition, by feature: the last entry of each counts."""
    known: dict[str, Known] = {}
    at, series = _night(partition, run), series_of(partition)
    for entry in entries:
        levels = entry.levels.get(series)
        if (entry.model, entry.model_version) != (run.model, run.model_version) or levels is None:
            continue
        known.pop(entry.feature, None)
        if levels.since <= at and (entry.until is None or at[:10] <= entry.until):
            known[entry.feature] = Known(levels, entry.said)
    return known


def _known(drift: Drift, known: Mapping[str, Known]) -> Drift:
    if drift.kind == "correlation":
        return drift
    own = known.get(drift.feature)
    if own is not None:
        return a.acknowledge(drift, own.levels.feature, own.said)
    if drift.feature != PREDICTION:
        return drift
    # The predictions moved with the features: by their shifts, and by all that one night's PSI is.
    levels = (
        Level(of.levels.feature.shift, of.levels.prediction.psi, of.levels.prediction.unusable)
        for of in known.values()
    )
    names = ", ".join(known)
    return a.acknowledge(
        drift, a.together(levels), f"with {names}, {next(iter(known.values())).said}"
    )
