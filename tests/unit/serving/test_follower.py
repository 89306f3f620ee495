"""Which version answers, as aliases move and registries come and go."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lasso_jobs.errors import ModelError
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.serving.answer import ServedModel
from lasso_jobs.serving.follower import Follower


@pytest.fixture
def own(registry: Path, tmp_path: Path) -> Registry:
    """A registry with two versions of sales; the first is the champion."""
    place = tmp_path / "models"
    shutil.copytree(registry, place)
    own = Registry(place)
    model = own.load("sales").model
    changed = replace(model.predictor, intercept=model.predictor.intercept + 1)
    own.register(replace(model, predictor=changed), {})
    return own


def prepared(registered: Registered) -> ServedModel:
    return ServedModel.of(registered, "error")


def test_an_alias_is_followed_there_and_back(own: Registry) -> None:
    follower = Follower(own, "sales", prepared)
    assert not follower.refresh() and follower.served.model_version == "v1"
    own.promote("sales@v2", "better")
    assert follower.refresh() and follower.served.model_version == "v2"
    assert not follower.refresh() and not follower.refresh()
    own.rollback("sales", "worse")
    assert follower.refresh() and follower.served.model_version == "v1"


def test_a_move_between_the_load_and_the_first_look_is_seen(own: Registry) -> None:
    follower = Follower(own, "sales", prepared)
    own.promote("sales@v2", "better")
    assert follower.refresh() and follower.served.model_version == "v2"


def test_a_version_stays_whatever_is_promoted(own: Registry) -> None:
    follower = Follower(own, "sales@v1", prepared)
    own.promote("sales@v2", "better")
    assert not follower.refresh() and follower.served.model_version == "v1"


def test_while_the_registry_is_away_the_last_version_goes_on(own: Registry) -> None:
    follower = Follower(own, "sales", prepared)
    follower.refresh()
    place, away = Path(own.path), Path(own.path).with_name("away")
    place.rename(away)
    assert not follower.refresh()
    assert follower.trouble is not None and follower.served.model_version == "v1"
    Registry(away).promote("sales@v2", "better")
    away.rename(place)
    assert follower.refresh() and follower.trouble is None
    assert follower.served.model_version == "v2"


def test_a_promoted_version_that_is_damaged_does_not_answer(own: Registry) -> None:
    follower = Follower(own, "sales", prepared)
    own.promote("sales@v2", "better")
    file = Path(own.path) / "sales" / "v2" / "model.json"
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"intercept"', b'"interzept"'))
    assert not follower.refresh() and follower.served.model_version == "v1"
    assert follower.trouble is not None and "v2" in follower.trouble
    file.write_bytes(content)
    assert follower.refresh() and follower.trouble is None


def test_what_nobody_expected_is_told_and_ends_nothing(
    own: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(own, "sales", prepared)

    def broken(_: str) -> Registered:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(own, "load", broken)
        assert not follower.refresh() and follower.trouble == "RuntimeError: out of luck"
    assert not follower.refresh() and follower.trouble is None


def test_with_nothing_to_begin_with_it_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model 'sales'"):
        Follower(Registry(tmp_path), "sales", prepared)
