"""Takes parts of dates for features, as a job asks for them."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from lasso_jobs.core.rows.columns import DateFeature, DatePart
from lasso_jobs.data.columns.kinds import kind_of, kinds_with_part
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.schema import require
from lasso_jobs.errors import DataError


def date_features(
    dataset: Dataset, dates: Mapping[str, Sequence[DatePart]]
) -> tuple[DateFeature, ...]:
    """The parts of dates that a job asks for.

    Raises
    ------
    DataError
        If a column is missing or has no such part, or a part's name is taken.
    """
    features = tuple(
        DateFeature(column, part)
        for column, parts in dates.items()
        for part in dict.fromkeys(parts)
    )
    for date in features:
        require(dataset, date.column, "features.dates")
        type_ = dataset.schema.field(date.column).type
        if kind_of(type_) not in kinds_with_part(date.part) or pa.types.is_dictionary(type_):
            raise DataError(
                f"{dataset.path}, features.dates {date.column!r}",
                f"has type {type_}, which has no {date.part}",
                f"a {' or a '.join(kinds_with_part(date.part))}",
                "Correct features.dates, or convert the column",
            )
        if dataset.schema.get_field_index(date.name) >= 0:
            raise DataError(
                f"{dataset.path}, features.dates",
                f"the data has a column {date.name!r}",
                "none of the name of a part",
                "Rename that column, or leave the part out",
            )
    return features
