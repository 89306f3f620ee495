"""The estimator beside scikit-learn's of the same name, on the same rows in memory.

python -m benchmarks.estimator lasso_jobs|sklearn.linear_model ROWS FEATURES
"""

import argparse
import json
import sys
import time
from importlib import import_module

import numpy as np

from benchmarks.processes import median, peak, table, take_turns

MODULES = ("lasso_jobs", "sklearn.linear_model")
AT_ONCE = 100_000


def estimator(options: argparse.Namespace) -> None:
    """Fit LassoCV, ours and scikit-learn's: CPU seconds of the fit, and memory with the rows."""
    size = [str(options.rows), str(options.features)]
    cases = {name: ["-m", "benchmarks.estimator", name, *size] for name in MODULES}
    runs = take_turns(cases, options.repeat)
    fits = {name: median(runs[name], lambda run: json.loads(run.output)["cpu"]) for name in MODULES}
    alphas = [json.loads(runs[name][0].output)["alpha"] for name in MODULES]
    rows = [(n, fits[n], fits[n] / fits[MODULES[0]], f"{peak(runs[n]):,.0f}") for n in MODULES]
    head = f"{options.rows:,} rows x {options.features} features, medians of {options.repeat}"
    sys.stdout.write(
        f"{head}\n\n{table(('LassoCV', 'CPU seconds', 'x ours', 'peak MiB'), *rows)}\n"
    )
    sys.stdout.write(f"alphas {alphas[0]:.9g} and {alphas[1]:.9g}\n")


def _fit(module: str, n_rows: int, n_features: int) -> None:
    rng = np.random.default_rng(0)
    X = np.empty((n_rows, n_features))
    for start in range(0, n_rows, AT_ONCE):
        X[start : start + AT_ONCE] = rng.normal(size=X[start : start + AT_ONCE].shape)
    y = X[:, :10] @ rng.normal(size=min(10, n_features)) + 3 * rng.normal(size=n_rows)
    model = import_module(module).LassoCV(cv=5)
    model.fit(X[:1_000], y[:1_000])  # what is loaded and compiled once
    start = time.process_time()
    model.fit(X, y)
    found = {"cpu": time.process_time() - start, "alpha": float(model.alpha_)}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _fit(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
