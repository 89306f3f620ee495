"""Pictures are well-formed, say what they show, and show what they say."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.pages import svg

EVIL = "<script>alert(1)</script>\"'&"


def drawn(markup: str) -> ET.Element:
    return ET.fromstring(markup)


def of_class(picture: ET.Element, kind: str) -> list[ET.Element]:
    return [each for each in picture.iter() if each.get("class") == kind]


def test_bars_of_a_histogram_are_as_tall_as_their_shares() -> None:
    bins = [("a", 0.5, 0.25), ("b", 0.25, 0.75), ("missing", 0.25, 0.0)]
    picture = drawn(svg.histogram("h", "t", "d", bins))
    for kind, at in (("reference", 1), ("current", 2)):
        tall = [float(bar.attrib["height"]) for bar in of_class(picture, kind)]
        assert tall == pytest.approx([each[at] / 0.75 * 82 for each in bins], abs=0.01)
    left = [float(bar.attrib["x"]) for bar in of_class(picture, "reference")]
    assert left[2] - left[1] > left[1] - left[0]  # nulls stand apart


def test_a_sparkline_has_its_limit_and_its_verdicts() -> None:
    values = [(0.1, "ok"), (-3.0, "watch"), (0.2, "ok"), (9.0, "alarm")]
    picture = drawn(svg.sparkline("s", "t", "d", values, limit=2.0))
    assert len(of_class(picture, "limit")) == 2
    assert [len(of_class(picture, f"mark {v}")) for v in ("ok", "watch", "alarm")] == [0, 1, 1]
    line = of_class(picture, "trace")[0].attrib["d"].removeprefix("M").split("L")
    heights = [float(point.split()[1]) for point in line]
    zero = float(of_class(picture, "axis")[0].attrib["y1"])
    above, limits = of_class(picture, "limit")[1], 2.0
    unit = (zero - float(above.attrib["y1"])) / limits
    assert [(zero - y) / unit for y in heights] == pytest.approx([v for v, _ in values], abs=0.2)


def test_one_value_is_a_mark_and_no_line() -> None:
    picture = drawn(svg.sparkline("s", "t", "d", [(0.0, "ok")]))
    assert not of_class(picture, "trace")
    assert len(of_class(picture, "mark ok")) == 1


def test_a_bar_lies_on_the_side_of_its_sign() -> None:
    for value, x, width in ((4.0, 50.0, 25.0), (-8.0, 0.0, 50.0), (0.0, 50.0, 0.0)):
        bar = drawn(svg.signed_bar(value, 8.0))[0]
        assert (float(bar.attrib["x"]), float(bar.attrib["width"])) == (x, width)
    assert drawn(svg.signed_bar(0.0, 0.0))[0].attrib["width"] == "0"


def test_every_text_is_escaped() -> None:
    picture = drawn(svg.histogram("h", EVIL, EVIL, [(EVIL, 0.5, 0.5)]))
    assert [each.tag for each in picture.iter() if "script" in each.tag] == []
    assert picture[0].text == EVIL
    assert EVIL in (of_class(picture, "current")[0][0].text or "")
    assert drawn(svg.text(1, 2, EVIL)).text == EVIL


def test_a_picture_is_named_for_those_who_do_not_see_it() -> None:
    picture = drawn(svg.figure("k", "name", "content", [], width=10, height=20))
    assert picture.attrib["role"] == "img"
    ids = picture.attrib["aria-labelledby"].split()
    assert [each.attrib["id"] for each in picture[:2]] == ids
    assert [each.text for each in picture[:2]] == ["name", "content"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e9))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    found = svg.ticks(low, low + width)
    assert all(low - 1e-6 * width <= t <= low + width * (1 + 1e-6) for t in found)
    assert len(found) <= 7


def test_ticks_of_nothing() -> None:
    assert svg.ticks(3.0, 3.0) == [3.0]
    assert svg.ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    low, high = svg.padded([2.0, 2.0])
    assert low < 2 < high
    assert svg.padded([0.0]) == (-1.0, 1.0)
