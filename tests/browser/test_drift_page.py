"""The drift page in a real browser, at the widths of a desk and of a phone."""

import base64
from pathlib import Path

import pytest

from lasso_jobs.drift import show
from lasso_jobs.drift.page import save_page

from ..drift_tables import a_category, a_night, a_row, write_nights, write_run
from .conftest import Browser, keep

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<script>console.error('ran')</script><img src=http://192.0.2.1/x onerror=alert(1)>"
WIDTHS = (1200, 768, 360)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    write_nights(folder / "nights", 12)
    odd = [
        a_row(EVIL, 5.0, reason=EVIL, verdict="alarm", raised="alarm"),
        a_row("x" * 300, 4.0, verdict="watch", raised="watch"),
        a_category("c", [f"<b>{'w' * 40}{i}" for i in range(30)], 3.0),
        a_row("nothing but null", mean=None, bins=[], counts=[], reference_shares=[]),
        a_row("units", 4e6, mean=2e8),
        a_row("x" * 200, 1.0, segment=f"{EVIL}={'y' * 300}"),
        *a_night(1, 3.0, "watch", n_noise=490),
    ]
    for index in range(3):
        write_run(folder / "odd", index, odd)
    parts = [
        {**row, "partition": f"date=2024-02-{day:02d}/{'z' * 100}=1"}
        for day in range(1, 29)
        for row in a_night(day)
    ]
    write_run(folder / "parts", 0, parts)
    found = {}
    for name in ("nights", "odd", "parts"):
        found[name] = folder / f"{name}.html"
        save_page(str(found[name]), show.drift_of(str(folder / name)))
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["nights", "odd", "parts"])
def test_it_fits_and_asks_for_nothing(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width)
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.too_wide() == []
    assert browser.run("document.querySelectorAll('script, img').length") == 0
    assert browser.run("document.querySelectorAll('article svg').length") > 0


def test_what_these_tests_look_for_is_found(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<body><script>console.error('x'); missing()</script><img src='http://127.0.0.1:9/x.png'>"
        "<p style='width: 2000px'>wide</p>"
    )
    browser.open(page, 360)
    assert len(browser.complaints()) >= 2
    assert browser.requests() == ["http://127.0.0.1:9/x.png"]
    assert any("wide" in each for each in browser.too_wide())


def test_it_is_light_or_dark_as_the_reader_is(browser: Browser, pages: dict[str, Path]) -> None:
    papers = []
    for scheme in ("light", "dark"):
        browser.open(pages["nights"], 1200, scheme=scheme)
        papers.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(246, 247, 248)", "rgb(17, 21, 26)"]


def test_it_prints(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["nights"], 1200, scheme="dark")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.open(pages["nights"], 720)  # about the width of a sheet
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.too_wide() == []
    assert (
        browser.run("document.querySelector('.scroll table').getBoundingClientRect().right") < 720
    )
    printed = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert base64.b64decode(printed).startswith(b"%PDF-")
    keep("print.pdf", printed)
    browser.call("Emulation.setEmulatedMedia", media="")


def test_screenshots_for_a_person(browser: Browser, pages: dict[str, Path]) -> None:
    for name, width, scheme in (("nights", 1200, "light"), ("odd", 360, "dark")):
        browser.open(pages[name], width, scheme=scheme)
        height = min(browser.run("document.documentElement.scrollHeight"), 4000)
        browser.open(pages[name], width, height, scheme)
        shot = browser.call("Page.captureScreenshot", format="png")["data"]
        assert base64.b64decode(shot).startswith(b"\x89PNG")
        keep(f"{name}-{width}-{scheme}.png", shot)
