"""scikit-learn's LassoCV, all rows in memory, and one scaler for all folds.

python -m benchmarks.peers.train_sklearn FOLDER
"""

import json
import sys

import pyarrow.parquet as pq
from sklearn.linear_model import LassoCV
from sklearn.preprocessing import StandardScaler


def main(folder: str) -> None:
    table = pq.read_table(folder)
    names = [name for name in table.column_names if name not in ("row_id", "y")]
    X = table.select(names).to_pandas().to_numpy()
    y = table.column("y").to_numpy()
    del table
    X = StandardScaler(copy=False).fit_transform(X)
    model = LassoCV(cv=5, alphas=100, copy_X=False, n_jobs=2).fit(X, y)
    per_sd = dict(zip(names, model.coef_.tolist(), strict=True))
    sys.stdout.write(json.dumps({"alpha": float(model.alpha_), "per_sd": per_sd}))


if __name__ == "__main__":
    main(sys.argv[1])
