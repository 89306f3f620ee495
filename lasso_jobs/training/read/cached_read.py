"""Reads a work unit, or takes from the cache what an earlier training left of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.training.read.cache_folder import Cache, StoredEntry


@dataclass(frozen=True, slots=True)
class Caching:
    """Where and how a training uses the cache.

    Parameters
    ----------
    registry : str
    n_rows : int
        Of the dataset; it decides how much of the samples an entry keeps.
    fresh : bool
        Whether everything is read anew, and entries keep the whole samples.
    """

    registry: str
    n_rows: int
    fresh: bool = False


Result = TypeVar("Result")


class CachedRead(ABC, Generic[Result]):
    """A read of work units that looks into the cache first; a callable for workers."""

    caching: Caching | None

    def __call__(self, unit: WorkUnit) -> Result:
        """Read a work unit, or take what another training has left of it."""
        result = self.load([unit])
        if result is None:
            result = self.read(unit)
            self.store([unit], result)
        return result

    def load(self, units: Sequence[WorkUnit]) -> Result | None:
        """What the cache has of some units together."""
        if self.caching is None or self.caching.fresh:
            return None
        entries = Cache(self.caching.registry).find(self.key(units))
        results = (self.from_entry(entry, units) for entry in self.preferred(entries))
        return next((result for result in results if result is not None), None)

    def store(self, units: Sequence[WorkUnit], result: Result) -> None:
        """Put a result into the cache, if there is one."""
        if self.caching is not None:
            header, body = self.entry(result, units, self.caching)
            Cache(self.caching.registry).save(self.key(units), header, body)

    def preferred(self, entries: Iterable[StoredEntry]) -> Iterable[StoredEntry]:
        """The entries of one key, the best first."""
        return entries

    @abstractmethod
    def read(self, unit: WorkUnit) -> Result:
        """Read its files."""

    @abstractmethod
    def key(self, units: Sequence[WorkUnit]) -> str:
        """What identifies the read, but for its columns."""

    @abstractmethod
    def entry(
        self, result: Result, units: Sequence[WorkUnit], caching: Caching
    ) -> tuple[object, object]:
        """Header and body of the entry that keeps a result."""

    @abstractmethod
    def from_entry(self, entry: StoredEntry, units: Sequence[WorkUnit]) -> Result | None:
        """The result that an entry keeps; None if it cannot be used."""
