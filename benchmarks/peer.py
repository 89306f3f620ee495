"""The same training with scikit-learn's LassoCV, all rows in memory.

    python -m benchmarks.peer FOLDER

Prints the alpha and the coefficients in original units, as JSON.
"""

import json
import sys

import pyarrow.parquet as pq
from sklearn.linear_model import LassoCV
from sklearn.preprocessing import StandardScaler


def main(folder: str) -> None:
    table = pq.read_table(folder)
    names = [name for name in table.column_names if name != "y"]
    X = table.select(names).to_pandas().to_numpy()
    y = table.column("y").to_numpy()
    del table
    scaler = StandardScaler(copy=False)
    model = LassoCV(cv=5, alphas=100, copy_X=False, n_jobs=2).fit(scaler.fit_transform(X), y)
    coef = dict(zip(names, (model.coef_ / scaler.scale_).tolist(), strict=True))
    print(json.dumps({"alpha": model.alpha_, "coef": coef}))


if __name__ == "__main__":
    main(sys.argv[1])
