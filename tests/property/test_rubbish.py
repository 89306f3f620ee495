"""Whatever text stands where a person or a program wrote one: it is read, or refused in our words.

The property is that no other exception comes, that an error is one line of bounded length, and
that no case takes long. `-m slow` runs many more cases.
"""

import contextlib
import copy
import datetime
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lasso_jobs import LassoJobsError, MonitorJob, ScoreJob, TrainJob
from lasso_jobs.data import where
from lasso_jobs.jobs.dates import dates
from lasso_jobs.models.alias_log import Move
from lasso_jobs.models.model import Model
from lasso_jobs.scoring.scored_unit import ScoredUnit
from lasso_jobs.storage import yaml_file
from lasso_jobs.storage.json_text import json_values
from lasso_jobs.storage.packing import unpack

Values = dict[str, Any]
CASES, MANY, SECONDS = 60, 1000, 10


def is_ours(error: BaseException) -> bool:
    line = str(error)
    return isinstance(error, LassoJobsError) and "\n" not in line and len(line) < 6000


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "*", "day", "{date}", "2024-01-01", "a\0b", "../x", "s3://k:s@b/c", "1e309", "#", "'", "é"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 1e308, 1e-320])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.dates() | st.datetimes()
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TRAIN: Values = {
    "name": "m",
    "data": {"path": "data", "where": "day < '{date}' and x in (1, 2)"},
    "target": "y",
    "features": {"include": ["*"], "exclude": ["id"], "categorical": ["c"]},
    "preprocess": {"scaling": "standard", "missing": "mean", "max_levels": 50},
    "search": {"alphas": 10, "l1_ratio": [0.5, 1.0], "folds": 5, "split": {"time": "day"}},
    "holdout": {"where": "day = 'x'"},
    "penalty_factors": {"x": 0.0},
    "bounds": {"x": [0, 1]},
    "registry": "models",
}
SCORE: Values = {
    "model": "m@champion",
    "data": {"path": "data"},
    "keys": ["id"],
    "output": {"path": "scores", "format": "delta", "partition_by": "day"},
    "drift": {"features": "all", "path": "drift", "persistence": [3, 5]},
    "registry": "models",
}
MONITOR: Values = {
    "model": "m",
    "scores": {"path": "scores"},
    "actuals": {"path": "data"},
    "keys": ["id"],
    "target": "y",
    "period": "day",
    "tolerance": {},
    "history": {"path": "errors"},
}
JOBS = [(TrainJob, TRAIN), (ScoreJob, SCORE), (MonitorJob, MONITOR)]


def changed(draw: st.DrawFn, values: Any) -> Any:
    """Values with one or more of them replaced, removed or added, at any depth."""
    if isinstance(values, dict) and values and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(list(values)))
        return {**values, key: changed(draw, values[key])}
    if isinstance(values, dict):
        return {**values, draw(TEXTS): draw(ANY)}
    return draw(ANY)


@st.composite
def job_values(draw: st.DrawFn) -> tuple[Any, Values]:
    kind, values = draw(st.sampled_from(JOBS))
    values = copy.deepcopy(values)
    for _ in range(draw(st.integers(1, 3))):
        values = changed(draw, values)
    return kind, values


def read_job(case: tuple[tuple[Any, Values], str]) -> None:
    (kind, values), day = case
    for attempt in (kind.from_values, lambda v: kind.from_values(v).on(day)):
        try:
            attempt(values)
        except LassoJobsError as error:
            assert is_ours(error)


def read_yaml(case: tuple[tuple[Any, Values], int, str, int]) -> None:
    """A job file with some characters put in, or others in their place."""
    (_, values), at, put, n = case
    text = yaml.safe_dump(values, allow_unicode=True)
    at %= len(text) + 1
    try:
        yaml_file.parse(text[:at] + put + text[at + n :])
    except ValueError as error:
        assert not isinstance(error, UnicodeError)


COLUMNS = st.sampled_from(["x", "c", "day", '"Order Date"', "`a b`", "when", "b", "missing"])
SIGNS = """and or not in is null between ( ) [ ] { } , = <> < > <= >= == 'a' '' 1 -1.5e3 true NULL
'2024-01-01' 99999999999999999999 ;"""
WORDS = COLUMNS | st.sampled_from(SIGNS.split())
SCHEMA = pa.schema(
    {
        **{"x": pa.float64(), "c": pa.string(), "day": pa.date32(), "Order Date": pa.string()},
        **{"a b": pa.int8(), "when": pa.timestamp("us", "UTC"), "b": pa.bool_()},
    }
)
CONSTANTS = st.sampled_from(
    ["1", "-2.5", "'a'", "true", "'2024-01-01'", "300", "'2024-01-01 10:00'"]
)
TESTS = st.builds(
    "{} {} {}".format, COLUMNS, st.sampled_from(["=", "<", ">=", "<>"]), CONSTANTS | COLUMNS
) | st.builds("{} in ({}, {})".format, COLUMNS, CONSTANTS, CONSTANTS)
FILTERS = st.recursive(
    TESTS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not {}".format, inner)
    ),
    max_leaves=8,
)


def read_filter(text: str) -> None:
    types = zip(SCHEMA.names, SCHEMA.types, strict=True)
    rows = pa.table({name: pa.nulls(3, type_) for name, type_ in types})
    try:
        for condition in where.parse(text, "data.where"):
            condition.require(SCHEMA, "data")
            condition.filter(rows)
    except LassoJobsError as error:
        assert is_ours(error)


def list_dates(case: tuple[str, str]) -> None:
    try:
        assert dates(*case)
    except LassoJobsError as error:
        assert is_ours(error)


MOVE = dict.fromkeys(("alias", "action", "old", "new", "at", "by", "why"), "1")
DAYS = TEXTS | st.dates().map(str)


def read_record(case: tuple[type[Any], Any, str]) -> None:
    """By its reader alone, which raises what readers of files catch; files have a digest, too."""
    kind, values, key = case
    stored = {**MOVE, key: values} if kind is Move else values
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
        unpack(kind, json_values(json.dumps(stored, default=str)), {})


FILTERS |= st.lists(WORDS, max_size=12).map(" ".join) | TEXTS
KINDS = st.sampled_from([Move, Model, ScoredUnit])
PROPERTIES: dict[str, tuple[Callable[[Any], None], st.SearchStrategy[Any], tuple[Any, ...]]] = {
    "job": (read_job, st.tuples(job_values(), TEXTS), ()),
    "YAML": (read_yaml, st.tuples(job_values(), st.integers(0), TEXTS, st.integers(0, 9)), ()),
    "filter": (read_filter, FILTERS, ("not " * 500 + "x = 1", " or ".join(["x = 1"] * 12_000))),
    "dates": (list_dates, st.tuples(DAYS, DAYS), (("0001-01-01", "9999-12-31"),)),
    "record": (read_record, st.tuples(KINDS, ANY, st.sampled_from(sorted(MOVE))), ()),
}


def run(name: str, n: int) -> None:
    check, strategy, examples = PROPERTIES[name]

    @settings(
        max_examples=n,
        deadline=datetime.timedelta(seconds=SECONDS),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def holds(case: Any) -> None:
        check(case)

    for example in examples:
        check(example)
    holds()


@pytest.mark.parametrize("name", PROPERTIES)
def test_rubbish_is_read_or_refused(name: str) -> None:
    run(name, CASES)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROPERTIES)
def test_much_rubbish_is_read_or_refused(name: str) -> None:
    run(name, MANY)
