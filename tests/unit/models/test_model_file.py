import dataclasses
import gc
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lasso_jobs.errors import ModelError
from lasso_jobs.models import model_file
from lasso_jobs.models.model import Model
from lasso_jobs.models.model_file import FORMAT, digest, pack, read
from lasso_jobs.storage import packing

PROVENANCE = {"run_id": "abc", "trained_at": "2026-01-01T00:00:00+00:00", "rows": 500}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a model, however deep, by its path."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, dict):
        yield f"{path} keys", list(value)
        for key, inner in value.items():
            yield from leaves(inner, f"{path}[{key}]")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    elif isinstance(value, np.ndarray):
        yield path, (value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, float):
        yield path, value.hex()
    else:
        yield path, value


def write(model: Model, folder: Path, provenance: dict[str, Any]) -> None:
    for name, content in pack(model, provenance).items():
        (folder / name).write_bytes(content)


@pytest.fixture
def stored(model: Model, tmp_path: Path) -> Path:
    folder = tmp_path / "v1"
    folder.mkdir()
    write(model, folder, PROVENANCE)
    return folder


def test_a_model_comes_back_bitwise(model: Model, stored: Path) -> None:
    copy, _, _ = read(stored)
    assert list(leaves(copy)) == list(leaves(model))


def test_the_copy_predicts_bitwise_the_same(
    model: Model, stored: Path, frame: pd.DataFrame
) -> None:
    copy, _, _ = read(stored)
    np.testing.assert_array_equal(copy.predict(frame), model.predict(frame))
    np.testing.assert_array_equal(
        copy.to_sklearn().predict(frame), model.to_sklearn().predict(frame)
    )


def test_a_model_without_holdout_comes_back(model: Model, tmp_path: Path) -> None:
    bare = dataclasses.replace(model, holdout=None, evaluated=None)
    write(bare, tmp_path, {})
    copy, _, provenance = read(tmp_path)
    assert (copy.holdout, copy.evaluated, provenance) == (None, None, {})


def test_findings_that_are_missing_stay_missing(model: Model, tmp_path: Path) -> None:
    collinear = dataclasses.replace(
        model.diagnostics.collinearity, correlation=None, duplicates=((3, 1), (4, 1))
    )
    diagnostics = dataclasses.replace(
        model.diagnostics, collinearity=collinear, information=None, least_squares=None
    )
    bare = dataclasses.replace(model, stability=None, diagnostics=diagnostics)
    write(bare, tmp_path, {})
    assert list(leaves(read(tmp_path)[0])) == list(leaves(bare))
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert not any("stability" in n or "information" in n or "least" in n for n in arrays)


def test_values_that_are_hard_to_print_come_back_bitwise(model: Model, tmp_path: Path) -> None:
    odd = dataclasses.replace(
        model,
        alpha=5e-324,
        prediction_mean=-0.0,
        prediction_sd=0.1 + 0.2,
        means=np.array([np.nan, np.inf, -np.inf, -0.0, 1e308]),
    )
    write(odd, tmp_path, {})
    assert list(leaves(read(tmp_path)[0])) == list(leaves(odd))


def test_the_digest_is_stated_in_the_file_and_found_on_reading(model: Model, stored: Path) -> None:
    document = json.loads((stored / "model.json").read_text())
    _, found, provenance = read(stored)
    assert document["digest"] == found == digest(model)
    assert (document["format"], provenance) == (FORMAT, PROVENANCE)


def test_the_digest_does_not_depend_on_provenance(model: Model, tmp_path: Path) -> None:
    digests = []
    for name, provenance in (("a", {}), ("b", {"run_id": "other"})):
        (tmp_path / name).mkdir()
        write(model, tmp_path / name, provenance)
        digests.append(read(tmp_path / name)[1])
    assert digests[0] == digests[1]


