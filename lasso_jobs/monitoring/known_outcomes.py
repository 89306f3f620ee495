"""Keeps the outcome of each scored row of a batch, and tallies the errors of the predictions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.drift import outcomes as o
from lasso_jobs.core.rows.columns import NULL
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays
from lasso_jobs.errors import DataError

PREDICTED = ("prediction", "prediction_low", "prediction_high", "model_version")
POSITION, ORDER, OUTCOME = "position of the row", "order of the outcome", "the outcome"
MOST_SEGMENTS = 1_000

Levels = tuple[list[str | None], NDArray[np.int64]]
"""Values as text, and the index into them of each row; -1 where it is not known."""


class TallyKey(NamedTuple):
    """What a tally is of; the segment is empty for all rows, else COLUMN=VALUE."""

    period: str
    model_version: str
    segment: str


class KnownOutcomes:
    """The outcome of each scored row, as far as they have come.

    Parameters
    ----------
    n_rows : int
    by_order : bool
        Whether the last of several outcomes counts, and not just equal ones.
    segments : sequence of str
        Columns that come with the outcomes.
    """

    def __init__(self, n_rows: int, by_order: bool, segments: Sequence[str]) -> None:
        self._low, self._high = np.full(n_rows, np.inf), np.full(n_rows, -np.inf)
        self._last = np.full(n_rows, -np.inf) if by_order else None
        self._levels: dict[str, dict[str | None, int]] = {name: {} for name in segments}
        self._codes = {name: np.full(n_rows, -1) for name in segments}
        self._n_matched = 0

    def add(self, rows: pa.Table) -> None:
        """Take outcomes, each with the position of its scored row; their order does not matter."""
        at = arrays.numbers(rows[POSITION]).astype(np.intp)
        values = arrays.numbers(rows[OUTCOME])
        codes = {name: self._coded(rows, name) for name in self._codes}
        self._n_matched += len(at)
        if self._last is not None:
            order, before = arrays.numbers(rows[ORDER]), self._last.copy()
            np.maximum.at(self._last, at, order)
            newer = self._last > before
            self._low[newer], self._high[newer] = np.inf, -np.inf
            for known in self._codes.values():
                known[newer] = -1
            kept = order == self._last[at]
            at, values = at[kept], values[kept]
            codes = {name: of_all[kept] for name, of_all in codes.items()}
        np.minimum.at(self._low, at, values)
        np.maximum.at(self._high, at, values)
        for name, kept_codes in codes.items():
            np.maximum.at(self._codes[name], at, kept_codes)

    def _coded(self, rows: pa.Table, name: str) -> NDArray[np.int64]:
        """Levels by their number among all that have come."""
        known, (texts, index) = self._levels[name], arrays.segments(rows[name])
        numbers = [known.setdefault(text, len(known)) for text in texts]
        _refuse_many(name, len(known))
        return np.array(numbers or [0])[index]

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the columns that come with the outcomes."""
        return tuple(self._codes)

    @property
    def n_repeated(self) -> int:
        """Outcomes that a row had more than one of."""
        return self._n_matched - int((self._low < np.inf).sum())

    @property
    def differing(self) -> NDArray[np.intp]:
        """Rows whose outcomes differ."""
        return np.flatnonzero((self._low < self._high) & (self._low < np.inf))

    @property
    def outcome(self) -> Floats:
        """The outcome of each row; NaN where it is not known."""
        return np.where(self._low < np.inf, self._low, np.nan)

    def segment(self, name: str) -> Levels:
        """A column that came with the outcomes."""
        return list(self._levels[name]), self._codes[name]


def tallies(
    scored: pa.Table, known: KnownOutcomes, period: str, segments_of_scores: Sequence[str]
) -> dict[TallyKey, o.Tally]:
    """Tally the errors by period, model version and segment."""
    prediction, low, high = (arrays.numbers(scored[name]) for name in PREDICTED[:3])
    outcome = known.outcome
    periods, of_period = arrays.levels(scored[period])
    versions, of_version = arrays.levels(scored[PREDICTED[3]])
    group = of_period * len(versions) + of_version
    segments = {name: arrays.segments(scored[name]) for name in segments_of_scores}
    segments |= {name: known.segment(name) for name in known.segments}
    result: dict[TallyKey, o.Tally] = {}
    if not scored.num_rows:
        return result

    def tally(names: list[str], codes: NDArray[np.int64]) -> None:
        every = np.where(codes < 0, -1, group * len(names) + codes)
        order = np.argsort(every, kind="stable")
        numbers, starts = np.unique(every[order], return_index=True)
        for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
            if number >= 0:
                pair, segment = divmod(int(number), len(names))
                at, version = divmod(pair, len(versions))
                key = TallyKey(text_of(periods[at]), text_of(versions[version]), names[segment])
                result[key] = o.tally_rows(prediction[rows], low[rows], high[rows], outcome[rows])

    tally([""], np.zeros(len(group), np.int64))
    for name, (texts, codes) in segments.items():
        _refuse_many(name, len(texts))
        tally([f"{name}={text_of(text)}" for text in texts], codes)
    return result


def text_of(text: str | None) -> str:
    """A value as text."""
    return NULL if text is None else text


def _refuse_many(name: str, n_levels: int) -> None:
    if n_levels > MOST_SEGMENTS:
        raise DataError(
            f"segments {name!r}",
            f"has more than {MOST_SEGMENTS:,} values",
            "a column of segments",
            "Name a coarser column",
        )
