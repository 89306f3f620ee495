"""The training report in a real browser."""

import base64
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.training.report import store as report

from .conftest import Browser, keep

pytestmark = [pytest.mark.browser, pytest.mark.slow]

IMAGE = "<img src=x onerror=alert(1)>"
EVIL = f"<script>console.error('ran')</script><img src=http://192.0.2.1/x>{IMAGE}"
LONG = "x" * 300
N, N_COLUMNS = 4000, 1010


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of more than 1,000 columns, some of them oddly named, in days that err alike."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(3)
    values = rng.normal(size=(N, N_COLUMNS)).astype(np.float32)
    frame = pd.DataFrame(values, columns=[f"column_{j}" for j in range(N_COLUMNS)])
    odd = {
        LONG: rng.gamma(1.0, 2.0, N),
        IMAGE: rng.normal(size=N),
        EVIL: rng.choice([EVIL, "w" * 200, "c"], N),
        "day": np.arange(N) // 40,
    }
    frame = pd.concat([frame, pd.DataFrame(odd)], axis=1)
    shared = rng.normal(size=100)[frame["day"]]
    signal = 3 * frame["column_0"] + np.log1p(frame[LONG]) * 4 + 2 * frame[IMAGE]
    frame["y"] = signal + (frame[EVIL] == EVIL) + shared + rng.standard_t(3, N)
    frame.to_parquet(folder / "a.parquet")
    job = {
        "name": "odd",
        "data": {"path": str(folder / "a.parquet")},
        "target": "y",
        "features": {"exclude": ["day"]},
        "search": {"alphas": 10, "eps": 0.05, "split": {"group": "day"}},
        "period": "day",
        "stability": {"pairs": 3},
        "registry": str(folder / "models"),
    }
    train(TrainJob.from_values(job), workers=1)
    return Path(report.stored_report(str(folder / "models"), "odd").place)


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_it_fits_and_asks_for_nothing(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.of("Page.javascriptDialogOpening") == []
    assert browser.too_wide() == []
    assert browser.run("document.querySelectorAll('script, img, iframe').length") == 0
    assert browser.run("document.querySelectorAll('svg.figure').length") >= 12
    shown = browser.run("[...document.querySelectorAll('bdi')].map(e => e.textContent)")
    assert {LONG, IMAGE, f"{EVIL}={EVIL}"} <= {*shown}


def test_it_is_small(page: Path) -> None:
    assert page.stat().st_size < 3_000_000


def test_it_prints(browser: Browser, page: Path) -> None:
    browser.open(page, 720, scheme="dark")  # about the width of a sheet
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.too_wide() == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = browser.call(
        "Page.printToPDF",
        printBackground=True,
        generateTaggedPDF=True,
        generateDocumentOutline=True,
    )["data"]
    browser.call("Emulation.setEmulatedMedia", media="")
    keep("report.pdf", printed)
    document = base64.b64decode(printed)
    assert document.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", document)) >= 4
    headings = {title.decode() for title in re.findall(rb"/Title \((.*?)\)", document)}
    assert {"Coefficients", "Residuals over time", "Numerical certificate"} <= headings


def test_screenshots_for_a_person(browser: Browser, page: Path) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.open(page, width, scheme=scheme)
        height = min(browser.run("document.documentElement.scrollHeight"), 9000)
        browser.open(page, width, height, scheme)
        shot = browser.call("Page.captureScreenshot", format="png")["data"]
        assert base64.b64decode(shot).startswith(b"\x89PNG")
        keep(f"report-{width}-{scheme}.png", shot)
