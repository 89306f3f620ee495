import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from lasso_jobs.errors import JobError
from lasso_jobs.jobs.base import REQUIRED, Job, load_yaml
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.jobs.split import HoldoutRows
from lasso_jobs.jobs.train import TrainJob

TRAIN = """
name: flights-arrival-delay
data: {path: data/flights, where: "date < '2013-10-01'"}   # file, folder or glob
target: arr_delay
features: {include: ["*"], exclude: [tailnum], categorical: [carrier, origin], dates: {}}
weight: null
preprocess:
  scaling: standard
  missing: mean
  max_levels: 50
  min_count: 1
  drop_first: false
search:
  alphas: 100
  eps: null
  l1_ratio: 1.0
  relax: false
  adaptive: false
  folds: 5
  split: period
  rule: min
  fold_means: size
  early_stop: null
holdout: 0.2
stability: {pairs: 50, threshold: 0.75, expected_false: 1.0, resamples: 200}
penalty_factors: {}
bounds: {}
seed: 0
registry: models
promote: if_not_worse
"""
SCORE = """
model: flights-arrival-delay@champion
data: {path: data/flights}
keys: [flight_id]
output: {path: scores/flights, format: delta, partition_by: date}
drift: {features: selected, path: drift/flights}
bad_rows: quarantine
registry: models
"""
LEAST_TRAIN: dict[str, Any] = {"name": "m", "data": {"path": "d"}, "target": "y"}
LEAST_SCORE: dict[str, Any] = {"model": "m", "data": {"path": "d"}, "output": {"path": "o"}}


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text(TRAIN, encoding="utf-8")
    return path


def train_job(**changes: object) -> TrainJob:
    return TrainJob.from_values({**LEAST_TRAIN, **changes})


def score_job(**changes: object) -> ScoreJob:
    return ScoreJob.from_values({**LEAST_SCORE, **changes})


BY_PERIOD = {
    "random": False,
    "group": None,
    "fold": None,
    "time": None,
    "window": "expanding",
    "gap": 0.0,
}


