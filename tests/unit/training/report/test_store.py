"""The training report and its checks, from a training's own stages."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import statsmodels
from markdown_it import MarkdownIt
from numpy.testing import assert_allclose
from statsmodels.stats.stattools import durbin_watson

from lasso_jobs import TrainJob, train
from lasso_jobs.cli.main import main
from lasso_jobs.core.inference.checks import CheckVerdict
from lasso_jobs.core.inference.residuals import HeldOutPredictions
from lasso_jobs.errors import ModelError, OutputError
from lasso_jobs.models.registry import Registry
from lasso_jobs.storage import files as storage
from lasso_jobs.training import examine
from lasso_jobs.training.report import store, words
from lasso_jobs.training.result import TrainResult

EVIL = "<img src=x onerror=alert(1)>"
LONG = "x" * 300
N = 3000
BY_DAY = {"design_effect by day", "durbin_watson", "autocorrelation", "periods"}


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, N))
    city = rng.choice(["u", "<script>", "w"], N)
    day = np.arange(N) // 100
    common = np.random.default_rng(4).normal(size=N // 100)[day]
    y = 3 * a + 2 * b**2 + 2 * (city == "u") + common + rng.normal(size=N)
    frame = pd.DataFrame({EVIL: a, LONG: b, "city": city, "day": day, "y": y})
    frame["noise"] = rng.normal(size=N)
    frame.loc[::9, LONG] = None
    return frame


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, Any], TrainResult, list[HeldOutPredictions]]:
    """A job, its result, and the held-out rows that its report was made of."""
    folder = tmp_path_factory.mktemp("training")
    rows().to_parquet(folder / "a.parquet", row_group_size=500)
    job = {
        "name": "odd",
        "data": {"path": str(folder / "a.parquet")},
        "target": "y",
        "features": {"exclude": ["day"]},
        "preprocess": {"missing": "indicator"},
        "search": {"alphas": 20, "split": {"group": "day"}},
        "registry": str(folder / "models"),
    }
    seen: list[HeldOutPredictions] = []
    with pytest.MonkeyPatch.context() as patch:
        original = examine.held_out_predictions

        def spy(*arguments: Any) -> HeldOutPredictions:
            seen.append(original(*arguments))
            return seen[-1]

        patch.setattr("lasso_jobs.training.examine.held_out_predictions", spy)
        result = train(TrainJob.from_values(job), workers=1)
    return job, result, seen


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    handle_startendtag = handle_starttag


def test_the_report_is_kept_with_the_version_and_runs_nothing(trained: Any) -> None:
    job, _, _ = trained
    found = store.stored_report(job["registry"], "odd@v1")
    page = Tags(found.page.decode())
    assert not {"script", "img", "iframe"} & {*page.tags}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len({*ids})
    assert page.tags.count("svg") > 10
    assert LONG in found.page.decode()
    assert len(found.page) < 3_000_000
    assert found.place.endswith("v1/report.html") and Path(found.place).exists()


def test_the_held_out_rows_are_those_of_the_metrics(trained: Any) -> None:
    _, result, (held, *_) = trained
    holdout = result.model.holdout
    assert len(held.actual) == holdout.n_rows
    assert_allclose(np.mean(held.residuals**2), holdout.mse, rtol=1e-9)
    assert_allclose(np.mean(np.abs(held.residuals)), holdout.mae, rtol=1e-9)


def test_leverage_is_that_of_the_hat_matrix(trained: Any) -> None:
    """Of the training rows without the held-out ones, with the selected columns, by hand."""
    _, result, (held, *_) = trained
    evaluated = result.model.evaluated
    frame = rows()
    labels = [*evaluated.columns.labels, f"{LONG} is null"]
    means = frame.loc[~frame["y"].isin(held.actual), LONG].mean()
    made = pd.DataFrame(
        {
            EVIL: frame[EVIL],
            LONG: frame[LONG].fillna(means),
            "noise": frame["noise"],
            **{f"city={c}": (frame["city"] == c).astype(float) for c in ("u", "<script>", "w")},
            f"{LONG} is null": frame[LONG].isna().astype(float),
        }
    )
    selected = [label for label, c in zip(labels, evaluated.coef, strict=True) if c != 0]
    X = np.column_stack([np.ones(N), made[selected]])
    training = ~frame["y"].isin(held.actual).to_numpy()
    inverse = np.linalg.pinv(X[training].T @ X[training])
    hat = np.einsum("ij,jk,ik->i", X[~training], inverse, X[~training])
    own = dict(zip(held.actual.tolist(), held.leverage.tolist(), strict=True))
    expected = dict(zip(frame["y"][~training].tolist(), hat.tolist(), strict=True))
    assert_allclose([own[y] for y in expected], [*expected.values()], rtol=1e-6)


def test_the_checks_find_the_square_and_the_days(trained: Any) -> None:
    _, result, _ = trained
    verdicts = {check.name: check.verdict for check in result.checks}
    assert verdicts["linearity"] == "violated"
    assert verdicts["independence"] == "violated"
    assert verdicts["outliers and leverage"] in ("fine", "needs a look")
    linear = next(check for check in result.checks if check.name == "linearity")
    assert LONG in linear.finding


@pytest.mark.slow
def test_a_repeated_training_leaves_the_report_or_adds_it(trained: Any) -> None:
    job, _, _ = trained
    before = store.stored_report(job["registry"], "odd@v1")
    train(TrainJob.from_values(job), workers=1)
    assert store.stored_report(job["registry"], "odd@v1") == before
    for name in (store.PAGE, store.CHECKS, store.CARD):
        Path(before.place).with_name(name).unlink()
    train(TrainJob.from_values(job), workers=1)
    assert store.stored_report(job["registry"], "odd@v1") == before
    assert Registry(job["registry"]).versions("odd") == [1]


def test_checks_of_format_6_have_the_words_of_today(trained: Any, tmp_path: Path) -> None:
    job, result, _ = trained
    shutil.copytree(job["registry"], tmp_path / "models")
    place = tmp_path / "models" / "odd" / "v1" / store.CHECKS
    content = json.loads(place.read_text())
    were = {"fine": "ok", "needs a look": "watch", "violated": "alarm", "not checked": "unknown"}
    assert {*were} == {*get_args(CheckVerdict)} == {*words.TONES}
    for check in content.values():
        check["verdict"] = were[check["verdict"]]
    place.write_text(json.dumps(content))
    old = store.stored_report(str(tmp_path / "models"), "odd@v1")
    assert [check.verdict for check in old.checks] == [check.verdict for check in result.checks]


def test_the_commands(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job, _, _ = trained
    page = tmp_path / "page.html"
    where = ("--registry", job["registry"])
    assert main(["models", "report", "odd", "--html", str(page), *where]) == 0
    assert "linearity  violated. " in capsys.readouterr().out
    assert page.read_bytes() == store.stored_report(job["registry"], "odd@v1").page
    assert main(["models", "report", "odd", "--json", *where]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [*found["checks"]] == [
        *("linearity", "independence", "homoscedasticity"),
        *("multicollinearity", "outliers and leverage", "repeated rows"),
    ]
    assert main(["models", "report", "odd", "--html", str(tmp_path / "no" / "\0"), *where]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    card = store.stored_card(job["registry"], "odd@v1").decode()
    assert main(["models", "card", "odd@v1", *where]) == 0
    assert capsys.readouterr().out == card
    written = tmp_path / "card.md"
    assert main(["models", "card", "odd", "--output", str(written), *where]) == 0
    assert (written.read_text(), capsys.readouterr().out) == (card, "")
    assert main(["models", "card", "odd", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["card"] == card
    assert main(["models", "card", "odd@v9", *where]) == 1


def test_the_card_has_odd_names_as_text(trained: Any) -> None:
    job, _, _ = trained
    card = store.stored_card(job["registry"], "odd").decode()
    page = MarkdownIt("commonmark").enable("table").render(card.split("```yaml")[0])
    assert not {"img", "script"} & {*Tags(page).tags}
    assert LONG in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "### Linearity: violated" in card


def test_a_report_that_cannot_be_kept_leaves_the_champion(trained: Any, tmp_path: Path) -> None:
    """The training fails, and the same again completes the version and promotes it."""
    job, *_ = trained
    other = TrainJob.from_values({**job, "registry": str(tmp_path / "models")})
    full, create = OSError(28, "No space left on device"), storage.create

    def failing(place: str, content: bytes) -> None:
        if place.endswith(store.PAGE):
            raise full
        create(place, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "create", failing)
        with pytest.raises(ModelError, match=r"html: cannot be written .*No space"):
            train(other, workers=1)
    registry = Registry(other.registry)
    assert (registry.versions("odd"), registry.aliases("odd")) == ([1], {})
    again = train(other, workers=1)
    assert (again.promotion.promoted, registry.aliases("odd")) == (True, {"champion": 1})
    assert store.stored_report(other.registry, "odd").page


def test_a_version_without_a_report_is_refused(trained: Any, tmp_path: Path) -> None:
    _, result, _ = trained
    registry = Registry(tmp_path / "models")
    registry.register(result.model, {})
    with pytest.raises(ModelError, match="Train it again"):
        store.stored_report(str(tmp_path / "models"), "odd@v1")
    for damaged in (b'{"linearity": \xff', b"[]", b'{"linearity": 1}', b'{"linearity": {}}'):
        (tmp_path / "models" / "odd" / "v1" / store.CHECKS).write_bytes(damaged)
        with pytest.raises(ModelError, match=r"checks\.json: is damaged .* Remove it"):
            store.stored_report(str(tmp_path / "models"), "odd@v1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"holdout": None},
        {"search": {"alphas": [0.5]}},
        {"search": {"alphas": [1e6]}},
        {"search": {"alphas": 5, "l1_ratio": 0.0}},
        {"search": {"alphas": 5, "relax": True}, "weight": "w"},
        {"features": {"include": ["city"]}, "preprocess": {"drop_first": True}},
    ],
)
def test_reports_of_other_trainings(change: dict[str, Any], trained: Any, tmp_path: Path) -> None:
    job, _, _ = trained
    frame = rows().iloc[:600].assign(w=np.arange(600) % 3)
    frame.to_parquet(tmp_path / "a.parquet")
    other = {
        **job,
        "data": {"path": str(tmp_path / "a.parquet")},
        "features": {"exclude": ["day", "w"]},
        "registry": str(tmp_path / "models"),
        "search": {"alphas": 5},
        "stability": None,
        **change,
    }
    result = train(TrainJob.from_values(other), workers=1)
    found = store.stored_report(str(tmp_path / "models"), result.registered.reference)
    assert len(found.checks) == 6
    checks = found.as_values()
    assert checks["independence"]["verdict"] != "not checked"
    assert json.dumps(checks, allow_nan=False)
    if change.get("holdout", 1) is None:
        assert checks["linearity"]["verdict"] != "not checked"
        assert "each predicted by the fit at the chosen alpha" in checks["linearity"]["how"]


@pytest.mark.parametrize(
    ("change", "measured"),
    [
        ({}, BY_DAY),
        ({"period": None, "search": {"alphas": 3, "split": {"time": "day"}}}, BY_DAY),
        (
            {"weight": "w", "search": {"alphas": 3, "split": {"group": "name"}}},
            BY_DAY - {"design_effect by day"},
        ),
        ({"period": "never"}, set()),
        ({"period": "name"}, {"design_effect by name"}),
        ({"period": None}, set()),
        ({"data": {"where": "day < '2024-01-07'"}}, {"design_effect by day"}),
    ],
)
def test_periods_are_checked_as_far_as_they_are_known(
    change: dict[str, Any], measured: set[str], tmp_path: Path
) -> None:
    """Whatever the split; a name has no order, and weights make means vary."""
    rng = np.random.default_rng(9)
    day = np.arange(1200) // 40
    frame = pd.DataFrame({"x": rng.normal(size=1200), "w": 1.0 + np.arange(1200) % 2})
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D")
    frame["name"] = [f"day {each}" for each in day]
    frame["never"] = pd.Series(pd.NaT, frame.index, "datetime64[us]")
    frame["y"] = frame["x"] + np.sin(day / 3) + rng.normal(size=1200)
    frame.to_parquet(tmp_path / "a.parquet")
    job = {
        "name": "periods",
        "data": {"path": str(tmp_path / "a.parquet"), **change.get("data", {})},
        "target": "y",
        "features": {"include": ["x"]},
        "period": "day",
        "search": {"alphas": 3},
        "stability": None,
        "registry": str(tmp_path / "models"),
        **{key: value for key, value in change.items() if key != "data"},
    }
    result = train(TrainJob.from_values(job), workers=1)
    found = next(check for check in result.checks if check.name == "independence")
    assert {*found.statistics} >= measured
    of_order = {"autocorrelation by position in the file", "lag by position in the file"}
    # Where few rows are close, sampled rows that follow one another are looked at; and by a time.
    more = {f"{name}, of the sampled rows" for name in of_order}
    more |= {f"{what} by day" for what in ("autocorrelation", "lag")}
    assert {*found.statistics} - measured - more == of_order
    assert found.verdict == ("violated" if measured else "needs a look")
    page = store.stored_report(job["registry"], "periods@v1").page.decode()
    assert ("Residuals over time" in page) == ("durbin_watson" in measured)
    if "durbin_watson" in measured:
        residuals = frame["y"] - result.model.predict(frame)
        means = residuals.groupby(frame["day"]).mean().to_numpy()
        assert_allclose(found.statistics["durbin_watson"], durbin_watson(means), rtol=1e-9)


def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(file)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    store.save(b"into the pipe", str(pipe))
    assert os.read(end, 100) == b"into the pipe"
    os.close(end)
    store.save(b"through the link", str(link))
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert file.read_bytes() == b"through the link"
    device = tmp_path / "to the device"
    device.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        store.save(b"x", str(device))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "file",
        "link",
        "pipe",
        "to the device",
    ]


def test_categories_and_the_most_bent_unselected_features_are_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(900, 12)), columns=[f"x{j}" for j in range(12)])
    frame["shop"] = rng.choice(["here", "there"], 900)
    frame["y"] = 3 * frame["x0"] + frame["x7"] ** 2 + rng.normal(size=900)
    frame.to_parquet(tmp_path / "a.parquet")
    job = {
        "name": "bent",
        "data": {"path": str(tmp_path / "a.parquet")},
        "target": "y",
        "search": {"alphas": [1.0]},
        "stability": None,
        "registry": str(tmp_path / "models"),
    }
    result = train(TrainJob.from_values(job), workers=1)
    page = store.stored_report(job["registry"], "bent@v1").page.decode()
    shown = re.findall(r"<h3><bdi>([^<]*)</bdi></h3>", page.partition("feature by feature")[2])
    assert shown[0] == "x0"
    assert shown[1] == "x7 (not selected)"
    assert [name for name in shown if "not selected" not in name] == [
        "x0",
        "shop: mean residual of each level",
    ]
    linearity = result.checks[0]
    assert linearity.verdict == "violated" and "A curve in x7 " in linearity.finding
    assert "each of the 12 numeric features" in linearity.how


def test_the_curve_of_fuel_by_power_is_found(tmp_path: Path) -> None:
    """James, Witten, Hastie & Tibshirani (2013), section 3.3.2, show it of other cars."""
    cars = pd.read_csv(Path(statsmodels.__file__).parent / "gam/tests/results/autos.csv")
    cars[["hp", "rpm", "city_mpg"]].to_parquet(tmp_path / "cars.parquet")
    job = {
        "name": "cars",
        "data": {"path": str(tmp_path / "cars.parquet")},
        "target": "city_mpg",
        "stability": None,
        "registry": str(tmp_path / "models"),
    }
    linearity = train(TrainJob.from_values(job), workers=1).checks[0]
    assert linearity.verdict == "violated"
    assert linearity.finding.startswith("A curve in hp ")
    assert linearity.statistics["hp"] > 0.2
    assert linearity.how.startswith("205 rows of 205, each predicted by the fit")
