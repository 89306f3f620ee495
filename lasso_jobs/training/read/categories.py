"""Says which levels of each category have an indicator: as a scan found them, or a calendar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Category, Columns, LevelType
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.training.engine import engine_with_levels, screens_levels
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.scans.few_columns import Tally

CALENDAR = {"month": range(1, 13), "weekday": range(7)}
"""The levels of parts of dates."""


def calendar_categories(planned: TrainPlan) -> dict[str, Category]:
    """The parts of dates with all levels that they can have, so that no scan must find them.

    A date is often the largest of all columns, and would be read twice for a handful of levels.
    The levels that no row has are left out after the read (`without_empty_levels`). Where a
    category may have so few levels that their numbers of rows matter, they are counted as others
    are; and where the first of them may have no coefficient, whatever rows there are of it.
    """
    job = planned.job
    if job.preprocess.drop_first and job.search.engine != "all":
        return {}
    most, found = job.preprocess.listed_levels, dict[str, Category]()
    for date in planned.features.dates:
        levels = tuple(str(value) for value in CALENDAR.get(date.part, ()))
        null = (None,) if planned.dataset.may_have_nulls(date.column) else ()
        if levels and (most is None or len(levels) + len(null) <= most):
            found[date.name] = Category(date.name, levels + null, False, "integer")
    return found


def with_categories(
    planned: TrainPlan, tally: Tally, known: Mapping[str, Category]
) -> tuple[TrainPlan, Columns, bool]:
    """The plan with the engine that so many levels need, all columns, and if levels are screened.

    Raises
    ------
    DataError
        If no column is left.
    """
    job, features = planned.job, planned.features
    categories = [
        known.get(name) or counted_category(name, type_, tally, job)
        for name, type_ in features.categorical
    ]
    n_levels = sum(category.width for category in categories)
    engine = engine_with_levels(planned.engine, job, features, n_levels)
    screened = screens_levels(engine, job, features, n_levels)
    if screened:
        some = (
            known.get(name) or screened_category(name, type_, tally, job)
            for name, type_ in features.categorical
        )
        categories = [category for category in some if category.levels]
    names = {*features.numeric, *(category.name for category in categories)}
    columns = Columns(
        features.numeric,
        tuple(categories),
        tuple(date for date in features.dates if date.name in names),
        features.vectors,
    )
    return replace(planned, engine=engine), columns, screened


def counted_category(name: str, type_: LevelType, tally: Tally, job: TrainJob) -> Category:
    """The levels that a fold can choose from, in their own order; all others share one indicator.

    They are twice as many as a fold may keep, so that one can keep what is rare in the others.

    Raises
    ------
    DataError
        If levels that are to be integers are none.
    """
    ordered = _ordered(name, type_, tally, job)
    kept = _most_frequent(ordered, tally[name], job.preprocess.listed_levels)
    return Category(name, kept, len(kept) < len(ordered), type_)


def screened_category(name: str, type_: LevelType, tally: Tally, job: TrainJob) -> Category:
    """The levels that are screened: those that the job keeps by their rows in all of the data.

    Where a first level is to be left out, it is none of them.

    Raises
    ------
    DataError
        If levels that are to be integers are none.
    """
    how, counts = job.preprocess, tally[name]
    ordered = [v for v in _ordered(name, type_, tally, job) if counts[v] >= how.min_count]
    kept = _most_frequent(ordered, counts, how.max_levels)
    return Category(name, kept[how.drop_first :], False, type_)


def _most_frequent(
    ordered: Sequence[str | None], counts: Mapping[str | None, int], most: int | None
) -> tuple[str | None, ...]:
    """Levels with the most rows, of as many the first, in the given order."""
    listed = set(sorted(ordered, key=lambda v: -counts[v])[:most])
    return tuple(v for v in ordered if v in listed)


def _ordered(name: str, type_: LevelType, tally: Tally, job: TrainJob) -> list[str | None]:
    """All levels, null last."""
    counts = tally[name]
    number = type_ == "integer"
    if number:
        _check_integers(f"{job.data.path}, column {name!r}", counts)
    return sorted(
        counts, key=lambda v: (v is None, int(v) if number and v is not None else 0, v or "")
    )


def _check_integers(where: str, levels: Iterable[str | None]) -> None:
    odd = [v for v in levels if v is not None and not v.lstrip("-").isdigit()]
    if odd:
        raise DataError(
            where,
            f"has the value {odd[0]}",
            "integers, as features.categorical names it",
            "Mend the file, or take the column as a number",
        )


def with_levels_of(columns: Columns, wanted: Columns, tally: Tally) -> Columns:
    """With the levels of another model alone, so far as they are not among those that were cut."""
    own = {category.name: {*category.levels} for category in columns.categories}
    categories = []
    for category in wanted.categories:
        cut = {*tally.get(category.name, ())} - own[category.name]
        levels = tuple(level for level in category.levels if level not in cut)
        categories.append(replace(category, levels=levels, other=True))
    some = columns.only({*columns.numeric, *(category.name for category in categories)})
    return replace(some, categories=tuple(categories))


def without_empty_levels(
    columns: Columns, present: Mapping[str, Sequence[bool]], names: Iterable[str]
) -> tuple[Columns, NDArray[np.intp]]:
    """Leave out the levels of some categories that no row has.

    Parameters
    ----------
    columns : Columns
    present : mapping of str to sequence of bool
        Of each category, the indicators that have rows.
    names : iterable of str
        The categories; one with an indicator for other levels stays as it is.

    Returns
    -------
    Columns
    ndarray of intp
        Where each of their columns is among those given.
    """
    complete = {category.name for category in columns.categories if not category.other}
    kept = {name: np.flatnonzero(present[name]) for name in names if name in complete}
    spans = dict(columns.spans())
    place = [np.arange(len(columns.numeric))]
    categories = []
    for category in columns.categories:
        chosen = kept.get(category.name, np.arange(category.width))
        place.append(spans[category.name].start + chosen)
        if category.name in kept:
            category = replace(category, levels=tuple(category.levels[i] for i in chosen))
        categories.append(category)
    return replace(columns, categories=tuple(categories)), np.concatenate(place)