def refused(action, *arguments: object, **values: object) -> str:
    with pytest.raises(JobError) as caught:
        action(*arguments, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Job files


def test_the_training_job_of_the_design_loads(train_file: Path) -> None:
    job = TrainJob.from_yaml(train_file)
    given = yaml.safe_load(TRAIN)
    given["search"]["split"] = BY_PERIOD
    given["search"]["repeats"] = 1
    given["search"]["engine"] = "auto"
    given["features"] |= {"sizes": {}, "names": {}, "tokens": {}}
    given["intervals"] = None
    given |= {"offset": None, "intercept": True}
    given["period"] = None
    given["cache"] = True
    given["margin"] = 0.01
    given["data"]["version"] = None
    given["data"]["window"] = None
    assert job.model_dump(mode="json") == given


def test_the_defaults_of_a_training_job_are_those_of_the_design() -> None:
    given = yaml.safe_load(TRAIN)
    stated = TrainJob.from_values({**given, "data": {"path": "d"}, "features": {}})
    assert train_job(name=stated.name, target=stated.target) == stated


def test_the_scoring_job_of_the_design_loads(tmp_path: Path) -> None:
    (tmp_path / "score.yaml").write_text(SCORE)
    job = ScoreJob.from_yaml(tmp_path / "score.yaml")
    assert job.output.partition_by == ("date",)
    assert job.drift is not None
    assert (job.drift.features, job.key_columns, job.bad_rows) == (
        "selected",
        ("flight_id",),
        "quarantine",
    )


@pytest.mark.parametrize("bad_rows", ["quarantine", "fail", 0.01, 7])
def test_bad_rows_are_a_word_a_share_or_a_number(bad_rows: object) -> None:
    assert score_job(bad_rows=bad_rows).bad_rows == bad_rows


def test_a_scoring_job_knows_its_date_and_its_digest_does_through_the_filter() -> None:
    job = score_job(data={"path": "d", "where": "day == '{date}'"})
    assert job.date is None
    first, second = job.on("2024-01-09"), job.on("2024-01-10")
    assert (first.date, second.date) == ("2024-01-09", "2024-01-10")
    assert first.digest() != second.digest()
    by_column = score_job(output={"path": "o", "partition_by": "day"}).on("2024-01-09")
    assert (by_column.date, by_column.data.where) == ("2024-01-09", "day = '2024-01-09'")


def test_the_least_scoring_job_has_no_drift_and_replaces_the_whole_table() -> None:
    job = score_job()
    assert (job.drift, job.output.partition_by, job.output.format) == (None, (), "delta")


@pytest.mark.parametrize("partition_by", [["a", "b"], "a", None, []])
def test_an_output_has_no_one_or_several_partition_columns(partition_by: object) -> None:
    job = score_job(output={"path": "o", "partition_by": partition_by})
    expected = {"a": ("a",)}.get(partition_by) if isinstance(partition_by, str) else None
    assert job.output.partition_by == (expected or tuple(partition_by or ()))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"search": {"alphas": [0.1, 0.2]}}, ("search", "alphas", [0.1, 0.2])),
        ({"search": {"alphas": 7}}, ("search", "alphas", 7)),
        ({"search": {"eps": "1e-3"}}, ("search", "eps", 1e-3)),
        ({"search": {"alphas": [0]}}, ("search", "alphas", [0.0])),
        ({"search": {"l1_ratio": 0}}, ("search", "l1_ratio", 0.0)),
        ({"search": {"l1_ratio": [1, 0.5, 0]}}, ("search", "l1_ratio", [1.0, 0.5, 0.0])),
        ({"search": {"relax": True}}, ("search", "relax", True)),
        ({"search": {"relax": [0, 1]}}, ("search", "relax", [0.0, 1.0])),
        ({}, ("search", "split", BY_PERIOD)),
        ({"search": {"split": "random"}}, ("search", "split", BY_PERIOD | {"random": True})),
        ({"search": {"split": {"group": "g"}}}, ("search", "split", BY_PERIOD | {"group": "g"})),
        ({"search": {"split": {"fold": "f"}}}, ("search", "split", BY_PERIOD | {"fold": "f"})),
        ({"search": {"split": {"time": "t"}}}, ("search", "split", BY_PERIOD | {"time": "t"})),
        (
            {"search": {"split": {"time": "t", "window": "rolling"}}},
            ("search", "split", "window", "rolling"),
        ),
        ({"search": {"split": {"time": "t", "gap": "7d"}}}, ("search", "split", "gap", "7d")),
        ({"search": {"split": {"time": "t", "gap": 2}}}, ("search", "split", "gap", 2.0)),
        ({"holdout": {"last": 0.1, "time": "t"}}, ("holdout", "time", "t")),
        (
            {"holdout": {"last": 0.1}, "search": {"split": {"time": "t"}}},
            ("holdout", {"where": None, "last": 0.1, "time": None}),
        ),
        ({"search": {"repeats": 5}}, ("search", "repeats", 5)),
        ({"search": {"repeats": 5, "split": {"group": "g"}}}, ("search", "repeats", 5)),
        ({"holdout": None}, ("holdout", None)),
        ({"holdout": {"where": "x > 1"}}, ("holdout", "where", "x > 1")),
        ({"stability": None}, ("stability", None)),
        (
            {"stability": {"pairs": 7, "resamples": None}},
            (
                "stability",
                {"pairs": 7, "threshold": 0.75, "expected_false": 1.0, "resamples": None},
            ),
        ),
        ({"penalty_factors": {"x": 0}}, ("penalty_factors", "x", 0.0)),
        ({"bounds": {"x": [0, 3]}}, ("bounds", "x", [0.0, 3.0])),
        ({"preprocess": {"missing": "indicator"}}, ("preprocess", "missing", "indicator")),
        ({"seed": -5}, ("seed", -5)),
    ],
)
def test_a_value_of_each_form_is_kept(
    changes: dict[str, object], expected: tuple[object, ...]
) -> None:
    found: Any = train_job(**changes).model_dump(mode="json")
    *path, value = expected
    for key in path:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": "two words"}, "name"),
        ({"name": "../m"}, "name"),
        ({"name": 7}, "name"),
        ({"target": None}, "target"),
        ({"data": "d"}, "data"),
        ({"features": {"include": "*"}}, "features.include"),
        ({"preprocess": {"scaling": "log"}}, "preprocess.scaling"),
        ({"preprocess": {"max_levels": 0}}, "preprocess.max_levels"),
        ({"preprocess": {"min_count": 0}}, "preprocess.min_count"),
        ({"preprocess": {"drop_first": "levels"}}, "preprocess.drop_first"),
        ({"preprocess": {"missing": "median"}}, "preprocess.missing"),
        ({"features": {"dates": {"when": ["minute"]}}}, "features.dates.when.0"),
        ({"features": {"dates": {"when": []}}}, "features.dates.when"),
        ({"search": {"folds": 1}}, "search.folds"),
        ({"search": {"folds": 2.5}}, "search.folds"),
        ({"search": {"eps": 0}}, "search.eps"),
        ({"search": {"eps": 1}}, "search.eps"),
        ({"search": {"l1_ratio": -0.1}}, "search.l1_ratio"),
        ({"search": {"l1_ratio": 1.1}}, "search.l1_ratio"),
        ({"search": {"l1_ratio": float("nan")}}, "search.l1_ratio"),
        ({"search": {"l1_ratio": "lasso"}}, "search.l1_ratio"),
        ({"search": {"l1_ratio": []}}, "search.l1_ratio"),
        ({"search": {"l1_ratio": [0.5, 2]}}, "search.l1_ratio"),
        ({"search": {"relax": 0.5}}, "search.relax"),
        ({"search": {"relax": 1}}, "search.relax"),
        ({"search": {"relax": []}}, "search.relax"),
        ({"search": {"relax": [0, -1]}}, "search.relax"),
        ({"search": {"relax": True, "l1_ratio": 0}}, "search.relax"),
        ({"search": {"relax": [0.5], "l1_ratio": [1, 0]}}, "search.relax"),
        ({"search": {"adaptive": True, "l1_ratio": 0}}, "search.adaptive"),
        ({"search": {"adaptive": True, "l1_ratio": [1, 0]}}, "search.adaptive"),
        ({"search": {"adaptive": "ridge"}}, "search.adaptive"),
        ({"search": {"fold_means": "weighted"}}, "search.fold_means"),
        ({"search": {"early_stop": 10}}, "search.early_stop"),
        ({"search": {"alphas": []}}, "search.alphas"),
        ({"search": {"split": "group"}}, "search.split"),
        ({"search": {"split": {"group": "g", "fold": "f"}}}, "search.split"),
        ({"search": {"split": {"group": "g", "random": True}}}, "search.split"),
        ({"search": {"rule": "best"}}, "search.rule"),
        ({"penalty_factors": {"x": -1}}, "penalty_factors.x"),
        ({"penalty_factors": {"x": float("inf")}}, "penalty_factors.x"),
        ({"bounds": {"x": [1, 2]}}, "bounds"),
        ({"bounds": {"x": [0, 0]}}, "bounds"),
        ({"bounds": {"x": [2, -2]}}, "bounds"),
        ({"bounds": {"x": [float("nan"), 1]}}, "bounds"),
        ({"stability": {"threshold": 0.5}}, "stability.threshold"),
        ({"stability": {"threshold": 1.1}}, "stability.threshold"),
        ({"stability": {"pairs": 0}}, "stability.pairs"),
        ({"stability": {"expected_false": 0}}, "stability.expected_false"),
        ({"stability": {"resamples": 1}}, "stability.resamples"),
        ({"seed": 2**63}, "seed"),
        ({"promote": "sometimes"}, "promote"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(changes: dict[str, object], key: str) -> None:
    line = refused(train_job, **changes)
    assert line.startswith(f"job: {key} = ")
    assert line.endswith(f"Correct {key}.")


@pytest.mark.parametrize(
    ("search", "allowed"),
    [
        ({"l1_ratio": 1.1}, "a number from 0 to 1, or a list of numbers from 0 to 1"),
        ({"relax": 0.5}, "true, false, or a list of numbers from 0 to 1"),
        ({"l1_ratio": 0, "adaptive": True}, "false where search.l1_ratio has a 0"),
        ({"l1_ratio": [0, 1], "relax": True}, "false where search.l1_ratio has a 0"),
    ],
)
def test_a_refusal_says_what_is_allowed(search: dict[str, object], allowed: str) -> None:
    key, value = list(search.items())[-1]
    assert f"search.{key} = {value!r}; expected {allowed}" in refused(train_job, search=search)


@pytest.mark.parametrize(
    ("search", "l1_ratios", "gammas"),
    [
        ({}, (1.0,), (1.0,)),
        ({"l1_ratio": 0}, (0.0,), (1.0,)),
        ({"l1_ratio": [1, 0.5], "relax": True}, (1.0, 0.5), (0.0, 0.25, 0.5, 0.75, 1.0)),
        ({"relax": [0]}, (1.0,), (0.0,)),
    ],
)
def test_what_is_searched_is_a_list_however_it_was_given(
    search: dict[str, object], l1_ratios: tuple[float, ...], gammas: tuple[float, ...]
) -> None:
    found = train_job(search=search).search
    assert (found.l1_ratios, found.gammas) == (l1_ratios, gammas)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"search": {"repeats": 0}}, "search.repeats"),
        ({"search": {"repeats": 2, "split": {"fold": "f"}}}, "search.repeats"),
        ({"search": {"repeats": 2, "split": {"time": "t"}}}, "search.repeats"),
        ({"search": {"split": {"time": "t", "group": "g"}}}, "search.split"),
        ({"search": {"split": {"window": "rolling"}}}, "search.split.window"),
        ({"search": {"split": {"group": "g", "gap": 3}}}, "search.split.gap"),
        ({"search": {"split": {"time": "t", "window": "sliding"}}}, "search.split.window"),
        ({"search": {"split": {"time": "t", "gap": -1}}}, "search.split.gap"),
        ({"search": {"split": {"time": "t", "gap": float("inf")}}}, "search.split.gap"),
        ({"search": {"split": {"time": "t", "gap": "a week"}}}, "search.split.gap"),
        ({"holdout": {"last": 1.0, "time": "t"}}, "holdout.last"),
        ({"holdout": {"last": 0.2}}, "holdout"),
        ({"holdout": {"time": "t"}}, "holdout"),
        ({"holdout": {"where": "x > 1", "time": "t"}}, "holdout"),
        ({"holdout": {"where": "x > 1", "last": 0.2}}, "holdout"),
        (
            {"holdout": {"last": 0.2, "time": "u"}, "search": {"split": {"time": "t"}}},
            "holdout",
        ),
        ({"holdout": 0}, "holdout"),
        ({"holdout": 2}, "holdout"),
        ({"holdout": "x > 1"}, "holdout"),
        ({"search": {"alphas": 0}}, "search.alphas"),
        ({"search": {"alphas": "many"}}, "search.alphas"),
        ({"search": {"alphas": [0.1, -1]}}, "search.alphas.1"),
        ({"search": {"alphas": [0.1, float("inf")]}}, "search.alphas.1"),
    ],
)
def test_a_key_of_several_forms_is_named_as_the_job_file_has_it(
    changes: dict[str, object], key: str
) -> None:
    assert refused(train_job, **changes).startswith(f"job: {key} = ")


