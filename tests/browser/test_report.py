"""The training report in a real browser."""

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.jobs import report

from .conftest import Browser, keep

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<script>console.error('ran')</script><img src=http://192.0.2.1/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(3)
    n = 4000
    frame = pd.DataFrame({f"column_{j}": rng.normal(size=n) for j in range(40)})
    frame["x" * 300] = rng.gamma(1.0, 2.0, n)
    frame[EVIL] = rng.choice([EVIL, "w" * 200, "c"], n)
    frame["day"] = np.arange(n) // 40
    shared = rng.normal(size=100)[frame["day"]]
    frame["y"] = (
        3 * frame["column_0"]
        + np.log1p(frame["x" * 300]) * 4
        + (frame[EVIL] == EVIL)
        + shared
        + rng.standard_t(3, n)
    )
    frame.to_parquet(folder / "a.parquet")
    job = {
        "name": "odd",
        "data": {"path": str(folder / "a.parquet")},
        "target": "y",
        "features": {"exclude": ["day"]},
        "search": {"alphas": 40, "split": {"group": "day"}},
        "registry": str(folder / "models"),
    }
    train(TrainJob.from_values(job), workers=1)
    return Path(report.stored(str(folder / "models"), "odd").place)


@pytest.mark.parametrize("width", [1200, 768, 360])
def test_it_fits_and_asks_for_nothing(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.too_wide() == []
    assert browser.run("document.querySelectorAll('script, img').length") == 0
    assert browser.run("document.querySelectorAll('svg.figure').length") >= 10


def test_it_prints_and_is_looked_at(browser: Browser, page: Path) -> None:
    browser.open(page, 720)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.too_wide() == []
    printed = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert base64.b64decode(printed).startswith(b"%PDF-")
    keep("report.pdf", printed)
    browser.call("Emulation.setEmulatedMedia", media="")
    for width, scheme in ((1200, "light"), (360, "dark")):
        browser.open(page, width, scheme=scheme)
        height = browser.run("document.documentElement.scrollHeight")
        browser.open(page, width, height, scheme)
        keep(
            f"report-{width}-{scheme}.png",
            browser.call("Page.captureScreenshot", format="png")["data"],
        )
