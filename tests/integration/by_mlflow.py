"""Loads a registered model as a user of MLflow does; run by the interpreter that has MLflow."""

import json
import sys

import mlflow
import numpy as np
import pandas as pd

uri, model, rows, out = sys.argv[1:]
mlflow.set_tracking_uri(uri)
np.save(out, mlflow.pyfunc.load_model(model).predict(pd.read_pickle(rows)))
assert not [name for name in sys.modules if name.partition(".")[0] == "lasso_jobs"]
client = mlflow.MlflowClient()
name, _, alias = model.removeprefix("models:/").partition("@")
version = client.get_model_version_by_alias(name, alias)
run = client.get_run(version.run_id)
facts = {
    "version": version.version,
    "tags": version.tags,
    "params": run.data.params,
    "metrics": run.data.metrics,
    "status": run.info.status,
    "artifacts": [item.path for item in client.list_artifacts(version.run_id)],
}
sys.stdout.write(json.dumps(facts) + "\n")