@pytest.mark.parametrize("features", ["selectd", 3])
def test_drift_features_are_named_as_the_job_file_has_them(features: object) -> None:
    line = refused(score_job, drift={"path": "p", "features": features})
    assert line.startswith("job: drift.features = ")


@pytest.mark.parametrize("key", ["name", "data", "target", "data.path"])
def test_a_missing_key_is_named(key: str) -> None:
    values = json.loads(json.dumps(LEAST_TRAIN))
    first, _, second = key.partition(".")
    if second:
        del values[first][second]
    else:
        del values[first]
    assert f"the key '{key}' is missing" in refused(TrainJob.from_values, values)


@pytest.mark.parametrize(
    ("changes", "key", "nearest"),
    [
        ({"targt": "y"}, "targt", "target"),
        ({"hold_out": 0.2}, "hold_out", "holdout"),
        ({"data": {"path": "d", "wher": "x"}}, "data.wher", "where"),
        ({"features": {"excludes": []}}, "features.excludes", "exclude"),
        ({"preprocess": {"scale": "none"}}, "preprocess.scale", "scaling"),
        ({"search": {"fold": 3}}, "search.fold", "folds"),
        ({"search": {"split": {"groups": "g"}}}, "search.split.groups", "group"),
        ({"holdout": {"were": "x > 1"}}, "holdout.were", "where"),
        ({"holdout": {"where": "x > 1", "were": 1}}, "holdout.were", "where"),
    ],
)
def test_an_unknown_key_anywhere_is_refused_with_the_nearest(
    changes: dict[str, object], key: str, nearest: str
) -> None:
    line = refused(train_job, **changes)
    assert f"unknown key '{key}'" in line
    assert f"Did you mean '{nearest}'" in line


