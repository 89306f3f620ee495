import dataclasses
import errno
import getpass
import json
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest

from lasso_jobs.errors import ModelError
from lasso_jobs.models import registry as registry_module
from lasso_jobs.models.alias_log import AliasLog
from lasso_jobs.models.model import Model
from lasso_jobs.models.model_file import DOCUMENT, FORMAT, READABLE, digest
from lasso_jobs.models.registry import Registry
from lasso_jobs.storage import files as storage

N_PROCESSES = 4


def variant(model: Model, number: int, name: str = "births") -> Model:
    """A model that differs from all other variants in one number."""
    return dataclasses.replace(model, name=name, prediction_mean=float(number))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def three(registry: Registry, model: Model) -> Registry:
    """Three versions, none promoted."""
    for number in (1, 2, 3):
        registry.register(variant(model, number), {"number": number})
    return registry


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def refused(action, *arguments: object) -> str:
    with pytest.raises(ModelError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Versions


def test_versions_count_from_one(three: Registry) -> None:
    assert three.names() == ["births"]
    assert three.versions("births") == [1, 2, 3]


def test_versions_are_ordered_as_numbers(registry: Registry, model: Model) -> None:
    for number in range(1, 12):
        assert registry.register(variant(model, number), {}).version == number
    assert registry.versions("births") == list(range(1, 12))


def test_a_version_never_changes(three: Registry, model: Model) -> None:
    before = contents(Path(three.path) / "births" / "v1")
    three.register(variant(model, 4), {})
    three.promote("births@v1", "test")
    three.register(variant(model, 1), {"number": "again"})
    assert contents(Path(three.path) / "births" / "v1") == before


def test_the_same_content_again_stays_the_newest_version(three: Registry, model: Model) -> None:
    again = three.register(variant(model, 3), {"number": "again"})
    assert again.version == 3
    assert again.provenance == {"number": 3}
    assert three.versions("births") == [1, 2, 3]


def test_the_content_of_an_older_version_stays_that_version(three: Registry, model: Model) -> None:
    assert three.register(variant(model, 1), {}).version == 1
    assert three.versions("births") == [1, 2, 3]


def test_what_was_registered_is_loaded(three: Registry, model: Model) -> None:
    found = three.load("births@v2")
    assert (found.version, found.reference) == (2, "births@v2")
    assert found.digest == digest(variant(model, 2)) == digest(found.model)
    assert found.provenance == {"number": 2}


def test_names_are_apart(three: Registry, model: Model) -> None:
    assert three.register(variant(model, 1, "other"), {}).version == 1
    assert three.names() == ["births", "other"]


def test_an_absent_registry_has_no_models(registry: Registry) -> None:
    assert (registry.names(), registry.versions("births"), registry.moves("births")) == ([], [], [])
    assert not Path(registry.path).exists()


def test_leftovers_of_a_killed_training_are_ignored(three: Registry, model: Model) -> None:
    folder = Path(three.path) / "births"
    (folder / ".staged-0123").mkdir()
    (folder / ".staged-0123" / "model.json").write_text("{")
    (Path(three.path) / "empty").mkdir()
    (Path(three.path) / "staged-only" / ".staged-1").mkdir(parents=True)
    (Path(three.path) / "notes.txt").write_text("v1")
    for odd in ("v0", "v01", "v", "version4", "v4.bak", "v-1"):
        (folder / odd).mkdir()
    assert three.names() == ["births"]
    assert three.versions("births") == [1, 2, 3]
    assert three.register(variant(model, 4), {}).version == 4


def test_a_training_killed_between_its_files_leaves_a_number_unused(
    three: Registry, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    create = registry_module.storage.create

    def killed(place: str, content: bytes) -> None:
        if place.endswith("model.json"):
            raise KilledError
        create(place, content)

    with monkeypatch.context() as patch:
        patch.setattr(registry_module.storage, "create", killed)
        with pytest.raises(KilledError):
            three.register(variant(model, 4), {})
    assert three.versions("births") == [1, 2, 3]
    assert "there is no 'v4'" in refused(three.load, "births@v4")
    assert three.register(variant(model, 4), {}).version == 5
    assert three.versions("births") == [1, 2, 3, 5]


def test_a_registration_that_fails_leaves_nothing(
    three: Registry, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(Path(three.path))

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry_module.model_file, "pack", no_space)
    with pytest.raises(OSError, match="No space"):
        three.register(variant(model, 4), {})
    assert contents(Path(three.path)) == before
    assert three.versions("births") == [1, 2, 3]


@pytest.mark.parametrize("name", ["arrays.npz", "model.json"])
def test_a_new_training_mends_a_registry_whose_newest_version_is_damaged(
    three: Registry, model: Model, name: str
) -> None:
    (Path(three.path) / "births" / "v3" / name).write_bytes(b"damaged")
    assert three.register(variant(model, 4), {}).version == 4


# References


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("births@v1", 1),
        ("births@v3", 3),
        ("births", 2),
        ("births@champion", 2),
        ("births@old-1", 1),
    ],
)
def test_a_reference_is_a_version_an_alias_or_the_champion(
    three: Registry, reference: str, version: int
) -> None:
    three.promote("births@v2", "test")
    three.promote("births@v1", "test", alias="old-1")
    assert three.resolve(reference) == ("births", version)
    assert three.load(reference).version == version


