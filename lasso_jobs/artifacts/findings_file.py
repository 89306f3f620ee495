"""Stability and diagnostics as parts of a model's file: scalars for JSON, and arrays."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.diagnostics import (
    Collinearity,
    Diagnostics,
    Information,
    LearningCurve,
    LeastSquares,
)
from lasso_jobs.core.stability import Stability

Arrays = dict[str, NDArray[Any]]
_PARTS = {
    "collinearity": Collinearity,
    "information": Information,
    "least_squares": LeastSquares,
    "learning": LearningCurve,
}


def split(stability: Stability | None, diagnostics: Diagnostics) -> tuple[dict[str, Any], Arrays]:
    """The part for JSON, and the arrays."""
    parts = {"stability": stability, **{name: getattr(diagnostics, name) for name in _PARTS}}
    content: dict[str, Any] = {"notes": list(diagnostics.notes)}
    arrays: Arrays = {}
    for name, part in parts.items():
        content[name] = None
        if part is not None:
            # Not asdict, which would copy the arrays.
            values = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
            content[name] = {k: v for k, v in values.items() if not isinstance(v, np.ndarray)}
            arrays |= {f"{name}.{k}": v for k, v in values.items() if isinstance(v, np.ndarray)}
    return content, arrays


def join(content: Mapping[str, Any], arrays: Arrays) -> tuple[Stability | None, Diagnostics]:
    """What `split` took apart."""

    def part(name: str, cls: Any) -> Any:
        if content[name] is None:
            return None
        found = {
            k.removeprefix(f"{name}."): v for k, v in arrays.items() if k.startswith(f"{name}.")
        }
        return cls(**content[name], **found)

    parts = {name: part(name, cls) for name, cls in _PARTS.items()}
    lists = parts["collinearity"]
    parts["collinearity"] = dataclasses.replace(
        lists, constant=tuple(lists.constant), duplicates=tuple(map(tuple, lists.duplicates))
    )
    return part("stability", Stability), Diagnostics(**parts, notes=tuple(content["notes"]))