@pytest.mark.parametrize("wrong", ["targt", "Target", "traget"])
def test_a_misspelt_key_that_is_required_is_refused_as_unknown(wrong: str) -> None:
    values = {"name": "m", "data": {"path": "d"}, wrong: "y"}
    line = refused(TrainJob.from_values, values)
    assert f"unknown key '{wrong}'" in line
    assert "Did you mean 'target'" in line


@pytest.mark.parametrize(
    ("changes", "key", "nearest"),
    [
        ({"key": ["a"]}, "key", "keys"),
        ({"output": {"path": "o", "partition": "a"}}, "output.partition", "partition_by"),
        ({"drift": {"path": "p", "feature": "all"}}, "drift.feature", "features"),
    ],
)
def test_an_unknown_key_of_a_scoring_job_is_refused_with_the_nearest(
    changes: dict[str, object], key: str, nearest: str
) -> None:
    line = refused(score_job, **changes)
    assert f"unknown key '{key}'" in line
    assert f"Did you mean '{nearest}'" in line


@pytest.mark.parametrize("key", [True, 1, None])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    assert "job: " in refused(TrainJob.from_values, {**LEAST_TRAIN, key: 1})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- a",
        b"text",
        b"a: [",
        b"a: 1\n  b: 2",
        b"\x00",
        b"\xff\xfe",
        b"!!python/name:os.system",
    ],
)
def test_what_is_no_job_file_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    assert refused(TrainJob.from_yaml, path).startswith(f"{path}: ")


