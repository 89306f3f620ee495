"""Says what a training is expected to cost, by what the newest version of its model has cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from lasso_jobs.errors import FormatError
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.training.engine import Engine

USUAL_SCANS = 6
"""How often a screened training looks at all columns, in most of the benchmarks."""
LOOKED_AT = 5
"""How many versions may have had their cost measured, which those that find rows in the cache have
not."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What to expect.

    Parameters
    ----------
    scans : int
        How often all columns are looked at: from the files, or in memory.
    seconds : float or None
        Until the model is registered; None before some version has read all of its data.
    """

    scans: int
    seconds: float | None


def outlook(registry: str, name: str, engine: Engine, n_bytes: int) -> Outlook:
    """By the newest version that was trained in the same way.

    Parameters
    ----------
    registry, name : str
        Of the model.
    engine : {"all", "screened"}
    n_bytes : int
        Of the columns in the files.
    """
    screened = engine == "screened"
    for version in _newest(Registry(registry), name):
        record, cost = version.model.certificate.screening, version.provenance
        if (record is not None) == screened and cost.get("seconds"):
            seconds = float(cost["seconds"]) * n_bytes / float(cost["bytes_to_read"])
            return Outlook(1 if record is None else record.n_scans, seconds)
    return Outlook(USUAL_SCANS if screened else 1, None)


def _newest(registry: Registry, name: str) -> Iterator[Registered]:
    for version in reversed(registry.versions(name)[-LOOKED_AT:]):
        try:
            yield registry.load(f"{name}@v{version}")
        except FormatError:  # from before an upgrade, as are those before it
            return
