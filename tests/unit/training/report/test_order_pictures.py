"""The picture of an order has a bar for each lag, and the band of independent rows."""

import numpy as np

from lasso_jobs.core.inference.serial import Correlogram, RowOrder
from lasso_jobs.training.report.order_pictures import in_order


def test_autocorrelations_of_rows_are_drawn_lag_by_lag() -> None:
    e = np.cumsum(np.random.default_rng(0).normal(size=300)) % 3
    order = RowOrder.of_files(np.zeros(300), np.arange(300.0))
    (picture,) = in_order([Correlogram.of(e, order, n_lags=5)])
    assert picture.title == "By position in the file"
    assert picture.figure.count("<rect") == 5
    assert "Pairs of rows at a lag: 295 to 299." in picture.note
    assert "lag 5: " in picture.figure


def test_one_lag_has_a_band_as_well() -> None:
    order = RowOrder.of_files(np.zeros(300), np.arange(300.0))
    (picture,) = in_order([Correlogram.of(np.arange(300.0), order, n_lags=1)])
    assert picture.figure.count("limit open") == 2