@pytest.mark.parametrize("length", [8, 12, 64])
def test_a_reference_may_be_the_beginning_of_a_digest(
    three: Registry, model: Model, length: int
) -> None:
    selector = digest(variant(model, 2))[:length]
    assert three.load(f"births@{selector}").version == 2


def test_a_digest_needs_eight_digits(three: Registry, model: Model) -> None:
    assert "there is no" in refused(three.load, f"births@{digest(variant(model, 2))[:7]}")


def test_a_digest_is_found_beside_a_damaged_version(three: Registry, model: Model) -> None:
    (Path(three.path) / "births" / "v1" / "model.json").write_text("{")
    assert three.resolve(f"births@{digest(variant(model, 2))[:16]}") == ("births", 2)


def test_an_unknown_name_is_refused_with_those_there_are_and_the_nearest(
    three: Registry, model: Model
) -> None:
    three.register(variant(model, 1, "flights"), {})
    line = refused(three.load, "birth@champion")
    assert "there is no model 'birth'; expected one of: births, flights" in line
    assert "Did you mean 'births'" in line


def test_an_empty_registry_says_so(registry: Registry) -> None:
    assert "it holds none" in refused(registry.load, "births")


@pytest.mark.parametrize("selector", ["v4", "v0", "champoin", "00000000", "V1"])
def test_an_unknown_selector_is_refused_with_those_there_are(
    three: Registry, selector: str
) -> None:
    three.promote("births@v2", "test")
    line = refused(three.load, f"births@{selector}")
    assert f"there is no '{selector}'; expected one of: champion, v1, v2, v3" in line


def test_a_name_without_a_champion_is_refused(three: Registry) -> None:
    assert "there is no 'champion'; expected one of: v1, v2, v3" in refused(three.load, "births")


@pytest.mark.parametrize(
    "reference", ["", "@v1", "births@", "births@v1@v2", "../births", "a/b@v1", "births@v 1", ".a"]
)
def test_what_is_no_reference_is_refused(three: Registry, reference: str) -> None:
    assert "is no model reference" in refused(three.load, reference)


def test_a_damaged_version_is_refused_by_its_folder(three: Registry) -> None:
    (Path(three.path) / "births" / "v2" / "arrays.npz").write_bytes(b"")
    assert str(Path(three.path) / "births" / "v2") in refused(three.load, "births@v2")
    assert three.load("births@v3").version == 3


# Aliases


def test_a_promotion_is_logged_with_who_when_and_why(three: Registry) -> None:
    move = three.promote("births@v2", "better")
    assert three.moves("births") == [move]
    assert (move.alias, move.action, move.old, move.new) == ("champion", "promote", None, 2)
    assert move.why == "better"
    assert move.by
    assert datetime.fromisoformat(move.at).utcoffset().total_seconds() == 0


def test_aliases_move_apart(three: Registry) -> None:
    three.promote("births@v1", "test")
    three.promote("births@v3", "test", alias="challenger")
    three.promote("births@challenger", "won")
    assert three.aliases("births") == {"champion": 3, "challenger": 3}
    assert [(m.alias, m.old, m.new) for m in three.moves("births")] == [
        ("champion", None, 1),
        ("challenger", None, 3),
        ("champion", 1, 3),
    ]


def test_promoting_a_missing_version_is_refused_and_not_logged(three: Registry) -> None:
    refused(three.promote, "births@v9", "test")
    assert three.moves("births") == []


@pytest.mark.parametrize("alias", ["v2", "two words", "", "a@b", "0123456789"])
def test_an_alias_that_could_never_be_referred_to_is_refused(three: Registry, alias: str) -> None:
    refused(three.promote, "births@v1", "test", alias)
    assert three.moves("births") == []


