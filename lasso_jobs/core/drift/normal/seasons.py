"""Says what is usual on a week day and in a month, and which of them the training has not seen.

Periods have seasons where they are days. A day is compared with the same week day of the training
where week days differ, and with the same month where the training has two years of it: one January
does not tell how much Januaries differ.
"""

from calendar import day_name, month_name
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

WEEK_DAYS, MONTHS = 7, 12
LEAST_OF_EACH = 4
"""Periods of each week day, or of each month in each year, without which they are not compared."""

LEAST_YEARS = 2
SIGNIFICANT = 1e-3
"""Week days or months differ if the p-value of their F test (analysis of variance) is smaller."""

_EARLIEST, _LATEST = date(1900, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The week days (Monday is 0) and the months (January is 1) that the training has seen."""

    week_days: tuple[int, ...]
    months: tuple[int, ...]

    def unseen(self, night: str) -> str:
        """The month or the week day of a night that the training has not seen; empty if it has.

        A month beside one that it has seen is no other season.

        Examples
        --------
        >>> calendar = Calendar(week_days=(0, 1, 2, 3, 4), months=(1, 2, 3))
        >>> calendar.unseen("2024-07-01"), calendar.unseen("2024-02-03")
        ('July', 'Saturday')
        >>> calendar.unseen("2024-04-01"), calendar.unseen("2024-07")
        ('', 'July')
        """
        month, week_day = _season(night)
        if not any((month - seen) % MONTHS in (0, 1, MONTHS - 1) for seen in self.months):
            return month_name[month]
        return "" if week_day is None or week_day in self.week_days else day_name[week_day]


@dataclass(frozen=True, slots=True)
class Usual:
    """What week days and months add to a shift; empty where they do not differ.

    Parameters
    ----------
    week_days : tuple of float
        From Monday.
    months : tuple of float
        From January.
    """

    week_days: tuple[float, ...] = ()
    months: tuple[float, ...] = ()

    @property
    def n_means(self) -> int:
        """How many means they are: the least periods that share one, as a divisor of all."""
        return max(len(self.week_days), len(self.months), 1)

    def on(self, night: str) -> float:
        """The usual shift of a night.

        Examples
        --------
        >>> usual = Usual(week_days=(0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0))
        >>> usual.on("2024-06-01"), usual.on("2024-06-03"), usual.on("2024-06")
        (2.0, 0.0, 0.0)
        """
        month, week_day = _season(night)
        of_day = self.week_days[week_day] if self.week_days and week_day is not None else 0.0
        return of_day + (self.months[month - 1] if self.months else 0.0)


def _season(night: str) -> tuple[int, int | None]:
    """The month, and the week day unless the night is a month, from ISO text."""
    month = int(night[5:7])
    return month, date.fromisoformat(night[:10]).weekday() if len(night) >= 10 else None


@dataclass(frozen=True, slots=True)
class Days:
    """The days of periods.

    Parameters
    ----------
    week_day, month, year : ndarray of int, shape (t,)
    """

    week_day: NDArray[np.intp]
    month: NDArray[np.intp]
    year: NDArray[np.intp]

    @property
    def calendar(self) -> Calendar:
        """The week days and months that are among them."""
        week_days = np.unique(self.week_day).tolist()
        return Calendar(tuple(week_days), tuple(np.unique(self.month).tolist()))

    def where(self, chosen: NDArray[np.bool_]) -> "Days":
        """Some of them."""
        return Days(self.week_day[chosen], self.month[chosen], self.year[chosen])


def days_of(keys: Floats) -> Days | None:
    """The days that numbers of periods are, as `lasso_jobs.data.times.periods` has them.

    A day is its ordinal; 20240131 is a day too. None if any period is no day.

    Examples
    --------
    >>> days_of(np.array([date(2024, 1, 31).toordinal(), date(2024, 2, 1).toordinal()])).month
    array([1, 2])
    >>> days_of(np.array([20240131.0])).calendar
    Calendar(week_days=(2,), months=(1,))
    >>> days_of(np.array([1.0, 2.0])) is None
    True
    """
    days = [_day(key) for key in keys.tolist()]
    found = [day for day in days if day is not None]
    if not found or len(found) < len(days):
        return None
    parts = np.array([(day.weekday(), day.month, day.year) for day in found], np.intp)
    return Days(*parts.T)


def _day(key: float) -> date | None:
    if key % 1:
        return None
    number = int(key)
    if _EARLIEST.toordinal() <= number <= _LATEST.toordinal():
        return date.fromordinal(number)
    try:
        day = date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return None
    return day if _EARLIEST <= day <= _LATEST else None


def usual_of(deviations: Floats, days: Days) -> Usual:
    """What week days and months add to the deviations of days, where they differ.

    Months first: they are means of all week days.
    """
    months: tuple[float, ...] = ()
    by_year = np.zeros((MONTHS, int(np.ptp(days.year)) + 1), np.int64)
    np.add.at(by_year, (days.month - 1, days.year - days.year.min()), 1)
    if ((by_year >= LEAST_OF_EACH).sum(axis=1) >= LEAST_YEARS).all():
        months = _means(deviations, days.month - 1, MONTHS)
    rest = deviations - np.array(months)[days.month - 1] if months else deviations
    week_days: tuple[float, ...] = ()
    if (np.bincount(days.week_day, minlength=WEEK_DAYS) >= LEAST_OF_EACH).all():
        week_days = _means(rest, days.week_day, WEEK_DAYS)
    return Usual(week_days, months)


def expected(usual: Usual, days: Days) -> Floats:
    """The usual shift of each of some days."""
    shift = np.zeros(len(days.month))
    if usual.week_days:
        shift += np.array(usual.week_days)[days.week_day]
    if usual.months:
        shift += np.array(usual.months)[days.month - 1]
    return shift


def _means(values: Floats, group: NDArray[np.intp], k: int) -> tuple[float, ...]:
    """The means of k groups, if they differ; none if they do not."""
    from scipy.special import fdtrc

    n = np.bincount(group, minlength=k)
    means = np.bincount(group, values, k) / n
    within = float(np.sum((values - means[group]) ** 2))
    between = float(n @ (means - values.mean()) ** 2)
    freedom = len(values) - k
    if freedom <= 0 or between <= 0:
        return ()
    ratio = between / (k - 1) / (within / freedom) if within > 0 else np.inf
    return tuple(means.tolist()) if fdtrc(k - 1, freedom, ratio) < SIGNIFICANT else ()
