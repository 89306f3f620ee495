"""A library's LassoCV on given alphas, all rows in memory, and one scaler for all folds.

python -m benchmarks.peers.wide sklearn|celer FOLDER ALPHAS
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

MODULES = {"sklearn": "sklearn.linear_model", "celer": "celer"}


def main(library: str, folder: str, alphas: str) -> None:
    parts = [pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))]
    names = [name for name in parts[0].column_names if name != "y"]
    X = np.concatenate(
        [np.column_stack([part.column(n).to_numpy() for n in names]) for part in parts]
    )
    y = np.concatenate([part.column("y").to_numpy() for part in parts])
    del parts
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    lasso_cv = import_module(MODULES[library]).LassoCV
    model = lasso_cv(alphas=np.array(json.loads(Path(alphas).read_text())), cv=5, n_jobs=2)
    model.fit(np.asfortranarray(X), y)
    sys.stdout.write(json.dumps({"alpha": float(model.alpha_)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
