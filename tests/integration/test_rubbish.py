"""What no person writes ends each command in one line, at once, and in little memory."""

import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from lasso_jobs.data.condition_parser import parsed
from lasso_jobs.data.delta_table import live_files
from lasso_jobs.errors import DataError, LassoJobsError
from lasso_jobs.models.registry import Registry
from lasso_jobs.storage import yaml_file
from lasso_jobs.storage.json_text import json_values

pytestmark = pytest.mark.integration

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PATHS = {
    "NUL": "a\0b",
    "bytes that are no text": os.fsdecode(b"caf\xe9/\xff"),
    "more than 4,096 bytes": "/".join(["d" * 200] * 30),
    "a name of more than 255 bytes": "ä" * 130,
}
PLACES = (
    ("train", "{}"),
    ("plan", "{}"),
    ("monitor", "{}"),
    ("drift", "show", "{}"),
    ("verify", "{}"),
    ("vacuum", "{}"),
    ("rollback", "{}", "--date", "2024-01-01"),
    ("models", "show", "m", "--registry", "{}"),
    ("train", "job.yaml", "--set", "data.path={}"),
    ("train", "job.yaml", "--set", "registry={}"),
    ("train", "job.yaml", "--cluster", "{}.yaml"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rubbish")
    job = {
        "name": "m",
        "data": {"path": "data.parquet"},
        "target": "y",
        "stability": None,
        "search": {"alphas": 3},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    x = [float(i * 7 % 11) for i in range(80)]
    pq.write_table(pa.table({"x": x, "y": [2 * a + a % 3 for a in x]}), folder / "data.parquet")
    return folder


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_no_system_takes_is_one_line(path: str, cli: Run, folder: Path) -> None:
    for words in PLACES:
        done = cli(*(word.replace("{}", path) for word in words), folder=folder)
        assert done.returncode in (1, 2), words
        assert done.stdout == "" and done.stderr.count("\n") == 1, words
        assert "unexpected" not in done.stderr, words


def test_files_whose_names_are_no_text_are_read_or_refused(cli: Run, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    shutil.copy(folder / "data.parquet", os.fsencode(data) + b"/caf\xe9.parquet")
    done = cli("train", "job.yaml", "--set", "data.path=data", folder=folder)
    assert "unexpected" not in done.stderr
    assert done.returncode in (0, 1)


FILTERS = {
    "or": " or ".join(f"a = {i}" for i in range(12_000)),
    "not": "not " * 500 + "a = 1",
    "parentheses": "(" * 5000 + "a = 1" + ")" * 5000,
    "values": "a in (" + ", ".join(map(str, range(300_000))) + ")",
    "text": f"a = '{'x' * 10**7}'",
    "digits": "a = " + "9" * 10**6,
}
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
BOMB += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
MERGES = "a0: &a0 {x: 1}\n"
MERGES += "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 9))
YAMLS = {
    "bomb": BOMB,
    "bomb of merges": MERGES,
    "lists": "[" * 2000,
    "sections": "\n".join(" " * i + "a:" for i in range(1000)),
    "size": "a: " + "x" * 3 * 2**20,
    "digits": "a: " + "9" * 10_000,
}
JSONS = {"depth": "[" * 10**6, "NaN": '{"a": NaN}', "digits": "9" * 10**6, "infinity": "-Infinity"}
READERS: dict[str, tuple[Callable[[str], object], dict[str, str]]] = {
    "filter": (parsed, FILTERS),
    "YAML": (yaml_file.parse, YAMLS),
    "JSON": (json_values, JSONS),
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, (_, texts) in READERS.items() for name in texts]
)
def test_texts_that_grow_are_refused_in_little_memory(kind: str, name: str) -> None:
    read, texts = READERS[kind]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r".") as caught:
            read(texts[name])
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert not isinstance(caught.value, RecursionError)


@pytest.mark.parametrize("text", [BOMB, FILTERS["not"], "a: " + "9" * 10**4], ids=["1", "2", "3"])
def test_a_job_file_that_grows_is_one_short_line(text: str, cli: Run, folder: Path) -> None:
    job = yaml.safe_load((folder / "job.yaml").read_text())
    path = folder / "grown.yaml"
    if text.startswith("not"):
        job["data"]["where"], text = text, ""
    path.write_text(yaml.safe_dump(job) + text)
    done = cli("train", path.name, folder=folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert len(done.stderr) < 3000


@pytest.mark.parametrize("content", [*JSONS.values(), '{"format": 6}', "\udcff", "null", ""])
def test_a_model_that_is_rubbish_is_refused(content: str, tmp_path: Path) -> None:
    version = tmp_path / "models" / "m" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(content, errors="surrogateescape")
    with pytest.raises(LassoJobsError) as caught:
        Registry(tmp_path / "models").load("m@v1")
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("path", ["../outside.parquet", "a/../../outside.parquet", "%2E%2E/o"])
def test_a_delta_log_does_not_lead_out_of_its_table(path: str, tmp_path: Path) -> None:
    table = tmp_path / "table"
    write_deltalake(table, pa.table({"x": [1.0]}))
    shutil.copy(DeltaTable(table).file_uris()[0], tmp_path / "outside.parquet")
    (entry,) = (table / "_delta_log").glob("*.json")
    (name,) = (file.name for file in table.glob("*.parquet"))
    entry.write_text(entry.read_text().replace(name, path))
    with pytest.raises(DataError, match="expected") as caught:
        live_files(str(table), None)
    assert "\n" not in str(caught.value)
