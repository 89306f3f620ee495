"""Describes the service for programs, by OpenAPI, and for people, as a page that loads nothing."""

from typing import Any

from lasso_jobs import __version__
from lasso_jobs.models.intervals import in_words
from lasso_jobs.pages import page
from lasso_jobs.serving.answer import ServedModel
from lasso_jobs.serving.fields import Field
from lasso_jobs.storage.json_text import json_text

ENDPOINTS = (
    ("POST", "/predict", "One row, as an object, or several, as a list of objects"),
    (
        "POST",
        "/invocations",
        "Rows in MLflow's forms: dataframe_split, dataframe_records, "
        "instances or inputs; or text/csv with a header",
    ),
    ("GET", "/ping", "200 while a model answers"),
    ("GET", "/version", "The model, its version and digest, and this software's version"),
    ("GET", "/v2/health/live", "200 while the process answers"),
    ("GET", "/v2/health/ready", "200 while a model answers; says whether its registry can be read"),
    ("GET", "/metrics", "Counts and times, for Prometheus"),
    ("GET", "/openapi.json", "This description, for programs"),
)
_NULLABLE_NUMBER = {"type": ["number", "null"]}


def schema_of(field: Field) -> dict[str, Any]:
    """The JSON schema of a field."""
    schema: dict[str, Any] = {"description": field.in_words()}
    if field.example is not None:
        schema["examples"] = [field.example]
    if field.vector is not None and field.vector.tokens is None:
        length = field.vector.length
        several = {"type": "array", "items": _NULLABLE_NUMBER}
        whole = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        parts = {"indices": whole, "values": several, "size": {"type": "integer"}}
        return schema | {
            "anyOf": [
                {**several, "minItems": length, "maxItems": length},
                {"type": "object", "properties": parts, "required": ["indices", "values"]},
                {"type": "null"},
            ]
        }
    if "texts" in field.kinds:
        return schema | {"type": ["array", "null"], "items": {"type": "string"}}
    if field.is_text or field.is_time:
        return schema | {"type": ["string", "null"]}
    types = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string"}
    return schema | {"type": [*(types[k] for k in field.kinds if k in types), "null"]}


def description(served: ServedModel, most_rows: int) -> dict[str, Any]:
    """The OpenAPI document of the version that answers now."""
    model = served.registered.model
    row = {
        "type": "object",
        "properties": {each.name: schema_of(each) for each in served.fields},
        "required": [each.name for each in served.needed],
        "examples": [example(served)],
    }
    several = {"type": "array", "maxItems": most_rows, "items": _ref("Row")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model.name,
            "version": served.model_version,
            "description": f"Predictions of {model.target} by {model.name}.",
        },
        "paths": {
            "/predict": _post(
                ENDPOINTS[0][2],
                {"application/json": {"schema": {"anyOf": [_ref("Row"), several]}}},
                {"anyOf": [_ref("Prediction"), _ref("Predictions")]},
            ),
            "/invocations": _post(
                ENDPOINTS[1][2],
                {
                    "application/json": {"schema": _invocation(several)},
                    "text/csv": {"schema": {"type": "string"}},
                },
                _ref("Predictions"),
            ),
            **{
                path: {"get": {"summary": text, "responses": {"200": {"description": "OK"}}}}
                for method, path, text in ENDPOINTS
                if method == "GET"
            },
        },
        "components": {"schemas": {"Row": row, **_answers()}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _invocation(several: dict[str, Any]) -> dict[str, Any]:
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["columns", "data"],
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": several,
        "instances": several,
        "inputs": {"type": "object", "additionalProperties": {"type": "array"}},
    }
    one = [{"type": "object", "properties": {f: s}, "required": [f]} for f, s in forms.items()]
    return {"oneOf": one}


def _post(text: str, content: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    explain = {
        "name": "contributions",
        "in": "query",
        "schema": {"type": "boolean"},
        "description": "Whether each row says what each feature adds to its prediction",
    }
    refused = {
        "400": "The body cannot be parsed",
        "401": "The token is missing or wrong",
        "413": "The body or the number of rows is too large",
        "415": "The content type is not one of those above",
        "422": "A field is missing, or its value is of another type than in training",
    }
    errors = {
        status: {"description": said, "content": {"application/json": {"schema": _ref("Error")}}}
        for status, said in refused.items()
    }
    done = {"description": "Predictions", "content": {"application/json": {"schema": answer}}}
    return {
        "post": {
            "summary": text,
            "parameters": [explain],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": done, **errors},
        }
    }


def _answers() -> dict[str, Any]:
    """The schemas of answers."""
    text = {"type": "string"}
    row = {
        "prediction": _NULLABLE_NUMBER,
        "prediction_low": _NULLABLE_NUMBER,
        "prediction_high": _NULLABLE_NUMBER,
        "notes": {"type": "array", "items": text},
        "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
        "error": {
            "type": "object",
            "properties": dict.fromkeys(("reason", "column", "message"), text),
        },
    }
    whole = {
        "model": text,
        "model_version": text,
        "base_value": {"type": "number"},
        "no_intervals": text,
        "ignored_fields": {"type": "array", "items": text},
    }
    rows = {"type": "array", "items": {"type": "object", "properties": row}}
    parts = ("error", "where", "found", "expected", "remedy")
    return {
        "Prediction": {"type": "object", "properties": {**whole, **row}},
        "Predictions": {"type": "object", "properties": {**whole, "predictions": rows}},
        "Error": {"type": "object", "properties": dict.fromkeys(parts, text)},
    }


def example(served: ServedModel) -> dict[str, Any]:
    """A row that the model takes."""
    return {each.name: each.example for each in served.fields}


def docs(served: ServedModel, address: str, needs_token: bool) -> str:
    """The page for people."""
    token = "-H 'Authorization: Bearer TOKEN' " if needs_token else ""
    body = json_text(example(served), ascii=False).replace("'", "'\\''")
    return page.render(
        "service.html",
        title=f"{served.registered.model.name} {served.model_version}",
        served=served,
        model=served.registered.model,
        intervals=in_words(served.registered.model.holdout),
        endpoints=ENDPOINTS,
        command=f"curl {token}-H 'Content-Type: application/json' -d '{body}' {address}predict",
        version=__version__,
    )
