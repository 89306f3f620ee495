"""Writes a model as an MLflow model folder, without MLflow, and without a pickle.

The folder has the coefficients as JSON, and the module that predicts from them as its code. It is
written beside its place and renamed, so that it is there whole or not at all.
"""

import shutil
import uuid
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from lasso_jobs.errors import OutputError
from lasso_jobs.exports.coefficients import as_json
from lasso_jobs.exports.linear_form import Levels, LinearForm, Term, linear_form
from lasso_jobs.models.model import Model
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.json_text import json_text
from lasso_jobs.storage.remote import is_uri

# Of the format's number: MLflow imports it by this name, once in a process.
_LOADER = "lasso_jobs_coefficients_1"
_COEFFICIENTS, _EXAMPLE = "coefficients.json", "input_example.json"
_PYTHON = "3.11"


def write(model: Model, path: str) -> None:
    """Write the folder.

    Raises
    ------
    ModelError
        If the model has what coefficients cannot say.
    OutputError
        If there is something at its place, or it cannot be written.
    """
    form, place = linear_form(model), Path(path)
    if is_uri(path) or place.exists():
        found = "is a URI" if is_uri(path) else "is there already"
        raise OutputError(path, found, "a new folder on this machine", "Name another place")
    with as_output_error(path, "a place that can be written to", "Name another place"):
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
        try:
            _write_files(form, part)
            part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _write_files(form: LinearForm, folder: Path) -> None:
    (folder / "code").mkdir(parents=True)
    loader = resources.files("lasso_jobs.exports").joinpath("mlflow_loader.py").read_text("utf-8")
    requirements = [f"{name}=={version(name)}" for name in ("numpy", "pandas")]
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={_PYTHON}", "pip", {"pip": ["mlflow", *requirements]}],
    }
    python = {"python": _PYTHON, "build_dependencies": ["pip"]}
    python["dependencies"] = ["-r requirements.txt"]
    files = {
        f"code/{_LOADER}.py": loader,
        _COEFFICIENTS: as_json(form),
        _EXAMPLE: json_text(_example(form)),
        "requirements.txt": "\n".join(["mlflow", *requirements, ""]),
        "conda.yaml": yaml.safe_dump(conda, sort_keys=False),
        "python_env.yaml": yaml.safe_dump(python, sort_keys=False),
        "MLmodel": yaml.safe_dump(_description(form), sort_keys=False),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _description(form: LinearForm) -> dict[str, Any]:
    return {
        "flavors": {
            "python_function": {
                "loader_module": _LOADER,
                "code": "code",
                "data": _COEFFICIENTS,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": _PYTHON,
            }
        },
        "metadata": {"lasso_jobs_model": form.model, "lasso_jobs_digest": form.digest},
        "model_uuid": uuid.uuid4().hex,
        "saved_input_example_info": {
            "artifact_path": _EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
        },
        "signature": {
            "inputs": json_text(_inputs(form)),
            "outputs": json_text([{"type": "double", "required": True}]),
            "params": None,
        },
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }


def _inputs(form: LinearForm) -> list[dict[str, Any]]:
    types = {term.column: _type(term) for term in form.terms}
    return [{"name": name, "required": True, **type_} for name, type_ in types.items()]


def _type(term: Term) -> dict[str, Any]:
    if term.part is not None:
        return {"type": "datetime"}
    if isinstance(term, Levels):
        # Integers with a null are doubles in pandas, which MLflow makes no integers of.
        types = {"string": "string", "boolean": "boolean", "integer": "double"}
        return {"type": types[term.type]}
    if term.element is not None:
        # MLflow takes a row without an array in a column that may be left out, and in no other.
        return {"type": "array", "items": {"type": "double"}, "required": False}
    return {"type": "double"}


def _example(form: LinearForm) -> dict[str, Any]:
    """A row: the means of numbers, and the first level of each category."""
    row: dict[str, Any] = {}
    for term in form.terms:
        if term.part is not None:
            row[term.column] = "2024-01-01T00:00:00"
        elif isinstance(term, Levels):
            row[term.column] = _level(term)
        elif term.element is not None:
            row.setdefault(term.column, []).extend(
                [0.0] * (term.element + 1 - len(row.get(term.column, [])))
            )
            row[term.column][term.element] = term.mean or 0.0
        else:
            row[term.column] = term.mean or 0.0
    return {"columns": list(row), "data": [list(row.values())]}


def _level(term: Levels) -> str | float | bool | None:
    if not term.levels:
        return None
    level = next(iter(term.levels))
    if term.type == "integer":
        return float(level)
    return level == "true" if term.type == "boolean" else level
