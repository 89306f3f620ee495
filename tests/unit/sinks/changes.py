"""The change that the tests of sinks commit, of a table of ``p`` and ``x``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lasso_jobs.sinks.protocol import Change, WrittenFile

SCHEMA = pa.schema([("p", pa.string()), ("x", pa.int64())])


def change(root: str | Path, files: Sequence[WrittenFile] = (), **fields: Any) -> Change:
    """A change of partitions by ``p`` in the run "run", unless `fields` say otherwise."""
    usual = {"schema": SCHEMA, "partition_by": ["p"], "run_id": "run"}
    return Change(root=str(root), files=files, **{**usual, **fields})
