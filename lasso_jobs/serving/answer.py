"""Answers the rows of a request with one version of a model, by the rules of the nightly job."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.columns.kinds import is_kind
from lasso_jobs.data.schema import listed
from lasso_jobs.errors import DataError
from lasso_jobs.models.intervals import Interval, why_none
from lasso_jobs.models.registry import Registered
from lasso_jobs.scoring import bad_rows
from lasso_jobs.scoring.bad_rows import PredictedRows, Reason, predict_rows
from lasso_jobs.scoring.task import Features
from lasso_jobs.serving.bodies import Rows
from lasso_jobs.serving.fields import FEATURE, Field, fields_of
from lasso_jobs.serving.values import column_of

Missing = Literal["error", "impute"]
IN_WORDS = {
    bad_rows.INFINITE: "is infinite",
    bad_rows.NULL: "is null, for which the model has no value",
    bad_rows.NOT_INTEGER: "is no integer",
    bad_rows.TOO_LARGE: "is too large",
    bad_rows.LENGTH: "is no vector of the length of the training",
    bad_rows.OVERFLOW: "is too large",
}
Notes = dict[int, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The predictions for the rows of a request, all by one version.

    Parameters
    ----------
    model_version : str
    table : pyarrow.Table
        The fields that the model needs.
    rows : Rows
        All that was sent.
    prediction, low, high : ndarray, shape (n,), or None
        The interval is None for a model that had no hold-out.
    reasons : dict of int to Reason
        Why rows cannot be scored, by row; what the arrays have there means nothing.
    values : dict
        What the client is told.
    """

    model_version: str
    table: pa.Table
    rows: Rows
    prediction: Floats
    low: Floats | None
    high: Floats | None
    reasons: dict[int, Reason]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A version of a model, ready to answer.

    Parameters
    ----------
    registered : Registered
    features : Features
    interval : Interval or None
    fields : tuple of Field
    missing : {"error", "impute"}
        What happens if a request lacks a field, as ``missing_columns`` of a scoring job.
    names : frozenset of str
        Of all features, those that no prediction needs included.
    """

    registered: Registered
    features: Features
    interval: Interval | None
    fields: tuple[Field, ...]
    missing: Missing
    names: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(
        cls, registered: Registered, missing: Missing, keys: Sequence[str] = ()
    ) -> "ServedModel":
        """Prepare a version: what can be found out once is found out here."""
        model = registered.model
        used = frozenset(model.predictor.used)
        predictor = model.predictor.only(used)
        return cls(
            registered=registered,
            features=Features(
                predictor=predictor,
                used=used,
                nulls_allowed=model.job["preprocess"]["missing"] in ("mean", "indicator"),
                sources={name: name for name in predictor.columns.stored},
                absent=frozenset(),
            ),
            interval=Interval.of(model.holdout, {}),
            fields=fields_of(model, keys),
            missing=missing,
            names=frozenset(model.columns.stored),
        )

    @property
    def model_version(self) -> str:
        """The version's name, such as ``v3``."""
        return f"v{self.registered.version}"

    @property
    def needed(self) -> list[Field]:
        """The fields that each row must have, though their values may be null."""
        imputes = self.missing == "impute" and self.features.nulls_allowed
        return [each for each in self.fields if not (imputes and each.role == FEATURE)]

    def answer(self, rows: Rows, explain: bool = False) -> Answer:
        """Predict the rows of a request.

        Parameters
        ----------
        rows : Rows
        explain : bool
            Whether each row's answer has its contributions.

        Raises
        ------
        DataError
            If a field is missing, or has a value that no row of the training could have.
        """
        lacking = self._lacking(rows)
        table = self._table(rows)
        predicted = predict_rows(table, self.features)
        half = None if self.interval is None else self.interval.half_widths(table)
        prediction, reasons = predicted.prediction, _reasons(predicted)
        low = None if half is None else prediction - half
        high = None if half is None else prediction + half
        answers = _answers(prediction, low, high)
        notes: Notes = {}
        for row, text in self._notes(predicted, lacking):
            notes.setdefault(row, []).append(text)
        for row, said in notes.items():
            answers[row]["notes"] = said
        if explain:
            self._explain(predicted, answers)
        for row, (code, column) in reasons.items():
            answers[row] = dict.fromkeys(("prediction", "prediction_low", "prediction_high"))
            message = f"{column} {IN_WORDS[code]}"
            answers[row]["error"] = {"reason": code, "column": column, "message": message}
        return Answer(
            model_version=self.model_version,
            table=table,
            rows=rows,
            prediction=prediction,
            low=low,
            high=high,
            reasons=reasons,
            values=self._values(rows, answers, explain),
        )

    def _values(self, rows: Rows, answers: list[dict[str, Any]], explain: bool) -> dict[str, Any]:
        model = self.registered.model
        values: dict[str, Any] = {
            "model": model.name,
            "model_version": self.model_version,
            "predictions": answers,
        }
        known = self.names | {each.name for each in self.fields}
        if extra := [name for name in rows.columns if name not in known]:
            values["ignored_fields"] = extra
        if (why := why_none(model.holdout)) is not None:
            values["no_intervals"] = why
        if explain:
            values["base_value"] = model.base_value
        return values

    def _lacking(self, rows: Rows) -> dict[str, int]:
        """The fields that are missing, each with the first row that lacks it."""
        lacking = {
            each.name: rows.lacking.get(each.name, 0)
            for each in self.fields
            if each.name not in rows.columns or each.name in rows.lacking
        }
        refused = [each for each in self.needed if each.name in lacking]
        if refused and rows.n_rows:
            one = refused[0]
            mends = self.features.nulls_allowed and one.role == FEATURE
            raise DataError(
                f"request, row {lacking[one.name]}" if one.name in rows.columns else "request",
                f"lacks the field {one.name!r} ({one.role})",
                f"the fields {listed([each.name for each in self.fields])}",
                "Send it" + ", or start the service with --missing-columns impute" * mends,
            )
        return lacking

    def _table(self, rows: Rows) -> pa.Table:
        columns = [pa.chunked_array([pa.nulls(rows.n_rows)])]  # tells how many rows there are
        for each in self.fields:
            values = rows.columns.get(each.name)
            if values is None:
                values = [None] * rows.n_rows
            if not isinstance(values, pa.ChunkedArray):
                values = pa.chunked_array([column_of(each, values)])
            elif not is_kind(values.type, each.kinds):
                raise DataError(
                    f"request, field {each.name!r}",
                    f"has type {values.type}",
                    f"{' or '.join(each.kinds)}, as in training",
                    "Correct it",
                )
            columns.append(values)
        names = [each.name for each in self.fields]
        return pa.Table.from_arrays(columns, names=["", *names]).select(range(1, len(columns)))

    def _notes(
        self, predicted: PredictedRows, lacking: Mapping[str, int]
    ) -> Iterator[tuple[int, str]]:
        """What was done to a row's values that are not as in training, by row."""
        predictor, block = self.features.predictor, predicted.block
        scalars = frozenset(predictor.columns.scalars)
        for j, name in enumerate(predictor.columns.numeric):
            nulls = np.isnan(block.numeric[j])
            if nulls.any() and name in scalars:
                word = "missing" if name in lacking else "null"
                said = f"{name} is {word}: {predictor.fill[j]:.6g} is taken for it, as in training"
                yield from ((row, said) for row in np.flatnonzero(nulls).tolist())
        for name, (places, _) in predictor.columns.elements().items():
            nulls = np.any([np.isnan(block.numeric[j]) for j in places.tolist()], axis=0)
            said = f"{name} has nulls: the means of its elements are taken for them, as in training"
            yield from ((row, said) for row in np.flatnonzero(nulls).tolist())
        for category, codes in zip(predictor.columns.categories, block.codes, strict=True):
            rest = len(category.levels) if category.other else -1
            fate = "taken as (other)" if category.other else "adds nothing"
            said = f"{category.name} has no level that the model knows: {fate}"
            yield from ((row, said) for row in np.flatnonzero(codes == rest).tolist())

    def _explain(self, predicted: PredictedRows, answers: list[dict[str, Any]]) -> None:
        means = self.registered.model.mean_terms
        for answer in answers:
            answer["contributions"] = {}
        for name, term in self.features.predictor.terms(predicted.block):
            for answer, value in zip(answers, (term - means[name]).tolist(), strict=True):
                answer["contributions"][name] = value


def _answers(prediction: Floats, low: Floats | None, high: Floats | None) -> list[dict[str, Any]]:
    if low is None or high is None:
        return [
            {"prediction": value, "prediction_low": None, "prediction_high": None}
            for value in prediction.tolist()
        ]
    triples = zip(prediction.tolist(), low.tolist(), high.tolist(), strict=True)
    return [
        {"prediction": value, "prediction_low": least, "prediction_high": most}
        for value, least, most in triples
    ]


def _reasons(predicted: PredictedRows) -> dict[int, Reason]:
    """Each bad row's first reason."""
    reasons: dict[int, Reason] = {}
    for reason, rows in predicted.unfit.items():
        for row in np.flatnonzero(rows).tolist():
            reasons.setdefault(row, reason)
    return reasons


def counted(reasons: Mapping[int, Reason]) -> Counter[str]:
    """How many rows cannot be scored, by code."""
    return Counter(code for code, _ in reasons.values())
