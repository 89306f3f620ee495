"""Lists the dates of a range."""

from datetime import date, timedelta

from lasso_jobs.errors import JobError

MOST_NIGHTS = 3660


def dates(first: str, last: str, newest_first: bool = False) -> tuple[str, ...]:
    """Every date from the first to the last.

    Raises
    ------
    JobError

    Examples
    --------
    >>> dates("2024-02-28", "2024-03-01")
    ('2024-02-28', '2024-02-29', '2024-03-01')
    """
    where, given = "--from, --to", f"{first} to {last}"
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
        if (start.isoformat(), end.isoformat()) != (first, last):
            raise ValueError(given)
    except ValueError as error:
        raise JobError(where, given, "dates, YYYY-MM-DD", "Correct them") from error
    n_days = (end - start).days + 1
    if n_days < 1:
        raise JobError(where, f"{given} ends before it begins", "the first date first", "Swap them")
    if n_days > MOST_NIGHTS:
        found, expected = f"{given} are {n_days:,} dates", f"at most {MOST_NIGHTS:,}"
        raise JobError(where, found, expected, "Take a shorter range, one after the other")
    days = tuple((start + timedelta(days=i)).isoformat() for i in range(n_days))
    return days[::-1] if newest_first else days
