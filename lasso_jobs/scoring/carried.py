"""Settles the columns that go from the source into the output, and their types there."""

from dataclasses import replace

import pyarrow as pa

from lasso_jobs.data.columns.column_fates import types_in_files
from lasso_jobs.data.columns.contract import Contract
from lasso_jobs.data.columns.keys import may_hold
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.score import Output, ScoreJob
from lasso_jobs.scoring.task import QUARANTINE_COLUMNS, scored_columns
from lasso_jobs.sinks import protocol
from lasso_jobs.sinks.partitions import names_folders


def carried_columns(job: ScoreJob) -> dict[str, str]:
    """The keys and the partition columns, which go into the output, with the option of each."""
    written = [*scored_columns(job.output.contributions).names, *QUARANTINE_COLUMNS.names]
    roles = dict.fromkeys(job.key_columns, "keys")
    roles = {**roles, **dict.fromkeys(job.output.partition_by, "output.partition_by")}
    for name in roles:
        if name in written:
            raise JobError(
                "keys, output.partition_by",
                f"{name!r} is a column that scoring writes",
                f"names other than {', '.join(dict.fromkeys(written))}",
                "Rename the column in the source",
            )
    return roles


def check_written_types(job: ScoreJob, carried: pa.Schema) -> None:
    """Refuse columns that have no type yet, or that cannot name folders as they should."""
    for field in carried:
        if pa.types.is_null(field.type):
            raise DataError(
                f"{job.data.path}, column {field.name!r}",
                "has no value in any file, and so no type that the output could have",
                "a type, which the first files with values give the output for good",
                "Score such files first, or write the column with its type",
            )
    for name in job.output.partition_by:
        if job.output.format in protocol.FOLDERS and not names_folders(name, job.output.format):
            raise DataError(
                f"{job.data.path}, output.partition_by {name!r}",
                "the name of its folders would hide the column from readers",
                "a name without / \\ = ? and %20, and for format: parquet no _ or dot at its start",
                "Rename the column in the source, or partition by another",
            )
        type_ = carried.field(name).type
        if kind_of(type_) not in ("string", "integer", "boolean") and type_ != pa.date32():
            raise DataError(
                f"{job.data.path}, output.partition_by {name!r}",
                f"has type {type_}",
                "text, integers, booleans or dates",
                "Name another column, or derive one such as the date",
            )


def as_written(output: Output, contract: Contract, dataset: Dataset) -> Contract:
    """The contract with the types that the output has already, where they may hold the values.

    The first night settles an output's types. A later night may have the same keys in another type,
    such as the double that pandas makes of integers with a null. Whether each of its values has a
    form in the output's type is seen when it is read.
    """
    there = protocol.sink(output.format).columns(output.path)
    carried, fates = [], {fate.column: fate for fate in contract.columns}
    for field in contract.carried:
        if field.name in there.names:
            type_ = there.field(field.name).type
            plain = kind_of(type_) == kind_of(field.type) == "string"
            if type_ != field.type and not plain and may_hold(type_, field.type):
                file, own = types_in_files(dataset, field.name)[0]
                if fates[field.name].fate == "ok":
                    fate = fates[field.name]
                    said = f"{own} where the output has {type_}"
                    fates[field.name] = fate.deviating("converted", file, said)
                field = field.with_type(type_)
        carried.append(field)
    return replace(contract, carried=pa.schema(carried), columns=tuple(fates.values()))