def test_a_missing_job_file_is_refused_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    assert refused(load_yaml, path).startswith(f"{path}: cannot be read")
    assert refused(load_yaml, tmp_path).startswith(f"{tmp_path}: cannot be read")


def test_errors_of_a_job_file_name_it(train_file: Path) -> None:
    train_file.write_text(TRAIN + "\nmore: 1\n")
    assert refused(TrainJob.from_yaml, train_file).startswith(f"{train_file}: unknown key 'more'")


def test_a_job_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        train_job().seed = 3


def test_a_job_comes_back_from_what_a_model_stores_of_it(train_file: Path) -> None:
    job = TrainJob.from_yaml(
        train_file, ["holdout={where: x > 1}", "search.split={group: g}", "bounds.x=[-1, 2]"]
    )
    text = json.dumps(job.model_dump(mode="json"), allow_nan=False)
    assert TrainJob.from_values(json.loads(text)) == job


def test_a_feature_bounded_on_one_side_can_be_stored() -> None:
    job = train_job(bounds={"x": [0, float("inf")]})
    text = json.dumps(job.model_dump(mode="json"), allow_nan=False)
    assert TrainJob.from_values(json.loads(text)) == job


def test_the_digest_depends_on_every_value_and_on_what_else_is_given() -> None:
    jobs = [train_job(), train_job(seed=1), train_job(target="z"), train_job(search={"folds": 6})]
    digests = [
        *(job.digest() for job in jobs),
        train_job().digest("a"),
        train_job().digest("a", "b"),
    ]
    assert len(set(digests)) == 6
    assert train_job().digest("a") == train_job().digest("a")


# --set


def test_settings_override_the_file(train_file: Path) -> None:
    settings = [
        "search.folds=10",
        "search.alphas=[0.5, 1.0e-2]",
        "holdout=null",
        "seed=-3",
        "target=dep_delay",
        "data.where=date < '2013-02-01'",
        "penalty_factors.hour=0",
        "search.split={group: tailnum}",
        "seed=4",
    ]
    job = TrainJob.from_yaml(train_file, settings)
    assert (job.search.folds, job.search.alphas, job.holdout) == (10, (0.5, 0.01), None)
    assert (job.seed, job.target, job.penalty_factors) == (4, "dep_delay", {"hour": 0})
    assert (job.data.path, job.data.where) == ("data/flights", "date < '2013-02-01'")
    assert job.search.split.group == "tailnum"


def test_a_setting_may_open_a_section_that_the_file_lacks(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(LEAST_TRAIN))
    assert TrainJob.from_yaml(path, ["preprocess.max_levels=3"]).preprocess.max_levels == 3


def test_a_setting_with_further_equals_signs_keeps_them(train_file: Path) -> None:
    assert TrainJob.from_yaml(train_file, ["data.where=x == 1"]).data.where == "x == 1"