def nudged(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        changed = value.copy()
        last = changed.flat[-1]
        changed.flat[-1] = last + 1 if changed.dtype.kind in "iu" else np.nextafter(last, np.inf)
        return changed
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return float(np.nextafter(value, np.inf))
    return value + 1 if isinstance(value, int) else f"{value}!"


def changed_once(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The value again and again, each time with one leaf of it changed by the least."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            for where, inner in changed_once(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, dataclasses.replace(value, **{field.name: inner})
    elif isinstance(value, dict):
        for key in value:
            for where, inner in changed_once(value[key], f"{path}[{key}]"):
                yield where, {**value, key: inner}
    elif isinstance(value, list | tuple):
        for i in range(len(value)):
            for where, inner in changed_once(value[i], f"{path}[{i}]"):
                yield where, type(value)((*value[:i], inner, *value[i + 1 :]))
    elif isinstance(value, np.ndarray):
        if value.size and not np.isnan(value.flat[-1]):
            yield path, nudged(value)
    elif value is not None and value == value:
        if path.endswith(".type") or (isinstance(value, bool) and path.endswith(".other")):
            return  # changes the number of columns or their meaning: no other model, but no model
        yield path, nudged(value)


def test_the_digest_changes_with_any_single_value(model: Model) -> None:
    seen = {digest(model): "the model itself"}
    n_changes = 0
    for path, other in changed_once(model):
        n_changes += 1
        found = digest(other)
        assert found not in seen, f"{path} and {seen[found]} have one digest"
        seen[found] = path
    assert n_changes > 90


def test_the_digest_tells_shapes_and_types_apart(model: Model) -> None:
    curve = dataclasses.replace(model.curve, fold_mse=model.curve.fold_mse.T.copy())
    flat = dataclasses.replace(model.curve, fold_mse=model.curve.fold_mse.ravel())
    single = dataclasses.replace(model, means=model.means.astype(np.float32))
    others = [dataclasses.replace(model, curve=curve), dataclasses.replace(model, curve=flat)]
    assert len({digest(m) for m in (model, single, *others)}) == 4


def test_the_digest_does_not_depend_on_memory_layout(model: Model) -> None:
    curve = dataclasses.replace(model.curve, fold_mse=np.asfortranarray(model.curve.fold_mse))
    assert digest(dataclasses.replace(model, curve=curve)) == digest(model)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def resave(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / "arrays.npz") as found:
        arrays = {**found, **changes}
    np.savez(folder / "arrays.npz", **arrays)


def one_line(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(folder)
    line = str(caught.value)
    assert line.startswith(f"{folder}: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["model.json", "arrays.npz"])
@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"\x00garbage" * 50, None],
    ids=["empty", "truncated", "garbage", "missing"],
)
def test_a_damaged_file_is_refused(
    stored: Path, name: str, damage: Callable[[bytes], bytes] | None
) -> None:
    path = stored / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    assert "cannot be read" in one_line(stored)
    gc.collect()  # a file that was left open warns here


def test_a_flipped_bit_among_the_numbers_is_found(stored: Path) -> None:
    path = stored / "arrays.npz"
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("predictor.coef.npy")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 200] ^= 1
    path.write_bytes(content)
    one_line(stored)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["model"]["predictor"].update(intercept=1e-9),
        lambda d: d["model"]["job"].update(seed=7),
        lambda d: d.update(digest="0" * 64),
        lambda d: d["model"].update(more=1),
        lambda d: d["model"].pop("labels"),
    ],
    ids=["intercept", "job", "digest", "one more key", "one key less"],
)
def test_an_edited_model_does_not_match_its_digest(stored: Path, change) -> None:
    edit(stored / "model.json", change)
    assert "does not match its digest" in one_line(stored)


