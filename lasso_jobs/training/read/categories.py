"""Says which levels of each category have an indicator: as a scan found them, or a calendar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Category, Columns, LevelType
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.scans.few_columns import Tally

CALENDAR = {"month": range(1, 13), "weekday": range(7)}
"""The levels of parts of dates."""


def calendar_categories(planned: TrainPlan) -> dict[str, Category]:
    """The parts of dates with all levels that they can have, so that no scan must find them.

    A date is often the largest of all columns, and would be read twice for a handful of levels.
    The levels that no row has are left out after the read (`without_empty_levels`). Where a
    category may have so few levels that their numbers of rows matter, they are counted as others
    are.
    """
    most, found = 2 * planned.job.preprocess.max_levels, {}
    for date in planned.features.dates:
        levels = tuple(str(value) for value in CALENDAR.get(date.part, ()))
        null = (None,) if planned.dataset.may_have_nulls(date.column) else ()
        if levels and len(levels) + len(null) <= most:
            found[date.name] = Category(date.name, levels + null, False, "integer")
    return found


def counted_category(name: str, type_: LevelType, tally: Tally, job: TrainJob) -> Category:
    """The levels that a fold can choose from, in their own order; all others share one indicator.

    They are twice as many as a fold may keep, so that one can keep what is rare in the others.

    Raises
    ------
    DataError
        If levels that are to be integers are none.
    """
    counts = tally[name]
    number = type_ == "integer"
    if number:
        _check_integers(f"{job.data.path}, column {name!r}", counts)
    ordered = sorted(
        counts, key=lambda v: (v is None, int(v) if number and v is not None else 0, v or "")
    )
    listed = set(sorted(ordered, key=lambda v: -counts[v])[: 2 * job.preprocess.max_levels])
    kept = tuple(v for v in ordered if v in listed)
    return Category(name, kept, len(kept) < len(ordered), type_)


def _check_integers(where: str, levels: Iterable[str | None]) -> None:
    odd = [v for v in levels if v is not None and not v.lstrip("-").isdigit()]
    if odd:
        raise DataError(
            where,
            f"has the value {odd[0]}",
            "integers, as features.categorical names it",
            "Mend the file, or take the column as a number",
        )


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
        The categories, of which none has an indicator for other levels.

    Returns
    -------
    Columns
    ndarray of intp
        Where each of their columns is among those given.
    """
    kept = {name: np.flatnonzero(present[name]) for name in names}
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