def test_the_log_keeps_its_order_past_nine_moves(three: Registry) -> None:
    versions = [1 + i % 3 for i in range(12)]
    for version in versions:
        three.promote(f"births@v{version}", "test")
    assert [move.new for move in three.moves("births")] == versions
    assert three.aliases("births") == {"champion": versions[-1]}


def test_rolling_back_twice_goes_back_twice(three: Registry) -> None:
    for version in (1, 2, 3):
        three.promote(f"births@v{version}", "test")
    assert [three.rollback("births", "bad").new for _ in range(2)] == [2, 1]
    assert three.aliases("births") == {"champion": 1}
    assert [m.action for m in three.moves("births")] == ["promote"] * 3 + ["rollback"] * 2


def test_rolling_back_does_not_return_to_what_was_rolled_back(three: Registry) -> None:
    three.promote("births@v1", "test")
    three.promote("births@v2", "test")
    three.rollback("births", "bad")
    three.promote("births@v3", "test")
    assert three.rollback("births", "bad").new == 1


def test_rolling_back_one_alias_leaves_the_others(three: Registry) -> None:
    for alias in ("champion", "challenger"):
        three.promote("births@v1", "test", alias)
        three.promote("births@v2", "test", alias)
    three.rollback("births", "bad", "challenger")
    assert three.aliases("births") == {"champion": 2, "challenger": 1}


def test_rolling_back_after_promoting_the_champion_again_changes_the_champion(
    three: Registry,
) -> None:
    for version in (1, 2, 2):
        three.promote(f"births@v{version}", "test")
    assert three.rollback("births", "bad").new == 1


def test_rolling_back_the_first_champion_is_refused(three: Registry) -> None:
    three.promote("births@v2", "test")
    assert "champion has had no version before v2" in refused(three.rollback, "births", "bad")
    assert len(three.moves("births")) == 1


def test_rolling_back_without_a_champion_is_refused(three: Registry) -> None:
    assert "there is no 'champion'" in refused(three.rollback, "births", "bad")


def test_rolling_back_an_unknown_name_is_refused(three: Registry) -> None:
    assert "Did you mean 'births'" in refused(three.rollback, "birth", "bad")


@pytest.mark.parametrize("name", ["births@v1", "births@champion", "births@"])
def test_rolling_back_takes_the_name_of_a_model(three: Registry, name: str) -> None:
    three.promote("births@v1", "test")
    said = refused(three.rollback, name, "bad")
    assert said.startswith(f"{name}: names a version or an alias; expected the name of a model")
    assert "Give 'births'" in said


@pytest.mark.parametrize("other", [min(READABLE) - 1, FORMAT + 1])
def test_no_alias_moves_to_a_version_of_another_format(three: Registry, other: int) -> None:
    three.promote("births@v1", "test")
    three.promote("births@v2", "test")
    path = Path(three.place_of("births@v1", DOCUMENT))
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": other}))
    for move in (three.rollback, three.promote):
        said = refused(move, "births" if move == three.rollback else "births@v1", "bad")
        assert f"has format {other}; expected format 6 or 7" in said
        assert ("newer" if other > FORMAT else "train again with this one") in said
    assert three.aliases("births") == {"champion": 2}
    assert three.promote("births@v3", "a version that can be read may follow").new == 3


def test_a_registry_that_cannot_be_written_is_named(tmp_path: Path, model: Model) -> None:
    (tmp_path / "models").write_text("a file, where a folder should be")
    said = refused(Registry(tmp_path / "models").register, model, {})
    assert said.startswith(f"{tmp_path}/models: cannot be ")
    (tmp_path / "models").unlink()
    registry = Registry(tmp_path / "models")
    registry.register(variant(model, 1), {})
    (tmp_path / "models" / "births" / "aliases").write_text("likewise")
    assert "aliases" in refused(registry.promote, "births@v1", "test")