def test_edited_numbers_do_not_match_the_digest(stored: Path) -> None:
    resave(stored, more=np.zeros(1))
    assert "does not match its digest" in one_line(stored)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(more=1),
        lambda content: content.pop("labels"),
        lambda content: content.pop("alpha"),
        lambda content: content.update(alpha="much"),
        lambda content: content["predictor"].update(coef="predictor.fill"),
        lambda content: content["references"].clear(),
    ],
)
def test_a_digest_does_not_make_a_model_of_what_is_none(
    stored: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    document = json.loads((stored / "model.json").read_text())
    change(document["model"])
    with np.load(stored / "arrays.npz") as arrays:
        document["digest"] = model_file._digest(document["model"], {**arrays})
    (stored / "model.json").write_text(json.dumps(document))
    assert "cannot be read" in one_line(stored)


@pytest.mark.parametrize("key", ["format", "digest", "model", "provenance"])
def test_a_file_that_lacks_a_part_is_refused(stored: Path, key: str) -> None:
    edit(stored / "model.json", lambda d: d.pop(key))
    assert "cannot be read" in one_line(stored)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"', "{}"])
def test_json_that_is_no_model_is_refused(stored: Path, content: str) -> None:
    (stored / "model.json").write_text(content)
    assert "cannot be read" in one_line(stored)


@pytest.mark.parametrize("number", [0, FORMAT + 1, "1", None])
def test_another_format_is_refused_by_its_number(stored: Path, number: object) -> None:
    edit(stored / "model.json", lambda d: d.update(format=number))
    assert f"has format {number}; expected format 6 or 7" in one_line(stored)


def test_a_model_of_the_format_before_had_no_offset(stored: Path) -> None:
    def as_before(document: dict[str, Any]) -> None:
        content = document["model"]
        for name in ("predictor", "evaluated"):
            if content[name] is not None:
                del content[name]["offset"]
        arrays = packing.arrays_in((stored / "arrays.npz").read_bytes())
        document |= {"format": 6, "digest": model_file._digest(content, arrays)}

    edit(stored / "model.json", as_before)
    assert read(stored)[0].predictor.offset is None


def test_another_format_is_told_even_if_all_else_differs(stored: Path) -> None:
    (stored / "model.json").write_text(json.dumps({"format": FORMAT + 1, "parts": []}))
    (stored / "arrays.npz").unlink()
    assert f"has format {FORMAT + 1}" in one_line(stored)


class Bomb:
    exploded = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (_explode, ())


def _explode() -> float:
    Bomb.exploded = True
    return 0.0


def test_a_pickled_array_is_refused_and_not_run(stored: Path) -> None:
    with np.load(stored / "arrays.npz") as found:
        arrays = {**found, "predictor.coef": np.array([Bomb()], object)}
    np.savez(stored / "arrays.npz", **arrays)
    assert "cannot be read" in one_line(stored)
    assert not Bomb.exploded


def test_a_pickle_in_place_of_the_arrays_is_refused_and_not_run(stored: Path) -> None:
    (stored / "arrays.npz").write_bytes(pickle.dumps(Bomb()))
    assert "cannot be read" in one_line(stored)
    assert not Bomb.exploded


def test_nothing_but_json_and_arrays_is_written(stored: Path) -> None:
    assert sorted(p.name for p in stored.iterdir()) == ["arrays.npz", "model.json"]
    with zipfile.ZipFile(stored / "arrays.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    with np.load(stored / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fiu" for name in arrays.files)


def test_the_json_has_the_labels_and_coefficients_that_a_person_looks_for(
    model: Model, stored: Path
) -> None:
    content = json.loads((stored / "model.json").read_text())["model"]
    assert content["labels"] == list(model.labels)
    assert content["predictor"]["intercept"] == model.intercept
    with np.load(stored / "arrays.npz") as arrays:
        np.testing.assert_array_equal(arrays[content["predictor"]["coef"]], model.coef.to_numpy())


def test_a_model_can_be_moved(stored: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(stored, tmp_path / "else where"))
    assert read(moved)[1] == json.loads((moved / "model.json").read_text())["digest"]
