"""The page on judgements: its pictures load nothing, and the commands that it names are there."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "judgements.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"^```\{figure\} (\S+)", PAGE, re.M)


def test_the_page_shows_all_pictures_that_there_are() -> None:
    there = (ROOT / "docs" / "pictures").glob("*.svg")
    assert sorted(PICTURES) == sorted(f"pictures/{path.name}" for path in there)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_svg_with_its_content_in_words_and_loads_nothing(picture: str) -> None:
    text = (ROOT / "docs" / picture).read_text(encoding="utf-8")
    names = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()]
    assert names[0] == "svg"
    assert {"title", "desc"} <= {*names}
    assert {*names}.isdisjoint({"script", "image", "use", "foreignObject"})
    assert re.findall(r"href|url\(|@import", text) == []
    assert "prefers-color-scheme: dark" in text


def test_the_simulations_that_the_page_names_are_there() -> None:
    run = (ROOT / "benchmarks" / "judgements" / "run.py").read_text(encoding="utf-8")
    named = re.findall(r"`([^`]+)`", "".join(re.findall(r"NAME: ([^.]+)\.", PAGE)))
    assert {name.strip('"') for name in named} == {
        *re.findall(r'^    "(.+)": \w+\.simulate', run, re.M)
    }
