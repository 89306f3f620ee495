"""A change of any module that decides what a read leaves changes the keys of the cache."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lasso_jobs
from lasso_jobs.training.read.read_identity import ROOMS_THAT_READ, code_digest

PACKAGE = Path(lasso_jobs.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
READING = [path for path in MODULES if any(path.is_relative_to(room) for room in ROOMS_THAT_READ)]
OTHERS = [path for path in MODULES if path not in READING]


def digest(package: Path) -> str:
    return code_digest.__wrapped__(package)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "lasso_jobs")


def changed(package: Path, path: Path) -> str:
    """The digest with one more byte in one module, which is then taken away."""
    original = (package / path).read_bytes()
    (package / path).write_bytes(original + b"\n")
    try:
        return digest(package)
    finally:
        (package / path).write_bytes(original)


def test_the_rooms_are_there() -> None:
    for room in ROOMS_THAT_READ:
        assert sum(path.is_relative_to(room) for path in READING) > 2


@pytest.mark.parametrize("path", READING, ids=str)
def test_a_change_of_a_module_that_reads_changes_the_key(copy: Path, path: Path) -> None:
    assert changed(copy, path) != digest(copy) == digest(PACKAGE)


def test_a_change_elsewhere_changes_no_key(copy: Path) -> None:
    assert {path.parts[0] for path in OTHERS} > {"models", "scoring", "cli"}
    assert {changed(copy, path) for path in OTHERS} == {digest(PACKAGE)}


def test_a_module_that_is_added_renamed_or_removed_changes_the_key(tmp_path: Path) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "lasso_jobs")
    module = package / "core" / "fit" / "new.py"
    module.write_text("")
    added = digest(package)
    module.rename(module.with_name("newer.py"))
    assert len({added, digest(package), digest(PACKAGE)}) == 3
    module.with_name("newer.py").unlink()
    assert digest(package) == digest(PACKAGE)


def imported(path: Path) -> Iterator[Path]:
    """The modules of the package that a module imports, wherever in it."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lasso_jobs."):
            home = Path(*str(node.module).split(".")[1:])
            for each in (home, *(home / alias.name for alias in node.names)):
                if (PACKAGE / each.with_suffix(".py")).exists():
                    yield each.with_suffix(".py")


@pytest.mark.parametrize("start", ["summary_read.py", "scans/few_columns.py", "scans/tokens.py"])
def test_all_that_a_worker_runs_to_read_is_in_the_key(start: str) -> None:
    """Errors say what is wrong, without secrets; they decide nothing of what is read."""
    waiting, reached = [Path("training/read") / start], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imported(path)
    assert len(reached) > 15
    assert reached - set(READING) == {Path("errors.py"), Path("redact.py")}