def test_an_unknown_key_of_a_setting_is_refused_with_the_nearest(train_file: Path) -> None:
    line = refused(TrainJob.from_yaml, train_file, ["search.fold=10"])
    assert "unknown key 'search.fold'" in line
    assert "Did you mean 'folds'" in line


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "seed",
        "=3",
        "target.x=1",
        "seed.x=1",
        "search.alphas=[0.1,",
        "data.where=@x",
        "seed={",
        "a=: b: c",
    ],
)
def test_a_setting_that_is_none_is_refused(train_file: Path, setting: str) -> None:
    assert "--set" in refused(TrainJob.from_yaml, train_file, [setting])


def test_a_setting_of_a_wrong_value_is_refused_by_its_key(train_file: Path) -> None:
    assert "search.folds = 'many'" in refused(TrainJob.from_yaml, train_file, ["search.folds=many"])


# Dates


def test_a_date_takes_its_place_in_the_filter() -> None:
    job = train_job(data={"path": "d", "where": "date < '{date}' or other == '{date}'"})
    assert job.on("2013-10-01").data.where == "date < '2013-10-01' or other == '2013-10-01'"


def test_a_filter_without_a_place_stays_in_training() -> None:
    job = train_job(data={"path": "d", "where": "x > 1"})
    assert job.on("2013-10-01").model_dump() == job.model_dump()
    assert train_job().on("2013-10-01").model_dump() == train_job().model_dump()


def test_the_time_of_a_job_is_that_of_its_split_or_of_its_holdout() -> None:
    split = {"split": {"time": "t"}}
    assert train_job().time is None
    assert train_job(search=split).time == "t"
    assert train_job(holdout={"last": 0.1, "time": "u"}).time == "u"
    assert train_job(search=split, holdout={"last": 0.1, "time": "t"}).time == "t"
    assert train_job(search=split, holdout={"last": 0.1}).time == "t"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"split": {"window": "rolling"}}}, "window only with split time"),
        ({"search": {"repeats": 3, "split": {"time": "t"}}}, "1 with split fold or time"),
        ({"search": {"split": {"time": "t", "gap": "7x"}}}, "a duration such as 7d"),
        ({"holdout": {"last": 0.2}}, "{last: SHARE, time: COLUMN}"),
    ],
)
def test_a_refused_split_is_told_what_is_allowed(changes: dict[str, object], words: str) -> None:
    assert words in refused(train_job, **changes)


def test_a_date_takes_its_place_in_the_filter_of_the_holdout() -> None:
    job = train_job(holdout={"where": "date >= '{date}'"}).on("2013-10-01")
    assert isinstance(job.holdout, HoldoutRows)
    assert job.holdout.where == "date >= '2013-10-01'"


def test_a_date_changes_nothing_of_the_last_rows() -> None:
    job = train_job(holdout={"last": 0.2, "time": "t"})
    assert job.on("2013-10-01").holdout == job.holdout


def test_a_filter_that_waits_for_a_date_is_refused_without_one() -> None:
    job = train_job(data={"path": "d", "where": "date < '{date}'"})
    line = refused(job.data.conditions)
    assert "data.where: has a {date}" in line
    assert "--date" in line


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, "day = '2013-10-01'"),
        ("x > 1 or x < 0", "(x > 1 or x < 0) and day = '2013-10-01'"),
        ("day <= '{date}'", "day <= '2013-10-01'"),
    ],
)
def test_scoring_one_date_selects_its_rows(where: str | None, expected: str) -> None:
    job = score_job(
        data={"path": "d", "where": where}, output={"path": "o", "partition_by": ["day", "hour"]}
    )
    assert job.on("2013-10-01").data.where == expected


def test_scoring_one_date_needs_a_place_or_a_column_for_it() -> None:
    line = refused(score_job().on, "2013-10-01")
    assert "has no {date}, and output.partition_by is empty" in line


@pytest.mark.parametrize("name", ["flight date", "event-date", "date.utc", "in", 'a"b', "it's"])
def test_scoring_one_date_selects_by_a_column_of_any_name(name: str) -> None:
    job = score_job(output={"path": "o", "partition_by": name}).on("2013-10-01")
    (condition,) = job.data.conditions()
    assert condition.columns == {name}
    table = pa.table({name: ["2013-09-30", "2013-10-01"], "id": [1, 2]})
    assert condition.filter(table)["id"].to_pylist() == [2]


