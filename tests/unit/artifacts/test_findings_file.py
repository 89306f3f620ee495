"""What is stored comes back; the tests of the model file see to the digest."""

import dataclasses
import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lasso_jobs.artifacts.findings_file import join, split
from lasso_jobs.artifacts.model import Model


def test_all_of_it_comes_back(model: Model) -> None:
    content, arrays = split(model.stability, model.diagnostics)
    stability, diagnostics = join(json.loads(json.dumps(content)), arrays)
    assert stability is not None
    assert model.stability is not None
    assert_array_equal(stability.frequency, model.stability.frequency)
    assert stability.mb_bound == model.stability.mb_bound
    collinear = model.diagnostics.collinearity
    assert collinear.constant != ()
    assert diagnostics.collinearity.constant == collinear.constant
    assert diagnostics.collinearity.duplicates == collinear.duplicates
    assert_array_equal(diagnostics.collinearity.vif, collinear.vif)
    assert diagnostics.notes == model.diagnostics.notes
    assert_array_equal(diagnostics.learning.n_rows, model.diagnostics.learning.n_rows)


def test_what_is_missing_stays_missing(model: Model) -> None:
    bare = dataclasses.replace(
        model.diagnostics,
        collinearity=dataclasses.replace(
            model.diagnostics.collinearity, correlation=None, duplicates=((3, 1), (4, 1))
        ),
        information=None,
        least_squares=None,
    )
    content, arrays = split(None, bare)
    assert not any(name.startswith(("stability", "information", "least")) for name in arrays)
    stability, diagnostics = join(json.loads(json.dumps(content)), arrays)
    assert stability is None
    assert (diagnostics.information, diagnostics.least_squares) == (None, None)
    assert diagnostics.collinearity.correlation is None
    assert diagnostics.collinearity.duplicates == ((3, 1), (4, 1))


def test_the_model_gives_its_correlations_by_label(model: Model) -> None:
    frame = model.correlation
    assert frame is not None
    assert list(frame.index) == list(frame.columns) == list(model.labels)
    assert frame.loc["a", "a"] == pytest.approx(1)
    assert np.isnan(frame.loc["constant", "a"])
    many = dataclasses.replace(model.diagnostics.collinearity, correlation=None)
    diagnostics = dataclasses.replace(model.diagnostics, collinearity=many)
    assert dataclasses.replace(model, diagnostics=diagnostics).correlation is None
