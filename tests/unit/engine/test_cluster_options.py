"""What names a cluster, and how a wrong name is refused."""

from pathlib import Path
from typing import get_args

import pytest
import yaml

from lasso_jobs.engine.cluster_options import STARTERS, VARIABLE, Cluster, Kind
from lasso_jobs.errors import ClusterError


def file(folder: Path, **values: object) -> str:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_a_word_an_address_or_a_file_names_a_cluster(tmp_path: Path) -> None:
    assert Cluster.of("local", 3) == Cluster(kind="local", workers=3)
    assert Cluster.of("tls://host:8786").address == "tls://host:8786"
    adaptive = Cluster.of(file(tmp_path, kind="slurm", workers=[1, 8], options={"queue": "long"}))
    assert (adaptive.workers, adaptive.options) == ((1, 8), {"queue": "long"})
    assert Cluster.of(file(tmp_path, kind="local-processes", workers=2), 5).workers == 5


def test_the_environment_names_it_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Cluster.of(None) == Cluster(kind="local")
    monkeypatch.setenv(VARIABLE, "tcp://host:8786")
    assert Cluster.of(None).address == "tcp://host:8786"
    assert Cluster.of("local").address is None


def test_a_wrong_variable_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "locale")
    with pytest.raises(ClusterError, match=f"^{VARIABLE}: 'locale'; expected local"):
        Cluster.of(None)
    monkeypatch.setenv(VARIABLE, "tcp://host:1")
    with pytest.raises(ClusterError, match=f"--workers: .*or change {VARIABLE}"):
        Cluster.of(None, 2)


def test_workers_are_refused_beside_a_file_of_an_address(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"--workers: is given with .*Leave it out"):
        Cluster.of(file(tmp_path, address="tcp://h:1"), 2)


def test_every_package_is_a_kind() -> None:
    assert set(get_args(Kind)) == {"local", "local-processes", *STARTERS}


@pytest.mark.parametrize(
    ("text", "workers", "message"),
    [
        ("locale", None, "'locale'; expected local, local-processes, tcp://HOST:PORT"),
        ("http://host:1", None, "'http://host:1'; expected local, local-processes, tcp://"),
        (
            "tcp://host:1",
            2,
            "--workers: is given with tcp://host:1, whose workers are what they are",
        ),
        ("local", 0, "--workers: 0; expected at least 1"),
        ("nowhere.yaml", None, "nowhere.yaml: cannot be read"),
    ],
)
def test_a_wrong_name_is_refused_in_words(text: str, workers: int | None, message: str) -> None:
    with pytest.raises(ClusterError) as caught:
        Cluster.of(text, workers)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "slurm", "worker": 2}, "unknown key 'worker'; expected one of kind, address"),
        ({"kind": "local", "workers": [1, 2]}, "one number of workers for local"),
        ({"kind": "slurm", "workers": [4, 2]}, "the smaller bound first"),
        ({"kind": "local", "options": {"a": 1}}, "options only with one of kubernetes"),
        ({"address": "tcp://h:1", "workers": 2}, "no workers and no options with an address"),
        ({"kind": "local", "tls": {"ca_file": "a", "cert_file": "b", "key_file": "c"}}, "tls only"),
        ({"address": "tls://h:1", "tls": {"ca_file": "a", "cert_file": "b"}}, "tls.key_file"),
    ],
)
def test_a_wrong_file_is_refused_in_words(
    tmp_path: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ClusterError) as caught:
        Cluster.of(file(tmp_path, **values))
    assert str(caught.value).startswith(str(tmp_path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yml"
    path.write_text("- local\n")
    with pytest.raises(ClusterError, match="is not a mapping"):
        Cluster.of(str(path))
