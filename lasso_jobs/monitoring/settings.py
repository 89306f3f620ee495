"""Says how scored rows and outcomes are joined, and which of them together."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.data import arrays
from lasso_jobs.data.columns.keys import as_key
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.where import Condition


def compared(name: str) -> str:
    """The name of the column that has a key as it is compared; it stays beside the key itself."""
    return f"the key {name}"


def text_of_key(value: pa.Scalar, type_: pa.DataType) -> str | None:
    """A key as text, the same for all keys that are equal."""
    texts, _ = arrays.levels(as_key(pa.chunked_array([pa.repeat(value, 1)]), type_))
    return texts[0]


def as_period(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The names of periods: a time, if it is a midnight, is called by its day, as a date is.

    Examples
    --------
    >>> times = pa.chunked_array([["2024-05-01 00:00:00", "2024-05-01 06:30:00"]])
    >>> as_period(times.cast(pa.timestamp("us"))).to_pylist()
    ['2024-05-01', '2024-05-01 06:30:00']
    """
    if not pa.types.is_timestamp(column.type):
        return column
    times = pc.local_timestamp(column) if column.type.tz else column
    days = times.cast(pa.date32(), safe=False)
    whole = pc.equal(days.cast(times.type), times)
    texts = times.cast(pa.string())
    short = pc.replace_substring_regex(texts, r"\.?0*$", "")
    texts = pc.if_else(pc.match_substring(texts, "."), short, texts)
    return pc.if_else(whole, days.cast(pa.string()), texts)


@dataclass(frozen=True, slots=True)
class Side:
    """The scored rows, or the outcomes: which of them are joined, and their columns of segments."""

    where: tuple[Condition, ...]
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSettings:
    """How scored rows and outcomes are joined.

    Parameters
    ----------
    key_types : mapping of str to pyarrow.DataType
        The keys, with the types in which they are compared.
    target, period : str
    order : str or None
        The column by which the last of several outcomes counts.
    scores, actuals : Side
    batch_rows : int
        Outcomes that are looked up together.
    """

    key_types: Mapping[str, pa.DataType]
    target: str
    period: str
    order: str | None
    scores: Side
    actuals: Side
    batch_rows: int

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say which row is which."""
        return tuple(self.key_types)

    @property
    def compared(self) -> list[str]:
        """The same columns as they are compared, under the names that they have then."""
        return [compared(name) for name in self.key_types]


@dataclass(frozen=True, slots=True)
class Batch:
    """Scored rows that are joined together.

    Parameters
    ----------
    scores, actuals : tuple of Piece
        Where they, and their outcomes, are.
    periods : tuple of (str or None), or None
        Their periods, as the texts of keys (`text_of_key`); None for all.
    part, n_parts : int
        The rows are those whose keys' hash falls into this part.
    """

    scores: tuple[Piece, ...]
    actuals: tuple[Piece, ...]
    periods: tuple[str | None, ...] | None
    part: int = 0
    n_parts: int = 1

    def __str__(self) -> str:
        return f"{self.scores[0].file.path}, part {self.part + 1} of {self.n_parts}"
