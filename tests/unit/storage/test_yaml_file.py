"""YAML in which a key, a value or a line would be lost is refused, whoever reads it."""

from pathlib import Path

import pytest
import yaml

from lasso_jobs import LassoJobsError, MonitorJob, ScoreJob, TrainJob
from lasso_jobs.engine.cluster_options import Cluster
from lasso_jobs.jobs.base import load_yaml
from lasso_jobs.storage import yaml_file

REFUSED = {
    "a: 1\nb: 2\na: 3": "the key 'a' is given twice, in lines 1 and 3",
    "s:\n  x: {k: 1}\n  y: 2\n  x: 3": "the key 'x' is given twice, in lines 2 and 4",
    "- {a: 1, 'a': 2}": "the key 'a' is given twice, in line 1",
    "a: &b {x: 1}\nc:\n  <<: *b\n  y: 1\n  <<: *b": "the key '<<' is given twice, in lines 3 and 5",
    "a:\n  <<: 3": "expected a mapping or list of mappings for merging, but found scalar in line 2",
    "a: 1\nb: !mine {x: 1}": "the tag !mine in line 2 has no meaning here",
    "a: !!python/object/apply:os.system [true]": "the tag !!python/object/apply:os.system in",
    "a: !!set {x, y}": "the tag !!set in line 1 has no meaning here",
    "a: !!binary aGk=": "the tag !!binary in line 1 has no meaning here",
    "a: 1\nb: [0, .nan]": "'.nan' in line 2 is no number",
    "a: !!float nan": "'nan' in line 1 is no number",
    "a: 1\nno: 2": "the key no in line 2 is no text: write it in quotes",
    "2023: 1": "the key 2023 in line 1 is no text: write it in quotes",
    "1: a\n1.0: b": "the key 1 in line 1 is no text",
    "? [a, b]\n: 1": "the key a list or section in line 1 is no text",
    "a: 1\nb: 2013-13-45": "'2013-13-45' in line 2 is no value (month must be in 1..12",
    "a: !!int many": "'many' in line 1 is no value",
    "a: &a [1, *a]": "what begins in line 1 holds itself",
    "a: [1,": "it is not YAML: ",
    "a: 1\nb: c: d": "it is not YAML: mapping values are not allowed here in line 2",
    "a: *b": "it is not YAML: found undefined alias 'b' in line 1",
    "a: 1\n---\nb: 2": "it is not YAML: but found another document in line 2",
    "a: \0": "it is not YAML: ",
    "[" * 2000: "it is not YAML: ",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_what_would_be_lost_or_misread_is_refused_with_its_lines(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        yaml_file.parse(text)
    assert REFUSED[text] in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\nb: {a: 2, c: [{a: 3}, {a: 4}]}",
        "base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: *b",
        "base: &b {x: 1}\nmore: &m {x: 2, z: 3}\nc: {<<: [*b, *m]}",
        "a: !!str 5\nb: 2013-10-01\nc: .inf\nd: -.inf\ne: ~\nf: yes\ng: 0x1f",
        "- 1\n- 'a: 1'",
        "'no': 1\n'2023': 2\ngröße: 3",
    ],
)
def test_what_is_meant_as_it_stands_is_read_as_pyyaml_reads_it(text: str) -> None:
    assert yaml_file.parse(text) == yaml.safe_load(text)


READERS = {
    "train": TrainJob.from_yaml,
    "score": ScoreJob.from_yaml,
    "monitor": MonitorJob.from_yaml,
    "a cluster": lambda path: Cluster.of(str(path)),
    "prefect.yaml and automations.yaml": load_yaml,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "b: !mine 3", "b: .nan", "a: [", "a: {b: 1"])
def test_every_file_that_is_read_is_read_so(reader: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(LassoJobsError) as caught:
        READERS[reader](path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert " in line" in line
    assert "\n" not in line


def test_a_setting_is_read_so_as_well(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: m\ntarget: y\ndata: {path: d}")
    for setting, found in (
        ("bounds={x: [0, 1], x: [0, 2]}", "the key 'x' is given twice, in line 1"),
        ("seed=.nan", "'.nan' in line 1 is no number"),
        ("name=!mine m", "the tag !mine"),
    ):
        with pytest.raises(LassoJobsError) as caught:
            TrainJob.from_yaml(path, [setting])
        assert str(caught.value).startswith(f"--set: {setting!r}, where {found}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "key",
    [
        "holdout",
        "holdout.last",
        "search.eps",
        "search.l1_ratio",
        "search.alphas",
        "search.split.gap",
        "stability.threshold",
        "penalty_factors.x",
        "preprocess.max_levels",
        "compare.min_gain",
        "seed",
    ],
)
def test_a_number_of_a_job_is_finite(key: str, value: float) -> None:
    section: object = value
    for name in reversed(key.split(".")):
        section = {name: section}
    assert isinstance(section, dict)
    if key == "search.split.gap":
        section["search"]["split"]["time"] = "t"
    least = {"name": "m", "target": "y", "data": {"path": "d"}}
    with pytest.raises(LassoJobsError, match="holdout" if "holdout" in key else key):
        TrainJob.from_values({**least, **section})
