"""A library's cross-validation on given alphas, all rows in memory, and one scaler for all folds.

python benchmarks/peers/wide.py scikit-learn|celer|adelie|glmnet FOLDER ALPHAS

Runs in an environment that need not have this project. Prints the chosen alpha and the coefficients
per standard deviation.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

FOLDS, THREADS = 5, 2
Found = tuple[float, Any]


def _lasso_cv(module: str) -> Callable[[Any, Any, Any], Found]:
    def fit(X: Any, y: Any, alphas: Any) -> Found:
        model = import_module(module).LassoCV(alphas=alphas, cv=FOLDS, n_jobs=THREADS)
        model.fit(X, y)
        return model.alpha_, model.coef_

    return fit


def _adelie(X: Any, y: Any, alphas: Any) -> Found:
    ad = import_module("adelie")
    # It makes its own grid, which has these ends.
    path = {"min_ratio": alphas[-1] / alphas[0], "lmda_path_size": len(alphas)}
    glm, how = ad.glm.gaussian(y=y), {"n_threads": THREADS, "progress_bar": False}
    found = ad.cv_grpnet(X=X, glm=glm, n_folds=FOLDS, seed=0, **path, **how)
    state = found.fit(X=X, glm=glm, lmda_path_size=found.best_idx + 1, **how)
    return found.lmdas[found.best_idx], state.betas[-1].toarray().ravel()


def _glmnet(X: Any, y: Any, alphas: Any) -> Found:
    model = import_module("glmnet").ElasticNet(
        alpha=1,
        lambda_path=alphas,
        standardize=False,
        n_splits=FOLDS,
        cut_point=0,
        scoring="mean_squared_error",
        n_jobs=THREADS,
    )
    model.fit(X, y)
    return float(np.ravel(model.lambda_best_)[0]), model.coef_


FITS = {
    "scikit-learn": _lasso_cv("sklearn.linear_model"),
    "celer": _lasso_cv("celer"),
    "adelie": _adelie,
    "glmnet": _glmnet,
}


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
    grid = np.array(json.loads(Path(alphas).read_text()))
    alpha, coef = FITS[library](np.asfortranarray(X), y, grid)
    active = {names[j]: float(coef[j]) for j in np.flatnonzero(coef)}
    sys.stdout.write(json.dumps({"alpha": float(alpha), "per_sd": active}))


if __name__ == "__main__":
    main(*sys.argv[1:])
