"""A partition's part from the cache, where its files were read before for at least these columns.

The part of some columns is, bitwise, some of the part of more columns: each sum depends on its own
columns only. So other folds, penalties, scalings or fewer features read nothing.
"""

import dataclasses
import hashlib
import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.artifacts.cache import Arrays, Cache, Content, Stored
from lasso_jobs.core import sample as s
from lasso_jobs.core.buckets import BucketMoments
from lasso_jobs.core.columns import Category, Columns, DateFeature
from lasso_jobs.core.moments import Moments
from lasso_jobs.core.periods import Periods
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.where import Condition
from lasso_jobs.jobs.part import Part, read_part
from lasso_jobs.jobs.reading import Counts, Reading

KEPT = 4
"""Samples are kept up to the hash below which, of all rows, this times their size is expected."""


@dataclasses.dataclass(frozen=True, slots=True)
class Caching:
    """Where and how a training uses the cache.

    Parameters
    ----------
    registry : str
    n_rows : int
        Of the dataset: how much of the samples is kept.
    fresh : bool
        Whether all is read anew, and the samples are kept whole.
    """

    registry: str
    n_rows: int
    fresh: bool = False


def key(
    kind: str, partitions: Sequence[Partition], where: Sequence[Condition], *more: object
) -> str:
    """What identifies a read of partitions, but for the columns.

    Conditions on folder names only have chosen the files already.
    """
    constants = {name for name, _ in partitions[0].pieces[0].file.constants}
    facts = [
        kind,
        _code(),
        [version(name) for name in ("numpy", "pyarrow")],
        platform.machine(),
        [[_facts(piece) for piece in partition.pieces] for partition in partitions],
        [part.text for part in where if not part.columns or not part.columns <= constants],
        *more,
    ]
    return f"{kind}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]}"


def _facts(piece: Piece) -> list[object]:
    file = piece.file
    constants = [[name, str(value.type), str(value)] for name, value in file.constants]
    identity = [file.path, file.name, file.size_bytes, file.stamp, constants]
    return [*identity, piece.row_groups, piece.first_row, piece.rows]


