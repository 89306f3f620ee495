"""Reads work units, or takes from the cache what earlier trainings left of them.

The cache keeps more than the units: it keeps nodes of the tree in which they are merged. A node is
of some units that follow each other, its key is a hash of its halves' keys, and so of all that it
is of. A training with one more file, or one less, finds all nodes but those that the file is in.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from lasso_jobs.core.merge_tree import MergeTree, by_priority
from lasso_jobs.core.rows.buckets import text_key
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.training.read.cache_folder import Cache, StoredEntry
from lasso_jobs.training.read.read_identity import joined_key

KEPT_UNITS = 4
"""A node of fewer work units is merged again from these: so there are entries of about two nodes
for five units, whose bytes are about those of the units' own entries."""


@dataclass(frozen=True, slots=True)
class Caching:
    """Where and how a training uses the cache.

    Parameters
    ----------
    registry : str
    n_rows : int
        Of the dataset; it decides how much of the samples an entry keeps.
    apart : bool
        Whether only entries of one work unit are taken, which keep more of the samples.
    fresh : bool
        Whether everything is read anew, and entries keep the whole samples.
    """

    registry: str
    n_rows: int
    apart: bool = False
    fresh: bool = False

    def takes(self, span: "Span") -> bool:
        """Whether an entry of these units together would be taken."""
        return span.kept and not self.fresh and (span.n_units == 1 or not self.apart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Work units that follow each other: what an entry is of.

    Parameters
    ----------
    first : WorkUnit
    n_units : int
    rows : int
        Of all, before any row filter.
    piece_rows : int
        Of the largest piece.
    key : str
        What identifies their read; nothing without a cache.
    kept : bool
        Whether the cache keeps them together.
    """

    first: WorkUnit
    n_units: int
    rows: int
    piece_rows: int
    key: str
    kept: bool = True

    @classmethod
    def of(cls, unit: WorkUnit, key: str = "") -> "Span":
        """One work unit."""
        most = max(piece.rows for piece in unit.pieces)
        return cls(first=unit, n_units=1, rows=unit.rows, piece_rows=most, key=key)

    def joined(self, right: "Span") -> "Span":
        """These units, and those of a span that follows."""
        n_units = self.n_units + right.n_units
        return Span(
            first=self.first,
            n_units=n_units,
            rows=self.rows + right.rows,
            piece_rows=max(self.piece_rows, right.piece_rows),
            key=joined_key(self.key, right.key) if self.key else "",
            kept=n_units >= KEPT_UNITS,
        )

    def __str__(self) -> str:
        more = f" and {self.n_units - 1} more work units" if self.n_units > 1 else ""
        return f"{self.first}{more}"


Result = TypeVar("Result")
Spans = MergeTree[Span]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node of a tree of spans that is not looked into: the cache has it, or it is a unit.

    Parameters
    ----------
    tree : MergeTree of Span
        What is read if the cache has lost it after all.
    kept : bool
        Whether the cache has it.
    """

    tree: Spans
    kept: bool

    def __str__(self) -> str:
        return str(self.tree.item)


Cover = MergeTree[Any]
"""Its leaves have a `Leaf`, other nodes a `Span`."""


class CachedRead(ABC, Generic[Result]):
    """A read of work units that looks into the cache first; a callable for workers."""

    caching: Caching | None

    def tree(self, units: Sequence[WorkUnit]) -> Spans:
        """In which order the units are merged.

        The gap behind a unit is that behind the last row group in it, whatever else the unit has.
        """
        caching = self.caching
        keys = [""] * len(units) if caching is None else self.keys(units)
        spans = [Span.of(unit, key) for unit, key in zip(units, keys, strict=True)]
        tree = by_priority(spans, [_priority(unit) for unit in units], Span.joined)
        return replace(tree, item=replace(tree.item, kept=True))

    def cover(self, tree: Spans) -> Cover:
        """The upper part of a tree, down to the nodes that the cache has, and to units."""
        if self.caching is None:
            return _upper(tree, lambda _: False)
        holds = Cache(self.caching.registry).holds()
        return _upper(tree, lambda span: holds(span.key) and any(self._fitting(span)))

    def __call__(self, leaf: Leaf) -> Result:
        """Take what the cache has of a leaf, or read its units."""
        return self._result(leaf.tree)

    def _result(self, tree: Spans) -> Result:
        result = self.load(tree.item)
        if result is None and tree.halves:
            left, right = tree.halves
            return self.merged(self._result(left), self._result(right), tree.item)
        if result is None:
            result = self.read(tree.item.first)
            self.store(tree.item, result)
        return result

    def loaded(self, cover: Cover) -> Result | None:
        """What the leaves of a cover leave together; None if the cache lacks one after all."""
        if not cover.halves:
            return self.load(cover.item.tree.item)
        left, right = (self.loaded(half) for half in cover.halves)
        return None if left is None or right is None else self.merged(left, right, cover.item)

    def merged(self, left: Result, right: Result, span: Span) -> Result:
        """Two halves of a span together, which the cache keeps if they are many units."""
        result = self.merge(left, right)
        self.store(span, result)
        return result

    def load(self, span: Span) -> Result | None:
        """What the cache has of some units together."""
        if self.caching is None:
            return None
        cache = Cache(self.caching.registry)
        for entry in self._fitting(span):
            data = cache.whole(entry.place)
            if data is not None:
                return self.from_entry(entry, data, span)
        return None

    def store(self, span: Span, result: Result) -> None:
        """Put a result into the cache, if there is one and it keeps such spans."""
        if self.caching is not None and span.kept:
            header, body = self.entry(result, span, self.caching)
            Cache(self.caching.registry).save(span.key, header, body)

    def _has(self) -> Callable[[Span], bool]:
        if self.caching is None or self.caching.fresh:
            return lambda _: False
        holds = Cache(self.caching.registry).holds()
        return lambda span: holds(span.key) and any(self._fitting(span))

    def _fitting(self, span: Span) -> Iterable[StoredEntry]:
        if self.caching is None or not self.caching.takes(span):
            return ()
        entries = Cache(self.caching.registry).find(span.key)
        return (entry for entry in self.preferred(entries) if self.fits(entry, span))

    def preferred(self, entries: Iterable[StoredEntry]) -> Iterable[StoredEntry]:
        """The entries of one key, the best first."""
        return entries

    @abstractmethod
    def read(self, unit: WorkUnit) -> Result:
        """Read its files."""

    @abstractmethod
    def merge(self, left: Result, right: Result) -> Result:
        """Two results of units that follow each other."""

    @abstractmethod
    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the read of each unit, but for its columns."""

    @abstractmethod
    def entry(self, result: Result, span: Span, caching: Caching) -> tuple[object, object]:
        """Header and body of the entry that keeps a result."""

    @abstractmethod
    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Whether an entry has what is read."""

    @abstractmethod
    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> Result:
        """The result that an entry keeps which fits, from all of its bytes."""


def _priority(unit: WorkUnit) -> int:
    last = unit.pieces[-1]
    groups = last.row_groups
    return text_key(f"{last.file.name}\0{groups[-1] if groups else 0}", 1)


def _upper(tree: Spans, has: Callable[[Span], bool]) -> Cover:
    kept = has(tree.item)
    if kept or not tree.halves:
        return MergeTree(Leaf(tree, kept))
    left, right = tree.halves
    return MergeTree(tree.item, (_upper(left, has), _upper(right, has)))
