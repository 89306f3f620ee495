"""JSON that we write is JSON, whatever the numbers."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lasso_jobs
from lasso_jobs.storage.json_text import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def strictly(text: str) -> object:
    def refused(constant: str) -> object:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


def undefined_is_none(value: object) -> object:
    if isinstance(value, float):
        return value if abs(value) < np.inf else None
    if isinstance(value, list):
        return [undefined_is_none(each) for each in value]
    if isinstance(value, dict):
        return {name: undefined_is_none(each) for name, each in value.items()}
    return value


@given(VALUES, st.sampled_from([None, 2]))
def test_what_is_not_finite_is_null_and_the_rest_stays(value: object, indent: int | None) -> None:
    assert strictly(json_text(value, indent=indent)) == undefined_is_none(value)


@pytest.mark.parametrize("value", [np.float64("nan"), (float("inf"),), {"a": {"b": (np.inf,)}}])
def test_tuples_and_numpys_doubles_too(value: object) -> None:
    strictly(json_text(value))


@pytest.mark.parametrize(
    ("writer", "module"),
    [(r"\bjson\.dumps?\b", "storage/json_text.py"), (r"\borjson\.dumps\b", "serving/app.py")],
)
def test_it_is_the_one_place_that_writes_json_but_for_answers(writer: str, module: str) -> None:
    """Answers of the service are written by orjson, which is fast, and writes NaN as null."""
    package = Path(lasso_jobs.__file__).parent
    writers = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if re.search(writer, path.read_text())
    ]
    assert writers == [module]
