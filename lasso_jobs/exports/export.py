"""Exports a model in one of the formats, to a file or a folder, or as text."""

from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from lasso_jobs.errors import JobError, ModelError
from lasso_jobs.exports import coefficients, mlflow_folder
from lasso_jobs.exports.linear_form import linear_form
from lasso_jobs.models.model import Model
from lasso_jobs.training.report.store import save

Format = Literal["sql", "sklearn", "mlflow", "json", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
DIALECTS = ("duckdb", "postgres", "bigquery", "snowflake", "spark", "tsql")
"""Of SQL."""
DIALECT = "duckdb"
"""That of SQL if none is named."""
REFUSED = {
    "onnx": "its linear model and one-hot encoder compute in single precision, and its texts have "
    "no null, so that it would not predict the same",
    "pmml": "its readers are Java programs, with which no test here can compare a prediction",
}


def export_model(
    model: Model,
    format: str,
    path: str | Path | None = None,
    *,
    dialect: str | None = None,
    table: str | None = None,
) -> str:
    """Export a model, so that others predict with it without this package.

    Parameters
    ----------
    model : Model
    format : {"sql", "sklearn", "mlflow", "json", "csv"}
    path : str or Path, optional
        A file, or for ``mlflow`` a new folder; without it, the text is returned.
    dialect : {"duckdb", "postgres", "bigquery", "snowflake", "spark", "tsql"}, optional
        For ``sql``: DuckDB's by default.
    table : str, optional
        For ``sql``: write a query of this table's rows, with predictions and intervals, and not
        the prediction's expression alone.

    Returns
    -------
    str
        The path, or the text.

    Raises
    ------
    JobError
        If the options are wrong.
    ModelError
        If the format cannot have what the model has.
    OutputError
        If it cannot be written.

    Examples
    --------
    >>> from lasso_jobs import export_model, load_model
    >>> model = load_model("models", "sales")
    >>> print(export_model(model, "csv").splitlines()[0])
    kind,feature,column,part,element,type,level,coef,mean
    >>> export_model(model, "json", "sales.json")
    'sales.json'
    """
    place = None if path is None else str(path)
    check_options(format, place, dialect, table)
    if format == "mlflow" and place:
        mlflow_folder.write(model, place)
    elif format == "sklearn" and place:
        save(_joblib(model), place)
    else:
        text = _text(model, format, dialect or DIALECT, table)
        if place is None:
            return text
        save(text.encode(), place)
    return place


def check_options(
    format_: str, path: str | None, dialect: str | None, table: str | None = None
) -> None:
    """Refuse options of an export that cannot be right.

    Raises
    ------
    JobError
    """
    if format_ in REFUSED:
        why = f"{format_} is not offered: {REFUSED[format_]}"
        raise JobError("format", why, " or ".join(FORMATS), "Choose one of these")
    if format_ not in FORMATS:
        raise JobError("format", f"is {format_!r}", " or ".join(FORMATS), "Choose one of these")
    if format_ in ("sklearn", "mlflow") and not path:
        what = "a folder" if format_ == "mlflow" else "a file"
        raise JobError("output", "is not given", f"{what}, for {format_}", "Name one")
    for name, value in (("dialect", dialect), ("table", table)):
        if value is not None and format_ != "sql":
            raise JobError(name, f"is given with {format_}", "the format sql", "Leave it out")
    if dialect is not None and dialect not in DIALECTS:
        raise JobError("dialect", f"is {dialect!r}", " or ".join(DIALECTS), "Choose one of these")


def _text(model: Model, format_: str, dialect: str, table: str | None) -> str:
    form = linear_form(model)
    if format_ == "json":
        return coefficients.as_json(form)
    if format_ == "csv":
        return coefficients.as_csv(form)
    try:
        sql = import_module("lasso_jobs.exports.sql")
    except ImportError as error:
        raise ModelError(
            "sql",
            f"sqlglot cannot be imported ({error})",
            "the package sqlglot",
            "Run pip install 'lasso_jobs[sql]'",
        ) from error
    return str(sql.sql(form, dialect, table))


def _joblib(model: Model) -> bytes:
    import joblib

    file = BytesIO()
    joblib.dump(model.to_sklearn(), file)
    return file.getvalue()
