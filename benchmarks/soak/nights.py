"""The source of a soak: nights of files that come late, change or are emptied, and their scores."""

import datetime
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = ("a", "b", "c")
SCHEMA = pa.schema([("id", pa.int64()), *((name, pa.float64()) for name in (*FEATURES, "y"))])
FIRST = datetime.date(2026, 1, 1)
ROW_GROUP = 40
# Of each night, so that it is never refused for them: half of a night's rows may be bad.
BAD_SHARE = 0.05


def rows(rng: np.random.Generator, first_id: int, n: int, bad: bool = True) -> pa.Table:
    """Rows of a linear model; a few cannot be scored, as their ``a`` is infinite."""
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [5.0, -20.0, 1.0]
    y = X @ [2.0, -0.5, 30.0] + 7.0 + rng.normal(size=n)
    if bad:
        X[rng.random(n) < BAD_SHARE, 0] = np.inf
    return pa.table([pa.array(first_id + np.arange(n)), *map(pa.array, X.T), y], schema=SCHEMA)


@dataclass(frozen=True)
class Model:
    """A version of the model, as brute force needs it."""

    version: str
    intercept: float
    coef: dict[str, float]

    def predict(self, frame: pd.DataFrame) -> pd.Series:
        return self.intercept + sum(frame[name] * value for name, value in self.coef.items())


@dataclass
class Nights:
    """Folders ``date=...`` of files, and all that each night ever was."""

    folder: Path
    rng: random.Random
    snapshots: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    _files: dict[str, dict[str, pa.Table]] = field(default_factory=dict)
    _next_id: int = 0

    @property
    def dates(self) -> list[str]:
        return [*self.snapshots]

    def add(self) -> str:
        """A new night."""
        date = (FIRST + datetime.timedelta(days=len(self.snapshots))).isoformat()
        self.snapshots[date], self._files[date] = [], {}
        for number in range(self.rng.randint(1, 3)):
            self._write(date, f"part-{number}.parquet", self.rng.randint(1, 150))
        self._snap(date)
        return date

    def change(self, date: str) -> str:
        """A late file, a file with other rows, or one without rows; says which."""
        files = self._files[date]
        kind = self.rng.choice(["late", "replaced", "emptied"])
        name = f"late-{len(files)}.parquet" if kind == "late" else self.rng.choice([*files])
        self._write(date, name, 0 if kind == "emptied" else self.rng.randint(1, 150))
        self._snap(date)
        return f"{kind} {date}/{name}"

    def _write(self, date: str, name: str, n: int) -> None:
        table = rows(np.random.default_rng(self.rng.getrandbits(32)), self._next_id, n)
        self._next_id += n
        path = self.folder / f"date={date}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{name}.tmp")
        pq.write_table(table, staged, row_group_size=ROW_GROUP)
        staged.replace(path)
        self._files[date][name] = table

    def _snap(self, date: str) -> None:
        self.snapshots[date].append(pa.concat_tables(self._files[date].values()).to_pandas())

    def latest(self, date: str) -> int:
        return len(self.snapshots[date]) - 1

    def expected(self, date: str, snapshot: int, model: Model) -> pd.Series:
        """The predictions of a night by id, without the rows that cannot be scored."""
        frame = self.snapshots[date][snapshot]
        good = frame[np.isfinite(frame["a"])].sort_values("id")
        return model.predict(good).set_axis(good["id"])

    def bad(self, date: str, snapshot: int) -> set[int]:
        """The ids of the rows that cannot be scored."""
        frame = self.snapshots[date][snapshot]
        return set(frame["id"][~np.isfinite(frame["a"])])
