"""Numbers as they are read, and colours that can be."""

import math
import re

import pytest

from lasso_jobs.pages import page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (0.0, "0"),
        (12.3456, "12.35"),
        (-0.012345, "−0.01235"),
        (31.5, "31.50"),
        (1234.5, "1,234"),
        (9_999_999.0, "9,999,999"),
        (12_345_678.0, "1.235e7"),
        (-1.5e-9, "−1.500e−9"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert page.number(value) == text


def test_signed_share_whole_correlation_limit() -> None:
    assert [page.signed(v) for v in (2.0, -2.0, 0.0, None)] == ["+2.000", "−2.000", "0", "–"]
    assert [page.share(v) for v in (0.0, 0.0004, 0.123, 1.0, None, math.nan)] == [
        *("0.0%", "<0.1%", "12.3%", "100.0%", "–", "–")
    ]
    assert [page.whole(v) for v in (0, 12_345, None)] == ["0", "12,345", "–"]
    found = [page.correlation(v) for v in (1.0, -1.0, 0.25, -0.004, 0.996, -0.1)]
    assert found == ["1.00", "−1.00", ".25", ".00", "1.00", "−.10"]
    assert [page.limit(v) for v in (2.0, 0.25, 1e-7, 100.0, None)] == [
        *("2", "0.25", "1.00e−7", "100", "–")
    ]


def test_a_column_has_the_decimals_of_its_largest() -> None:
    assert page.aligned([6.0141, -0.54321, 0.00001]) == ["+6.014", "−0.543", "0"]
    assert page.aligned([4e6, 5.8, 0.1]) == ["+4,000,000", "+6", "0"]
    assert page.aligned([0.0, 0.0]) == ["0", "0"]
    assert page.aligned([]) == []


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


def test_the_oracle_of_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_text_can_be_read_in_light_and_in_dark() -> None:
    schemes = re.findall(r":root \{(.*?)\}", page._style(), re.DOTALL)[:2]
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for paper in ("paper", "surface"):
            for ink in ("ink", "muted", "ok", "watch", "alarm"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
            assert contrast(colours["current"], colours[paper]) >= 3
        for verdict in ("ok", "unknown", "watch", "alarm"):
            assert contrast(colours[verdict], colours[f"{verdict}-soft"]) >= 4.5
    assert len(schemes) == 2
