"""The page of a run: what it says, in which order, and that values of the data stay values."""

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from lasso_jobs.drift.facts import (
    DriftFacts,
    HistoryPoint,
    headline,
    partitions,
    segments,
)
from lasso_jobs.drift.page import PICTURED, drift_page
from lasso_jobs.drift.table import row_of

from ...drift_tables import SCHEMA, START, Rows, a_category, a_night, a_row

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LONG = "a_column_with_a_very_long_name_" * 10


def facts_of(rows: Rows, partition: str = "date=2024-01-05", **more: Any) -> DriftFacts:
    of_run = {"run_id": "r" * 64, "scored_at": START, "model": "m", "model_version": "v3"}
    nothing = dict.fromkeys(SCHEMA.names)
    made = [row_of({**nothing, **of_run, "partition": partition, **row}) for row in rows]
    return DriftFacts(made, partition, **more)


class Parsed(HTMLParser):
    """Elements, attributes and text, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.text += data


def values_of(page: Parsed, name: str) -> list[str]:
    return [value for key, value in page.attributes if key == name]


def test_the_verdict_is_first_and_features_are_ranked_by_what_they_moved() -> None:
    rows = [a_row("b", 1.0), a_row("a", -3.0, verdict="alarm", raised="alarm"), a_row("c", 2.0)]
    facts = facts_of(rows, target="sales")
    assert facts.verdict == "alarm"
    assert [row.feature for row in facts.features] == ["a", "c", "b"]
    text = Parsed(drift_page(facts)).text
    places = [text.index(word) for word in ("Alarm", "Why", "What moved", "Features, the most")]
    assert places == sorted(places)
    assert "in units of sales" in text


def test_the_headline_says_how_far_and_by_what() -> None:
    said = headline(facts_of(a_night(3, 5.0, "alarm"), target="sales"))
    total = sum(r["score_shift"] for r in a_night(3, 5.0) if r["segment"] == "")
    moved = total / 2  # the predictions' own row repeats the sum
    assert said[0] == (
        f"The mean prediction of sales is {31.5 + moved:.2f}, {moved:.3f} above that of "
        "training (31.50)."
    )
    assert said[1].startswith("price moves it most, by +")
    assert said[2] == "Features and the predictions: 2 alarm, 5 ok."


def test_a_run_without_predictions_or_features() -> None:
    assert headline(facts_of([a_row("a", 0.0)])) == ("Features and the predictions: 1 ok.",)
    prediction = a_row("prediction", kind="prediction", mean=20.0)
    only = facts_of([prediction])
    assert "as in training" in headline(only)[0]
    assert "Alarm" not in Parsed(drift_page(only)).text.split("What the words mean")[0]


def test_a_run_without_rows_shows_no_numbers_of_it() -> None:
    nothing = {"n": 0, "mean": None, "score_shift": None, "missing_share": None, "psi": None}
    rows = [a_row("x"), a_row("prediction", kind="prediction")]
    rows = [{**row, **nothing, "counts": [0] * len(row["counts"])} for row in rows]
    text = Parsed(drift_page(facts_of(rows))).text.split("What the words mean")[0]
    assert "What moved" not in text
    assert "→ 0.0%" not in text
    assert "4.0% → –" in text


def test_values_of_the_data_are_text() -> None:
    rows = [
        a_row(EVIL, 5.0, reason=EVIL, verdict="alarm"),
        a_row(LONG, 4.0),
        a_category("</style>", [EVIL, "</svg>", "\"'&"], 3.0),
        a_row("seg", 1.0, segment=f"{EVIL}={EVIL}"),
    ]
    past = [HistoryPoint(EVIL, 1.0, 1.0, "ok"), HistoryPoint("now", 1.0, 2.0, "ok")]
    facts = facts_of(rows, EVIL, history={EVIL: past}, target=EVIL)
    page = Parsed(drift_page(facts))
    assert not {"script", "img", "iframe", "object", "form", "a"} & {*page.tags}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.tags.count("style") == 1
    assert page.text.count(EVIL) > 5
    assert LONG in page.text


def test_the_page_needs_nothing_else() -> None:
    page = Parsed(drift_page(facts_of(a_night(2))))
    assert values_of(page, "href") == ["data:,"]
    assert values_of(page, "src") == []
    ids = values_of(page, "id")
    assert len(ids) == len({*ids}) > 10
    named = {i for value in values_of(page, "aria-labelledby") for i in value.split()}
    assert named == {*ids}
    assert "default-src 'none'" in "".join(values_of(page, "content"))


def test_500_features_are_all_in_the_table_and_30_have_pictures() -> None:
    rows = [a_row(f"f{i}", i / 100) for i in range(500)]
    page = drift_page(facts_of(rows))
    parsed = Parsed(page)
    assert parsed.tags.count("article") == PICTURED == 30
    assert all(f"f{i}" in parsed.text for i in range(500))
    assert len(page) < 1_000_000
    assert "492 others" in parsed.text


def test_the_bars_and_the_others_add_up_to_the_prediction() -> None:
    features = [a_row(f"f{i:02d}", 10.0 - i) for i in range(12)]
    total = float(sum(row["score_shift"] for row in features))
    prediction = a_row("prediction", kind="prediction", score_shift=total)
    text = " ".join(Parsed(drift_page(facts_of([*features, prediction]))).text.split())
    assert "4 others+2.00" in text
    assert "Mean prediction+54.00" in text


def test_many_levels_are_few_and_lose_no_row() -> None:
    row = a_category("c", [f"level {i}" for i in range(40)], 1.0)
    page = drift_page(facts_of([row]))
    assert "other levels" in page
    assert page.count('class="current"') == 13  # 11 levels, the others, the nulls


def test_partitions_and_segments_are_summed_up() -> None:
    rows = [
        {**row, "partition": f"date=2024-01-0{day}"}
        for day in (1, 2)
        for row in a_night(day, 6.0 if day == 2 else 0.0, "alarm" if day == 2 else "ok")
    ]
    facts = facts_of(rows, "date=2024-01-02")
    found = partitions(facts)
    assert [(g.name, g.verdict) for g in found] == [
        ("date=2024-01-01", "ok"),
        ("date=2024-01-02", "alarm"),
    ]
    assert found[1].mover is not None and found[1].mover.feature == "price"
    assert [(g.name, g.n) for g in segments(facts)] == [
        ("region=(null)", 1000),
        ("region=coast", 1000),
    ]
    text = Parsed(drift_page(facts)).text
    assert "Partitions of this run" in text
    assert "region=coast" in text


def test_correlations_have_a_table_of_their_own() -> None:
    pair = a_row("x ~ y", kind="correlation", score_shift=None, psi=None, mean=0.5, bins=[])
    facts = facts_of([a_row("x", 1.0), pair])
    assert [row.feature for row in facts.features] == ["x"]
    assert "Correlations that moved most" in drift_page(facts)
    assert "Correlations that moved most" not in drift_page(facts_of([a_row("x", 1.0)]))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_history_needs_two_points(n: int) -> None:
    past = [HistoryPoint(f"day {i}", 31.0, 1.0, "ok") for i in range(n)]
    rows = [a_row("x", 1.0), a_row("prediction", kind="prediction")]
    page = drift_page(facts_of(rows, history={"x": past, "prediction": past}))
    assert ('class="trace"' in page) == (n == 2)
    assert ("over time" in page) == (n == 2)