@pytest.mark.parametrize("file", ["v2/arrays.npz", "aliases/00000001.json"])
def test_a_full_disk_is_no_foreign_exception(
    three: Registry, model: Model, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def full(place: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "create", full)
    if file.startswith("v"):
        said = refused(three.register, variant(model, 9), {})
    else:
        said = refused(three.promote, "births@v1", "test")
    assert "cannot be written ([Errno 28] No space left on device)" in said
    assert "Make room or give access, and" in said


def test_of_many_versions_an_error_names_the_newest(registry: Registry, model: Model) -> None:
    for number in range(14):
        registry.register(variant(model, number), {})
    said = refused(registry.load, "births@v99")
    assert "one of: v3, v4, " in said
    assert "v14" in said


def test_leftovers_of_a_killed_promotion_are_ignored(three: Registry) -> None:
    three.promote("births@v1", "test")
    (Path(three.path) / "births" / "aliases" / ".staged-1").write_text("{")
    assert three.promote("births@v2", "test").old == 1
    assert len(three.moves("births")) == 2


def test_an_alias_whose_newest_move_is_lost_is_refused(three: Registry) -> None:
    three.promote("births@v1", "test")
    three.promote("births@v3", "test")
    (Path(three.path) / "births" / "aliases" / "00000002.json").unlink()
    for use in (three.load, three.aliases):
        assert "has 1 entries; expected the 2 that were written" in refused(use, "births")
    assert three.load("births@v1").version == 1
    three.promote("births@v2", "what was lost is not known")
    assert three.load("births").version == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"alias": "champion"}'])
def test_a_damaged_log_is_refused_by_its_file(three: Registry, content: str) -> None:
    three.promote("births@v1", "test")
    (entry,) = (Path(three.path) / "births" / "aliases").iterdir()
    entry.write_text(content)
    assert str(entry) in refused(three.load, "births")


def test_an_entry_of_the_log_is_never_replaced(three: Registry) -> None:
    three.promote("births@v1", "test")
    before = contents(Path(three.path) / "births" / "aliases")
    three.promote("births@v2", "test")
    after = contents(Path(three.path) / "births" / "aliases")
    assert before.items() <= after.items()
    assert len(after) == 2
    assert json.loads(after["00000002.json"])["old"] == 1


# Several at once


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(N_PROCESSES, get_context("fork")) as pool:
        yield pool


def _register(path: Path, model: Model) -> tuple[int, str]:
    registered = Registry(path).register(model, {"process": os.getpid()})
    return registered.version, registered.digest


def _promote(path: Path, version: int) -> bool:
    try:
        Registry(path).promote(f"births@v{version}", f"{version}")
    except ModelError as error:
        assert "at the same time" in str(error)
        return False
    return True


def test_concurrent_registrations_get_versions_of_their_own(
    registry: Registry, model: Model, processes: ProcessPoolExecutor
) -> None:
    models = [variant(model, number) for number in range(24)]
    found = list(processes.map(_register, [Path(registry.path)] * 24, models))
    assert sorted(version for version, _ in found) == list(range(1, 25))
    for version, expected in found:
        assert registry.load(f"births@v{version}").digest == expected
    assert [p.name for p in (Path(registry.path) / "births").iterdir() if p.name[0] == "."] == []


def test_concurrent_promotions_lose_no_entry_and_form_one_chain(
    three: Registry, processes: ProcessPoolExecutor
) -> None:
    versions = [1 + i % 3 for i in range(60)]
    won = list(processes.map(_promote, [Path(three.path)] * 60, versions))
    moves = three.moves("births")
    assert len(moves) == sum(won)
    assert sorted(m.new for m in moves) == sorted(
        v for v, w in zip(versions, won, strict=True) if w
    )
    assert moves[0].old is None
    assert all(later.old == earlier.new for earlier, later in pairwise(moves))


def test_of_several_moves_from_one_state_exactly_one_wins(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = three.moves("births")
    monkeypatch.setattr(AliasLog, "entries", lambda *_: seen)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(_promote, [Path(three.path)] * 8, [1, 2, 3] * 3))
    assert sum(won) == 1
    monkeypatch.undo()
    assert len(three.moves("births")) == 1


def test_an_unnamed_user_is_logged_by_number(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert three.promote("births@v1", "test").by == f"uid {os.getuid()}"


@pytest.mark.parametrize("reference", ["births", "births@champion"])
def test_a_promotion_names_a_version_that_is_not_just_the_champion(
    three: Registry, reference: str
) -> None:
    three.promote("births@v2", "test")
    with pytest.raises(ModelError) as caught:
        three.promote(reference, "test")
    line = str(caught.value)
    assert f"{reference} is the version that champion has already" in line
    assert "expected one of: births@v1, births@v2, births@v3. Name the version to promote" in line
    assert len(three.moves("births")) == 1
    assert three.promote("births", "kept", alias="stable").new == 2


def test_a_list_of_no_registry_is_refused_and_of_an_empty_one_is_empty(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no registry; .* Name it with --registry"):
        Registry(tmp_path / "nowhere").as_values()
    (tmp_path / "models").mkdir()
    assert Registry(tmp_path / "models").as_values() == []
    with pytest.raises(ModelError, match="or correct the path of the registry"):
        Registry(tmp_path / "nowhere").load("births")
