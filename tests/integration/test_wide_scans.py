"""How often a screened training looks at all columns: on simulated linkage, where neighbours tell.

Columns follow each other as an autoregression of 0.5; some of them, at random places, have normal
coefficients, and the noise has the variance of the signal.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob, train

pytestmark = pytest.mark.integration
N, P, RHO = 1_000, 20_000, 0.5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("n_true", "most", "seed"), [(20, 6, 0), (100, 9, 0)])
def test_scans_of_simulated_linkage(tmp_path: Path, n_true: int, most: int, seed: int) -> None:
    rng = np.random.default_rng([seed, n_true])
    X = rng.normal(size=(P, N)).astype(np.float32)
    for j in range(1, P):
        X[j] = RHO * X[j - 1] + np.sqrt(1 - RHO**2) * X[j]
    true = rng.choice(P, n_true, replace=False)
    signal = rng.normal(size=n_true) @ X[true]
    y = signal + rng.normal(size=N) * signal.std()
    rows = pa.FixedSizeListArray.from_arrays(pa.array(X.T.ravel()), P)
    del X
    (tmp_path / "data").mkdir()
    for i, part in enumerate(np.array_split(np.arange(N), 4)):
        table = pa.table({"v": rows.take(pa.array(part)), "y": y[part]})
        pq.write_table(table, tmp_path / "data" / f"{i}.parquet")
    values = {
        "name": "linkage",
        "data": {"path": str(tmp_path / "data")},
        "target": "y",
        "holdout": None,
        "stability": None,
        "cache": False,
        "registry": str(tmp_path / "models"),
    }
    model = train(TrainJob.from_values(values), workers=2).model
    record = model.certificate.screening
    assert record is not None and (record.n_columns, record.stopped) == (P, "turned")
    assert record.n_scans <= most, (record.n_scans, len(model.curve.alphas))
    assert record.worst_violation <= 1e-10
