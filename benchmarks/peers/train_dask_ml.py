"""dask-ml's GridSearchCV over a scaler and scikit-learn's Lasso, 10 alphas only.

python -m benchmarks.peers.train_dask_ml FOLDER
"""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
from dask_ml.model_selection import GridSearchCV
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ALPHAS = 10


def main(folder: str) -> None:
    table = pq.read_table(folder)
    names = [name for name in table.column_names if name not in ("row_id", "y")]
    X, y = table.select(names).to_pandas().to_numpy(), table.column("y").to_numpy()
    largest = np.abs((X - X.mean(axis=0)).T @ (y - y.mean()) / X.std(axis=0)).max() / len(y)
    grid = {"lasso__alpha": np.geomspace(largest, largest * 1e-3, ALPHAS)}
    pipeline = make_pipeline(StandardScaler(), Lasso(precompute=True))
    search = GridSearchCV(pipeline, grid, cv=5, scoring="neg_mean_squared_error").fit(X, y)
    sys.stdout.write(json.dumps({"alpha": float(search.best_params_["lasso__alpha"])}))


if __name__ == "__main__":
    main(sys.argv[1])
