"""Reads the bodies of requests: JSON in MLflow's forms and our own, and CSV."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pc

from lasso_jobs.data import arrays
from lasso_jobs.errors import DataError
from lasso_jobs.serving.fields import KEY, Field
from lasso_jobs.storage.json_text import json_text

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_EXPECTED = f"a JSON object with one of {', '.join(FORMS)}"


class BodyError(DataError):
    """The body of a request cannot be parsed."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a request, by field.

    Parameters
    ----------
    columns : mapping of str to sequence or pyarrow.ChunkedArray
    n_rows : int
    lacking : mapping of str to int
        Fields that some records lack, each with the first such row.
    """

    columns: Mapping[str, Any]
    n_rows: int
    lacking: Mapping[str, int] = field(default_factory=dict)


def json_values(body: bytes) -> Any:
    """What a body of JSON says; NaN and Infinity are taken, which some clients write.

    Raises
    ------
    BodyError
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        said: Exception = error
    if b"NaN" in body or b"Infinity" in body:
        try:
            values = json.loads(body)
            if b"\\u" in body:
                # Half of a surrogate pair is taken here, and no answer and no file could have it.
                json_text(values, ascii=False).encode()
            return values
        except (ValueError, RecursionError) as error:
            said = error  # that of orjson is the first NaN
    raise BodyError("request", f"is no JSON ({said})", "JSON", "Correct the body") from said


def invocation(body: bytes) -> Rows:
    """The rows of a body in one of MLflow's forms.

    Raises
    ------
    BodyError

    Examples
    --------
    >>> invocation(b'{"dataframe_split": {"columns": ["a"], "data": [[1], ["x"]]}}').columns
    {'a': (1, 'x')}
    """
    values = json_values(body)
    forms = [form for form in FORMS if form in values] if isinstance(values, dict) else []
    if len(forms) != 1:
        found = f"has {' and '.join(forms)}" if forms else "has none of the forms"
        raise BodyError("request", found, _EXPECTED, "Correct the body")
    form, content = forms[0], values[forms[0]]
    if form == "dataframe_split":
        return _split(content)
    if form == "inputs":
        return _by_column(content)
    return records(content, form)


def records(values: Any, where: str = "request") -> Rows:
    """The rows of a list of objects.

    Raises
    ------
    BodyError
    """
    if not isinstance(values, list) or not all(map(dict.__instancecheck__, values)):
        raise BodyError(
            where,
            "is no list of objects",
            'a list of objects, one for each row, such as [{"price": 20.0}]',
            "Name the fields of each row, or send dataframe_split",
        )
    first = values[0].keys() if values else {}
    if all(row.keys() == first for row in values):
        return Rows({name: [row[name] for row in values] for name in first}, len(values))
    columns, lacking = {}, {}
    for name in dict.fromkeys(name for row in values for name in row):
        columns[name] = [row.get(name) for row in values]
        short = next((i for i, row in enumerate(values) if name not in row), None)
        if short is not None:
            lacking[name] = short
    return Rows(columns, len(values), lacking)


def _split(content: Any) -> Rows:
    parts: dict[str, Any] = content if isinstance(content, dict) else {}
    names, data = parts.get("columns", ""), parts.get("data", "")
    if not (_is_list_of(names, str) and _is_list_of(data, list)):
        raise BodyError(
            "dataframe_split",
            "has no lists columns and data",
            '{"columns": [names], "data": [[values of a row], ...]}',
            "Correct the body",
        )
    _check_names("dataframe_split", names)
    short = next((i for i, row in enumerate(data) if len(row) != len(names)), None)
    if short is not None:
        raise BodyError(
            f"dataframe_split, row {short}",
            f"has {len(data[short])} values",
            f"{len(names)}, one for each of the columns",
            "Correct the body",
        )
    columns = _numbers(data, len(names))
    if columns is None:
        columns = zip(*data, strict=True) if data else [()] * len(names)
    return Rows(dict(zip(names, columns, strict=True)), len(data))


def _numbers(data: list[list[Any]], width: int) -> Iterable[Any] | None:
    """The columns of rows of nothing but numbers and nulls; None if there is anything else.

    One array of all values and its transpose take half of what a column at a time takes.
    """
    try:
        flat = pa.array(list(chain.from_iterable(data)), pa.float64())
    except pa.ArrowException:
        return None
    matrix = arrays.numbers(pa.chunked_array([flat])).reshape(len(data), width)
    return [
        # A column of nulls has no type, so that it may be text.
        [None] * len(data) if np.isnan(column).all() else pa.chunked_array([arrays.array(column)])
        for column in matrix.T
    ]


def _by_column(content: Any) -> Rows:
    columns = content if isinstance(content, dict) else {}
    lengths = {len(values) if isinstance(values, list) else -1 for values in columns.values()}
    if len(lengths) != 1 or -1 in lengths:
        expected = "an object with a list for each field, of one length"
        raise BodyError("inputs", "has no lists of one length", expected, "Correct the body")
    return Rows(columns, lengths.pop())


def _is_list_of(values: Any, type_: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, type_) for value in values)


def _check_names(where: str, names: Sequence[str]) -> None:
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        found = f"has the column {twice!r} twice"
        raise BodyError(where, found, "each column once", "Leave one of them out")


def csv(body: bytes, fields: Sequence[Field]) -> Rows:
    """The rows of a body of CSV with a header; an empty cell without quotes is a null.

    Raises
    ------
    BodyError
    """
    options = pc.ConvertOptions(
        column_types={
            each.name: pa.string() for each in fields if each.is_text or each.role == KEY
        },
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        table = pc.read_csv(
            io.BytesIO(body), pc.ReadOptions(use_threads=False), convert_options=options
        )
        names = table.column_names
    except (pa.ArrowException, UnicodeDecodeError) as error:
        expected = "CSV in UTF-8 with a header, and a line for each row"
        raise BodyError("request", f"is no CSV ({error})", expected, "Correct the body") from error
    _check_names("request", names)
    return Rows(dict(zip(names, table.columns, strict=True)), table.num_rows)