@pytest.mark.parametrize("key", ["data.where", "holdout.where"])
def test_what_is_no_filter_is_refused_by_its_key_with_how_to_spell_it(key: str) -> None:
    where = {"where": "'Order Date' >= '2023-07-01'"}
    changes = {"data": {"path": "d", **where}} if key == "data.where" else {"holdout": where}
    line = refused(train_job, **changes)
    assert line.startswith(f"job, {key}: \"'Order Date' >= '2023-07-01'\" is not a filter, as it ")
    assert "compares 'Order Date' with '2023-07-01', and names no column; expected " in line
    assert "a column's name as it is, or in double quotes" in line


@pytest.mark.parametrize(
    "date",
    [
        "",
        "today",
        "2013-02-30",
        "2013-1-1",
        " 2013-10-01",
        "2013-10-01T00:00",
        "20131001",
        "2013-W40-2",
    ],
)
def test_what_is_no_date_of_the_form_year_month_day_is_refused(date: str) -> None:
    job = score_job(output={"path": "o", "partition_by": "date"})
    line = refused(job.on, date)
    assert "expected a date, YYYY-MM-DD" in line


def test_a_date_cannot_smuggle_anything_into_the_filter() -> None:
    job = score_job(output={"path": "o", "partition_by": "date"})
    refused(job.on, "2013-10-01' or '1' == '1")


@pytest.mark.parametrize("job", [TrainJob, ScoreJob, MonitorJob])
def test_the_schema_of_a_job_file_begins_with_one_sentence(job: type[Job]) -> None:
    described = job.model_json_schema()["description"]
    assert described.endswith(".") and "\n" not in described


# Job files of another kind, and places that are another's

KINDS = {
    "train": (
        TrainJob,
        {"name": "m", "target": "y", "data": {"path": "d"}, "search": {"folds": 3}},
    ),
    "score": (ScoreJob, {"model": "m", "data": {"path": "d"}, "output": {"path": "o"}}),
    "monitor": (
        MonitorJob,
        {
            "model": "m",
            "scores": {"path": "s"},
            "actuals": {"path": "a"},
            "keys": ["id"],
            "target": "y",
            "period": "day",
        },
    ),
}


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("given", KINDS)
def test_a_job_file_of_another_kind_is_told_by_its_kind(wanted: str, given: str) -> None:
    kind, values = KINDS[wanted][0], KINDS[given][1]
    if wanted == given:
        assert kind.from_values(values)
        return
    line = refused(kind.from_values, values, "job.yaml")
    is_a, expected = (f"a {command.removesuffix('e')}ing job" for command in (given, wanted))
    remedy = f"Give it to lasso-jobs {given}, or name another file."
    assert line == f"job.yaml: is {is_a}; expected {expected}. {remedy}"


@pytest.mark.parametrize("command", KINDS)
def test_a_kind_of_job_is_told_by_the_keys_that_it_requires(command: str) -> None:
    model = KINDS[command][0]
    fields = model.model_fields.items()
    assert {field.alias or name for name, field in fields if field.is_required()} == REQUIRED[
        command
    ]


def test_a_slip_in_a_job_file_is_still_told_as_one() -> None:
    values = {"name": "m", "trget": "y", "data": {"path": "d"}}
    assert "'trget'" in refused(TrainJob.from_values, values)


@pytest.mark.parametrize("path", ["o", "o/", "./o", "x/../o", "o-quarantine"])
def test_drift_has_a_place_of_its_own(path: str) -> None:
    line = refused(score_job, output={"path": "o"}, drift={"path": path})
    assert "expected another drift.path, as o" in line
    assert "is for the scored rows. Correct drift" in line
    in_a_bucket = {"output": {"path": "s3://b/o"}, "drift": {"path": "s3://b/o/"}}
    assert "another drift.path, as s3://b/o is" in refused(score_job, **in_a_bucket)


def test_a_history_of_errors_has_a_place_of_its_own() -> None:
    for key, place in (("scores", "s/"), ("actuals", "./a")):
        values = {**KINDS["monitor"][1], "history": {"path": place}}
        line = refused(MonitorJob.from_values, values)
        assert f"expected another history.path, as {place.strip('./')} is that of {key}" in line
