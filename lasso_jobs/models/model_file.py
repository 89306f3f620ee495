"""Turns a model into two files and back: ``model.json`` for people, ``arrays.npz`` for the numbers.

No code is stored and none is run on loading. The digest covers both files' contents, so that two
models are bitwise the same if and only if their digests are.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lasso_jobs.errors import FormatError, ModelError
from lasso_jobs.models.model import Model
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import packing
from lasso_jobs.storage.failures import waiting_helps
from lasso_jobs.storage.json_text import json_text, json_values
from lasso_jobs.storage.packing import Arrays

FORMAT = 7
READABLE = (6, 7)
"""Format 6 has no offset."""
ARRAYS, DOCUMENT = "arrays.npz", "model.json"


def digest(model: Model) -> str:
    """SHA-256 of everything that is in the model."""
    return _digest(*_packed(model))


def pack(model: Model, provenance: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a model, by name; ``model.json`` comes last.

    Parameters
    ----------
    model : Model
    provenance : mapping
        When and how this training ran; not part of the model, nor of its digest.
    """
    content, arrays = _packed(model)
    document = {
        "format": FORMAT,
        "digest": _digest(content, arrays),
        "model": content,
        "provenance": dict(provenance),
    }
    text = json_text(document, indent=2)
    return {ARRAYS: packing.archive(arrays), DOCUMENT: (text + "\n").encode()}


def read(folder: str | Path) -> tuple[Model, str, dict[str, Any]]:
    """Read a model, its digest and its provenance.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or of another format.
    """
    document = _document(folder)
    try:
        found_format = document["format"]
        if found_format not in READABLE:
            raise _other_format(folder, document)
        arrays = packing.arrays_in(storage.read(storage.join(str(folder), ARRAYS)))
        content, stated, provenance = document["model"], document["digest"], document["provenance"]
        if _digest(content, arrays) != stated:
            raise ModelError(
                str(folder),
                "does not match its digest",
                f"SHA-256 {stated}",
                "It was changed after training: restore it, or promote another version",
            )
        del content["labels"]
        return packing.unpack(Model, content, arrays), stated, provenance
    except ModelError:
        raise
    except Exception as error:
        raise _damaged(folder, error) from error


def stated_digest(folder: str | Path) -> str:
    """The digest that a stored model claims; only `read` checks it.

    Raises
    ------
    ModelError
    """
    return str(_document(folder).get("digest"))


def _document(folder: str | Path) -> dict[str, Any]:
    try:
        document = json_values(storage.read(storage.join(str(folder), DOCUMENT)))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if not isinstance(document, dict):
        raise _damaged(folder, TypeError("not a JSON object"))
    return document


def _other_format(folder: str | Path, document: Mapping[str, Any]) -> FormatError:
    number, wrote = document["format"], "Use the version of lasso_jobs that wrote it"
    remedy = f"{wrote}, or train again with this one, and promote that by hand"
    if isinstance(number, int) and number > FORMAT:
        remedy = f"{wrote}, which is newer, or name a model that this one wrote"
    expected = f"format {' or '.join(map(str, READABLE))}, which this version of lasso_jobs reads"
    return FormatError(str(folder), f"has format {number}", expected, remedy)


def _damaged(folder: str | Path, error: Exception) -> ModelError:
    return ModelError(
        str(folder),
        f"cannot be read ({error!r})",
        "an intact model",
        "Restore it, or promote another version",
        transient=waiting_helps(error),
    )


def _digest(content: Mapping[str, Any], arrays: Arrays) -> str:
    sha = hashlib.sha256(json_text(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _packed(model: Model) -> tuple[dict[str, Any], Arrays]:
    """The model for JSON, with its labels for whoever reads it, and its arrays."""
    content, arrays = packing.pack(model)
    return {"labels": list(model.labels), **content}, arrays
