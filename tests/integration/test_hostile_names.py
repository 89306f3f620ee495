"""Names that would command a terminal or a page are shown as they are, by whatever shows them."""

import json
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..hostile import NAME, SECRET, SECRETS, TARGET, URI, acted_on, jobs, obeyed

pytestmark = pytest.mark.integration

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# As they are printed, and as a reader of JSON finds them.
SIGN = r"\x1b[31mred"


class Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.found.append(tag)
        self.found += [f"{name}=evil" for name, value in attributes if "evil" in (value or "")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and the job files."""
    folder = tmp_path_factory.mktemp("hostile")
    values = jobs(folder)
    to_database = {**values["score"], "output": {"path": "scores", "format": "postgresql"}}
    estimator = {"estimator": "sklearn.dummy.DummyRegressor"}
    options = {"families": ["ridge"], "estimators": {f"e {NAME}": estimator}}
    compare = {**values["train"], "compare": options}
    for name, job in {**values, "to_database": to_database, "compare": compare}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(job))
    deployed = {"name": f"d {NAME}", "entrypoint": "flows.py:flow"}
    ours = {**deployed, "tags": ["lasso-jobs"]}
    of_all = {"expect": [NAME], "match": {"prefect.resource.id": "*"}, "posture": "Reactive"}
    automation = {"name": f"a {NAME}", "actions": [], "trigger": {**of_all, "type": "event"}}
    for name, content in {
        "untagged/prefect.yaml": {"deployments": [deployed]},
        "alone/prefect.yaml": {"deployments": [ours]},
        "beside/prefect.yaml": {"deployments": [ours]},
        "beside/automations.yaml": {"automations": [automation]},
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


# A server that is not there, with a password.
NOWHERE = f"http://me:{SECRET}@127.0.0.1:1/api"
NAMED = ("--pool", NAME, "--pool-type", NAME, "--dir", NAME, "--image", NAME)
TOLD_SECRETS = (
    ("drift", "show", URI),
    ("drift", "show", "drift", "--html", URI),
    ("verify", URI),
    ("vacuum", URI),
    ("rollback", URI, "--date", "2024-01-01"),
    ("plan", URI),
    ("models", "list", "--registry", URI),
    ("models", "card", "m", "--output", URI),
    ("cache", "list", "--registry", URI),
    ("train", "train.yaml", "--set", f"registry={URI}"),
    ("train", "train.yaml", "--set", f"data.path={URI}"),
    ("train", "train.yaml", "--set", f"data.path=postgresql://me:{SECRET}@host/db"),
    ("train", "train.yaml", "--set", f"password={SECRET}"),
    ("score", "score.yaml", "--cluster", f"tcp://me:{SECRET}@127.0.0.1:1"),
    ("score", "to_database.yaml"),
    ("deploy", "--file", "alone/prefect.yaml", "--prefect-api", NOWHERE),
    ("verify", f"postgresql://me:{SECRET}@127.0.0.1:1/db"),
)
DONE, REFUSED, ALARM = (0,), (1, 2), (3,)
# In this order: each finds what those before it have made.
COMMANDS: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...] = (
    (DONE, ("plan", "train.yaml")),
    (DONE, ("train", "train.yaml")),
    (DONE, ("compare", "compare.yaml")),
    (DONE, ("models", "list")),
    (DONE, ("models", "promote", "m@v1", "--why", NAME)),
    (DONE, ("models", "show", "m")),
    (DONE, ("models", "report", "m", "--html", "report.html")),
    (DONE, ("models", "card", "m")),
    (DONE, ("plan", "score.yaml")),
    (ALARM, ("score", "score.yaml")),
    (DONE, ("score", "score.yaml", "--dry-run")),
    (ALARM, ("drift", "show", "drift", "--html", "drift.html")),
    (DONE, ("verify", "scores")),
    (DONE, ("vacuum", "scores")),
    (ALARM, ("monitor", "monitor.yaml")),
    (DONE, ("cache", "list")),
    # And what cannot be done.
    (REFUSED, (NAME,)),
    (REFUSED, ("train", "train.yaml", f"--{NAME}")),
    (REFUSED, ("train", NAME.replace("/", "~"))),
    (REFUSED, ("train", "train.yaml", "--set", NAME)),
    (REFUSED, ("train", "train.yaml", "--set", f"{NAME.replace('=', '~')}=1")),
    (REFUSED, ("train", "train.yaml", "--set", f"target='{NAME}'")),
    (REFUSED, ("train", "train.yaml", "--set", f"features.include=[{json.dumps(NAME)}]")),
    (REFUSED, ("train", "train.yaml", "--set", f"data.where={json.dumps(NAME)}")),
    (REFUSED, ("train", "train.yaml", "--set", f"data.path={json.dumps(NAME)}")),
    (REFUSED, ("train", "train.yaml", "--date", NAME)),
    (REFUSED, ("score", "score.yaml", "--cluster", NAME)),
    (REFUSED, ("score", "score.yaml", "--from", NAME, "--to", NAME)),
    (REFUSED, ("compare", "compare.yaml", "--date", NAME)),
    (REFUSED, ("compare", "compare.yaml", "--set", f"compare.families=[{json.dumps(NAME)}]")),
    (REFUSED, ("deploy", "--file", NAME)),
    (REFUSED, ("deploy", "--file", "untagged/prefect.yaml")),
    (REFUSED, ("deploy", "--file", "beside/prefect.yaml")),
    (REFUSED, ("deploy", "--file", "alone/prefect.yaml", "--prefect-api", NAME)),
    (REFUSED, ("deploy", "--file", "alone/prefect.yaml", "--prefect-api", NOWHERE, *NAMED)),
    (REFUSED, ("models", "show", NAME)),
    (REFUSED, ("models", "promote", f"m@{NAME}")),
    (REFUSED, ("models", "list", "--registry", f"train.yaml/{NAME}")),
    (REFUSED, ("drift", "show", NAME)),
    (REFUSED, ("drift", "show", "drift", "--run", NAME)),
    (REFUSED, ("drift", "show", "drift", "--date", NAME)),
    (REFUSED, ("rollback", "scores", "--date", NAME)),
    (REFUSED, ("verify", NAME)),
    (REFUSED, ("vacuum", NAME)),
    (REFUSED, ("monitor", "monitor.yaml", "--from", NAME, "--to", NAME)),
    # Secrets where there should be none.
    *((REFUSED, words) for words in TOLD_SECRETS),
)


@pytest.fixture(scope="module")
def told(cli: Run, folder: Path) -> list["subprocess.CompletedProcess[str]"]:
    """What each command prints."""
    return [cli(*arguments, folder=folder, **SECRETS) for _, arguments in COMMANDS]


@pytest.mark.slow
def test_no_command_prints_what_a_terminal_obeys(
    told: list["subprocess.CompletedProcess[str]"],
) -> None:
    for (statuses, words), done in zip(COMMANDS, told, strict=True):
        assert done.returncode in statuses, (words, done.stderr)
        if statuses == REFUSED:
            assert done.stderr.count("\n") == 1, done.stderr
    odd = {done.args: obeyed(done.stdout) | obeyed(done.stderr) for done in told}
    assert {words: signs for words, signs in odd.items() if signs} == {}
    # The names themselves are there, as in every error that is about one.
    named = ("plan", "train", "compare", "deploy", "models", "score", "drift", "monitor")
    shown = {done.args[:2] for done in told if SIGN in done.stdout + done.stderr}
    assert {words[0] for words in shown} >= {*named, "rollback", "verify", "vacuum"}


def test_no_page_and_no_card_acts_on_a_name(
    told: list["subprocess.CompletedProcess[str]"], folder: Path
) -> None:
    pages = [folder / "report.html", folder / "drift.html", *folder.glob("drift/_pages/*.html")]
    assert len(pages) == 3
    for page in pages:
        text = page.read_text()
        assert SIGN in text
        assert obeyed(text) == set()
        assert not {"script", "img", "iframe", "href=evil", "src=evil"} & set(Elements(text).found)
    (card,) = (done.stdout for done in told if done.args == ("models", "card", "m"))
    body, _, job = card.partition("```")
    assert SIGN.replace("\\", "\\\\").replace("[", r"\[") in body
    assert acted_on(body) == ["em_open"], "what a person is to fill in"
    # The job can be copied from it: its escapes are those of YAML.
    fence = "`" * 3 + job[: len(job) - len(job.lstrip("`"))]
    copied = yaml.safe_load(job.lstrip("`").removeprefix("yaml\n").rpartition(fence)[0])
    assert copied["target"] == TARGET


def test_json_is_ascii_that_holds_the_names_themselves(cli: Run, folder: Path, told: Any) -> None:
    for words in (("models", "show", "m"), ("drift", "show", "drift"), ("cache", "list")):
        done = cli(*words, "--json", folder=folder)
        assert done.stdout.isascii() and obeyed(done.stdout) == set()
    shown = json.loads(cli("models", "show", "m", "--json", folder=folder).stdout)
    assert f"n {NAME}" in shown["coef"]


def test_tracebacks_and_log_lines_are_escaped(folder: Path) -> None:
    command = ["lasso-jobs", "train", "train.yaml", "--set", f"target={json.dumps(NAME)}"]
    done = subprocess.run([*command, "--debug"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback") and SIGN in done.stderr
    assert obeyed(done.stderr) == set()


def test_no_secret_is_printed_or_written(
    told: list["subprocess.CompletedProcess[str]"], folder: Path
) -> None:
    leaks = [done.args for done in told if SECRET in done.stdout + done.stderr]
    assert leaks == []
    assert all("tail" not in done.stderr for done in told)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "model.json",
        "card.md",
        "report.html",
        "00000001.json",
    }
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
