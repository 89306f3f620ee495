"""Says what a request must have: a field for each column that used features are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lasso_jobs.core.rows.columns import Category
from lasso_jobs.core.rows.vectors import Vector
from lasso_jobs.data.columns.feature_kinds import expected_kinds
from lasso_jobs.data.columns.kinds import Kind
from lasso_jobs.models.model import Model

_ANY: tuple[Kind, ...] = ("string", "boolean", "integer", "number", "timestamp", "date")
SHOWN_LEVELS = 50
FEATURE, OFFSET, KEY = "a feature", "the model's offset", "a key of the log"
GROUPS = "the groups of the model's intervals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a request.

    Parameters
    ----------
    name : str
    kinds : tuple of Kind
        What its values may be, as in training.
    role : str
    category : Category or None
        Of a category, the levels.
    vector : Vector or None
        Of a vector, the length.
    example : object
        A value that JSON has.
    """

    name: str
    kinds: tuple[Kind, ...]
    role: str
    category: Category | None = None
    vector: Vector | None = None
    example: Any = None

    @property
    def is_number(self) -> bool:
        """Whether it is a number, and no level, date or vector."""
        scalar = self.category is None and self.vector is None
        return scalar and "number" in self.kinds and "string" not in self.kinds

    @property
    def is_text(self) -> bool:
        """Whether nothing but text fits."""
        return self.kinds == ("string",)

    @property
    def is_time(self) -> bool:
        """Whether it is a date or a time, which JSON writes as text."""
        return "string" not in self.kinds and "timestamp" in self.kinds

    def in_words(self) -> str:
        """What it is, for people."""
        if self.category is not None and self.category.levels:
            known = [level for level in self.category.levels if level is not None]
            more = f" and {len(known) - SHOWN_LEVELS:,} more" if len(known) > SHOWN_LEVELS else ""
            rest = "share the level (other)" if self.category.other else "add nothing"
            listed = ", ".join(known[:SHOWN_LEVELS])
            return f"a level: {listed}{more}; others {rest}"
        if self.vector is not None and self.vector.tokens is not None:
            return f"{' or '.join(self.kinds)}, whose tokens are counted"
        if self.vector is not None:
            length = self.vector.length
            return f"a list of {length:,} numbers, or an object with indices and values"
        if self.is_time:
            return "a date or time in ISO 8601; hours are those that its clock shows"
        if self.role == KEY:
            return "which row it is, for the request log"
        if self.role == OFFSET:
            return "a number, which is added to the prediction: never null"
        return "a number, or true or false" if self.is_number else " or ".join(self.kinds)


def fields_of(model: Model, keys: Sequence[str] = ()) -> tuple[Field, ...]:
    """The fields that predictions of a model need, in the order of its features, and the keys."""
    columns = model.predictor.only(model.predictor.used).columns
    categories = {c.name: c for c in columns.categories}
    vectors = {v.column: v for v in columns.vectors}
    kinds = expected_kinds(columns)
    fields = [
        Field(
            name=name,
            kinds=kinds[name],
            role=OFFSET if name == model.predictor.offset else FEATURE,
            category=categories.get(name),
            vector=vectors.get(name),
            example=_example(model, name, categories.get(name), vectors.get(name)),
        )
        for name in columns.stored
    ]
    holdout = model.holdout
    if holdout is not None and holdout.by is not None and holdout.by not in kinds:
        example = next(iter(holdout.intervals), None)
        fields.append(Field(name=holdout.by, kinds=_ANY, role=GROUPS, example=example))
    there = {each.name for each in fields}
    fields += [Field(name=n, kinds=_ANY, role=KEY, example=1) for n in keys if n not in there]
    return tuple(fields)


def _example(model: Model, name: str, category: Category | None, vector: Vector | None) -> Any:
    if vector is not None:
        if vector.tokens is not None:
            return {"words": "some words", "items": ["one", "two"], "value": "a"}[vector.tokens.how]
        return {"indices": [0], "values": [1.0]}
    if category is not None:
        return _level(category)
    if name in model.references:
        return float(f"{model.references[name].mean:.4g}")
    return "2024-05-01T12:00:00"


def _level(category: Category) -> Any:
    level = next((level for level in category.levels if level is not None), None)
    if level is None or category.type == "string":
        return level
    return level == "true" if category.type == "boolean" else int(float(level))