@cache
def _code() -> str:
    """A hash of the code that reads: another version may find other bits."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256()
    for path in sorted([*package.glob("core/*.py"), *package.glob("data/*.py")]):
        sha.update(path.read_bytes())
    for name in ("cached", "part", "reading", "scan", "training_rows"):
        sha.update((package / "jobs" / f"{name}.py").read_bytes())
    return sha.hexdigest()


Result = TypeVar("Result")


class Cached(ABC, Generic[Result]):
    """A read of partitions, from the cache where it is there: of each, or of all together."""

    caching: Caching | None

    def __call__(self, partition: Partition) -> Result:
        """Read a partition, or take what another training has left of it."""
        result = self.kept([partition])
        if result is None:
            result = self.read(partition)
            self.keep([partition], result)
        return result

    @abstractmethod
    def read(self, partition: Partition) -> Result:
        """Read its files."""

    @abstractmethod
    def kept(self, partitions: Sequence[Partition]) -> Result | None:
        """What is in the cache of some partitions together."""

    @abstractmethod
    def keep(self, partitions: Sequence[Partition], result: Result) -> None:
        """Put it into the cache, if there is one."""


@dataclasses.dataclass(frozen=True)
class Parts(Cached[Part]):
    """The read of training rows."""

    reading: Reading
    caching: Caching | None = None

    def read(self, partition: Partition) -> Part:
        """Read its files."""
        return read_part(partition, self.reading)

    def kept(self, partitions: Sequence[Partition]) -> Part | None:
        """What is in the cache, for at least these columns."""
        if self.caching is None or self.caching.fresh:
            return None
        entries = Cache(self.caching.registry).find(self._key(partitions))
        # Of several, the one that keeps the most of the samples.
        for found in sorted(entries, key=_kept, reverse=True):
            place = _place(found.content, partitions, self.reading)
            if place is not None:
                return _part(found, len(partitions)).selected(place)
        return None

    def keep(self, partitions: Sequence[Partition], result: Part) -> None:
        """Put it into the cache, if there is one."""
        if self.caching is not None:
            rows = sum(partition.rows for partition in partitions)
            entry = _split(result, rows, self.reading, self.caching)
            Cache(self.caching.registry).save(self._key(partitions), *entry)

    def _key(self, partitions: Sequence[Partition]) -> str:
        return key_of_reading("moments", partitions, self.reading)


def _kept(entry: Stored) -> int:
    return min(int(below) for below in entry.content["below"])


def kept_scan(
    its_key: str, names: Sequence[str], caching: Caching | None
) -> tuple[Content, Arrays] | None:
    """What is in the cache of a scan of at least some columns."""
    if caching is not None:
        for found in Cache(caching.registry).find(its_key):
            if set(names) <= set(found.content["names"]):
                return found.content, found.arrays()
    return None


def keep_scan(
    its_key: str, names: Sequence[str], caching: Caching | None, content: Content, arrays: Arrays
) -> None:
    """Put a scan of some columns into the cache, if there is one."""
    if caching is not None:
        Cache(caching.registry).save(its_key, {**content, "names": list(names)}, arrays)


def key_of_reading(kind: str, partitions: Sequence[Partition], reading: Reading) -> str:
    """What identifies a read of training rows, but for their features."""
    others = {
        field.name: getattr(reading, field.name)
        for field in dataclasses.fields(reading)
        if field.name not in ("columns", "where", "n_folds", "also", "holdout_where")
    }
    held = [condition.text for condition in reading.holdout_where or ()]
    return key(kind, partitions, reading.where, others, held)


def _place(
    content: Content, partitions: Sequence[Partition], reading: Reading
) -> NDArray[np.intp] | None:
    """Where the columns are in an entry; None if it has not all of them, or was read otherwise."""
    mine, theirs = reading.columns, _columns(content["columns"])
    block_rows = (reading.block_rows(), content["block_rows"])
    one_block = max(p.rows for each in partitions for p in each.pieces) <= min(block_rows)
    if content["size"] != s.sample_size(mine.n_columns + 1):
        return None
    if block_rows[0] != block_rows[1] and not one_block:
        return None
    spans = dict(theirs.spans())
    dates = {date.name: date for date in theirs.dates}
    if any(dates.get(date.name) != date for date in mine.dates):
        return None
    if not set(mine.features) <= set(spans) or set(dates) & set(mine.features) - {
        date.name for date in mine.dates
    }:
        return None
    place = [spans[name].start for name in mine.numeric]
    known = {category.name: category for category in theirs.categories}
    for category in mine.categories:
        if category.name not in known:
            return None
        found = _levels_place(category, known[category.name], content["present"][category.name])
        if found is None:
            return None
        place += [-1 if j < 0 else spans[category.name].start + j for j in found]
    return np.array(place, np.intp)


def _levels_place(mine: Category, theirs: Category, present: Sequence[bool]) -> list[int] | None:
    """Where the indicators are among those of an entry, of which some have rows.

    Levels that share ``(other)`` are not told apart, so with such rows the levels must be the same.
    """
    if mine == theirs:
        return list(range(mine.width))
    if mine.type != theirs.type or (theirs.other and present[-1]):
        return None
    at = {level: i for i, level in enumerate(theirs.levels) if present[i]}
    if not set(at) <= set(mine.levels):
        return None
    return [at.get(level, -1) for level in mine.levels] + [-1] * mine.other


def _columns(content: Content) -> Columns:
    return Columns(
        tuple(content["numeric"]),
        tuple(Category(**{**c, "levels": tuple(c["levels"])}) for c in content["categories"]),
        tuple(DateFeature(**date) for date in content["dates"]),
    )


def _split(part: Part, n_rows: int, reading: Reading, caching: Caching) -> tuple[Content, Arrays]:
    columns, buckets = reading.columns, part.moments.buckets
    high = np.max([bucket.high for bucket in buckets], axis=0)
    spans = dict(columns.spans())
    content: Content = {
        "columns": dataclasses.asdict(columns),
        "present": {c.name: (high[spans[c.name]] > 0).tolist() for c in columns.categories},
        "size": part.sample.size,
        "block_rows": reading.block_rows(),
        "counts": dataclasses.asdict(part.counts),
        "periods_whole": part.periods.whole,
        "below": [],
    }
    arrays = {
        "n": np.array([bucket.n for bucket in buckets]),
        "weight": np.array([bucket.weight for bucket in buckets]),
        "low": np.array([bucket.low for bucket in buckets]),
        "high": np.array([bucket.high for bucket in buckets]),
        "n_nulls": np.array([len(bucket.nulls) for bucket in buckets]),
        "nulls": np.concatenate([bucket.nulls for bucket in buckets]),
        "mean": np.concatenate([bucket.mean for bucket in buckets]),
        **{f"periods.{name}": getattr(part.periods, name) for name in _PERIODS},
    }
    packed = all(np.array_equal(bucket.scatter, bucket.scatter.T) for bucket in buckets)
    triangles = (b.scatter[_triangle(len(b.mean))] for b in buckets)
    content["packed"] = packed
    arrays["scatter"] = np.concatenate(
        list(triangles) if packed else [bucket.scatter.ravel() for bucket in buckets]
    )
    # As if the same share of all rows passed the filters.
    rows = max(1.0, caching.n_rows * part.counts.rows / max(1, n_rows))
    for name, sample, share in (
        ("sample", part.sample, 1.0),
        ("held", part.held, reading.holdout),
    ):
        expected = KEPT * sample.size / (rows * share) if share > 0 else 1.0
        kept = sample if caching.fresh else sample.up_to(int(s.ALL * min(1.0, expected)))
        content["below"].append(str(kept.below))
        arrays[f"{name}.hashes"], arrays[f"{name}.buckets"] = kept.hashes, kept.buckets
        arrays[f"{name}.values"] = kept.values
    return content, arrays


@cache
def _triangle(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.tril_indices(size)


_PERIODS = ("keys", "n", "observed", "sums")


@cache
def _square(size: int) -> NDArray[np.intp]:
    """Where each element of a symmetric matrix is in its packed triangle."""
    place, triangle = np.zeros((size, size), np.intp), _triangle(size)
    place[triangle] = np.arange(len(triangle[0]))
    return np.maximum(place, place.T)


def _part(found: Stored, n_partitions: int) -> Part:
    content, arrays = found.content, found.arrays()
    ends = np.cumsum(arrays["n_nulls"]).tolist()
    q = arrays["low"].shape[1]
    buckets, at, done = [], 0, 0
    for i, end in enumerate(ends):
        nulls = arrays["nulls"][end - int(arrays["n_nulls"][i]) : end]
        size = q + len(nulls)
        if content["packed"]:
            length = size * (size + 1) // 2
            scatter = arrays["scatter"][done : done + length].take(_square(size))
        else:
            length = size * size
            scatter = arrays["scatter"][done : done + length].reshape(size, size)
        mean = arrays["mean"][at : at + size]
        low, high = arrays["low"][i], arrays["high"][i]
        n, weight = int(arrays["n"][i]), float(arrays["weight"][i])
        buckets.append(Moments(n, weight, mean, scatter, low, high, nulls))
        at, done = at + size, done + length
    sample, held = (
        s.Sample(
            content["size"],
            arrays[f"{name}.hashes"],
            arrays[f"{name}.buckets"],
            arrays[f"{name}.values"],
            int(below),
        )
        for name, below in zip(("sample", "held"), content["below"], strict=True)
    )
    counts: dict[str, Any] = {**content["counts"], "bytes_read": 0, "cached": n_partitions}
    periods, rows_of, observed, sums = (arrays[f"periods.{name}"] for name in _PERIODS)
    by_period = Periods(periods, rows_of, observed, sums, content["periods_whole"])
    return Part(BucketMoments(tuple(buckets)), sample, held, by_period, Counts(**counts))
