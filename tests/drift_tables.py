"""Drift tables as scoring runs write them: of as many features and nights as asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

F, S = pa.float64(), pa.string()
SCHEMA = pa.schema(
    [
        ("run_id", S),
        ("scored_at", pa.timestamp("us", "UTC")),
        *(
            (name, S)
            for name in ("model", "model_version", "partition", "segment", "feature", "kind")
        ),
        ("n", pa.int64()),
        ("missing_share", F),
        ("reference_missing_share", F),
        ("n_nonfinite", pa.int64()),
        *(
            (name, F)
            for name in ("minimum", "maximum", "mean", "sd", "reference_mean", "reference_sd")
        ),
        *((name, F) for name in ("psi", "ks", "js", "wasserstein", "chi2")),
        *(
            (name, F)
            for name in ("out_of_range_share", "unseen_share", "score_shift", "variance_shift")
        ),
        *((name, F) for name in ("net_shift", "shift_share")),
        ("bins", pa.list_(S)),
        ("counts", pa.list_(pa.int64())),
        ("reference_shares", pa.list_(F)),
        *((name, F) for name in ("shift_limit", "psi_limit", "missing_limit")),
        *((name, F) for name in ("usual_shift", "ewma_shift", "ewma_limit")),
        ("unseen_season", S),
        *((name, S) for name in ("raised", "verdict", "reason", "acknowledged")),
    ]
)
START = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
Rows = list[dict[str, Any]]


def a_row(feature: str, shift: float = 0.0, seed: int = 0, **values: Any) -> dict[str, Any]:
    """A numeric feature whose mean of 20 (sd 4, coefficient 2) has moved by half the shift."""
    rng = np.random.default_rng([seed, len(feature)])
    edges = 20 + 4 * np.array([-1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28])
    now = rng.normal(20 + shift / 2, 4, 950)
    counts = np.histogram(now, [-np.inf, *edges, np.inf])[0].tolist()
    labels = [f"{e:.1f}" for e in edges]
    inner = [f"[{a}, {b})" for a, b in pairwise(labels)]
    return {
        "segment": "",
        "feature": feature,
        "kind": "numeric",
        "n": 1000,
        "missing_share": 0.05,
        "reference_missing_share": 0.04,
        "n_nonfinite": 0,
        "minimum": float(now.min()),
        "maximum": float(now.max()),
        "mean": 20 + shift / 2,
        "sd": 4.1,
        "reference_mean": 20.0,
        "reference_sd": 4.0,
        "psi": 0.01 + abs(shift) / 20,
        "ks": 0.02 + abs(shift) / 40,
        "js": 0.03,
        "wasserstein": abs(shift) / 8,
        "out_of_range_share": 0.001,
        "score_shift": shift,
        "net_shift": shift,
        "variance_shift": shift / 10,
        "bins": [f"< {labels[0]}", *inner, f">= {labels[-1]}", "missing"],
        "counts": [*counts, 50],
        "reference_shares": [0.096] * 10 + [0.04],
        "shift_limit": 2.0,
        "psi_limit": 0.25,
        "missing_limit": 0.1,
        "raised": "ok",
        "verdict": "ok",
        "reason": f"PSI {0.01 + abs(shift) / 20:.3f}, mean prediction moved by {shift:+.3g}",
        **values,
    }


def a_category(
    feature: str, levels: Sequence[str], shift: float = 0.0, seed: int = 0
) -> dict[str, Any]:
    """A category whose last level has become rarer."""
    rng = np.random.default_rng([seed, len(feature)])
    then = rng.dirichlet(np.ones(len(levels)) * 3)
    now = np.array([*then[:-1], then[-1] / 3])
    counts = np.floor(now / now.sum() * 980).astype(int).tolist()
    nothing = ("minimum", "maximum", "mean", "sd", "reference_mean", "reference_sd", "wasserstein")
    return a_row(
        feature,
        shift,
        kind="categorical",
        n=sum(counts) + 10,
        chi2=0.08,
        unseen_share=0.01,
        bins=[*levels, "(other)", "unseen", "missing"],
        counts=[*counts, 0, 10, 0],
        reference_shares=[*then.tolist(), 0.0, 0.0, 0.0],
        **dict.fromkeys(nothing),
    )


def write_run(
    root: Path | str, index: int, rows: Rows, partition: str | None = None, version: str = "v3"
) -> str:
    """Write a run's rows, of night `index` unless the partition is given; return its id."""
    run_id = f"{index:02d}{'ab' * 31}"
    night = f"date=2024-01-{1 + index:02d}"
    of_run = {
        "run_id": run_id,
        "scored_at": START + timedelta(days=index),
        "model": "shop-sales",
        "model_version": version,
        "partition": partition or night,
    }
    table = pa.Table.from_pylist([{**of_run, **row} for row in rows], SCHEMA)
    write_deltalake(str(root), table, partition_by=["run_id"], mode="append")
    return run_id


def a_night(index: int, shift: float = 0.0, verdict: str = "ok", n_noise: int = 3) -> Rows:
    """Three features that count, some that hardly do, two segments; the first feature shifts."""
    small = np.random.default_rng(index).normal(0, 0.4, 3 + n_noise)
    features = [
        a_row("price", shift + small[0], index, raised=verdict, verdict=verdict),
        a_row("visits", float(small[1]), index),
        a_category("store", ["north", "south", "east", "west"], float(small[2]), index),
        *(a_row(f"noise_{j}", float(small[3 + j]) / 9, index) for j in range(n_noise)),
    ]
    total = float(sum(row["score_shift"] for row in features))
    unjudged = {"shift_limit": None, "psi_limit": None, "missing_limit": None}
    prediction = a_row(
        "prediction",
        kind="prediction",
        mean=31.5 + total,
        reference_mean=31.5,
        score_shift=total,
        raised=verdict,
        verdict=verdict,
    )
    parts = [
        {**row, "segment": f"region={name}", "verdict": "ok", "raised": "ok", **unjudged}
        for name, row in (
            *(("coast", row) for row in (features[0], prediction)),
            *(("(null)", row) for row in (features[1], prediction)),
        )
    ]
    return [*features, prediction, *parts]


def write_nights(root: Path | str, n_nights: int, shift: float = 6.0) -> list[str]:
    """Quiet nights, and an alarm on the last; return the runs' ids."""
    last = n_nights - 1
    return [
        write_run(root, i, a_night(i, shift, "alarm") if i == last else a_night(i))
        for i in range(n_nights)
    ]
