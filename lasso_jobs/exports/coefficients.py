"""Writes a model's coefficients as JSON or CSV, from which any language predicts in twenty lines.

The page "Hand the model on" of the documentation says what each field means.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

from lasso_jobs.exports.linear_form import LinearForm, Number
from lasso_jobs.storage.json_text import json_text

FORMAT = 1
"""The number of the format; it changes when a reader of the last one would go wrong."""

CSV_COLUMNS = ("kind", "feature", "column", "part", "element", "type", "level", "coef", "mean")


def as_json(form: LinearForm) -> str:
    """The model as one JSON object."""
    return json_text({"format": FORMAT, **as_values(form)}, indent=2) + "\n"


def as_values(form: LinearForm) -> dict[str, Any]:
    """The same as plain values."""
    terms = [
        {
            **_kept(dataclasses.asdict(term)),
            **({"type": "number"} if isinstance(term, Number) else {}),
        }
        for term in form.terms
    ]
    interval = None if form.interval is None else dataclasses.asdict(form.interval)
    return {
        "model": form.model,
        "digest": form.digest,
        "target": form.target,
        "intercept": form.intercept,
        "terms": terms,
        "interval": interval,
        "no_intervals": form.no_intervals,
    }


def _kept(term: dict[str, Any]) -> dict[str, Any]:
    """Without what most features are not: parts of dates, and elements of vectors."""
    return {k: v for k, v in term.items() if v is not None or k not in ("part", "element")}


def as_csv(form: LinearForm) -> str:
    """The model as a table of coefficients, with a line for each."""
    file = io.StringIO()
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(form))
    return file.getvalue()


def _rows(form: LinearForm) -> Iterator[dict[str, Any]]:
    yield {"kind": "intercept", "coef": form.intercept}
    for term in form.terms:
        own: dict[str, Any] = {"feature": term.feature, "column": term.column, "part": term.part}
        if isinstance(term, Number):
            own |= {"element": term.element, "type": "number"}
            yield {**own, "kind": "number", "coef": term.coef, "mean": term.mean}
            if term.null:
                yield {**own, "kind": "null", "coef": term.null}
            continue
        own |= {"type": term.type}
        for level, effect in term.levels.items():
            yield {**own, "kind": "level", "level": level, "coef": effect}
        yield {**own, "kind": "null", "coef": term.null}
        yield {**own, "kind": "other", "coef": term.other}
    if form.interval is not None:
        own = {"column": form.interval.column}
        for group, width in form.interval.groups.items():
            yield {**own, "kind": "half_width", "level": group, "coef": width}
        yield {"kind": "half_width", "coef": form.interval.overall}
