"""Writes and reads a small Delta table that grows by one run's rows at a time, as that of drift.

Each run has a file of its own, in a partition of its own: a run that is repeated is there once.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import Schema

from lasso_jobs.sinks import delta, delta_log, written_file
from lasso_jobs.sinks.delta_log import as_output_error
from lasso_jobs.sinks.fence import refuse_other
from lasso_jobs.sinks.partitions import plain_schema, split
from lasso_jobs.sinks.protocol import Change


def replace_rows(root: str, table: pa.Table, column: str, value: str) -> int:
    """Show `table` in place of the rows where `column` is `value`; return the table's new version.

    The value is in the form of `partition_text`. A table that is missing is created, partitioned
    by `column`. Columns that it lacks are added; earlier rows have nulls there.
    """
    target = ((column, value),)
    delta.refuse_foreign(root)
    files = [
        written_file.write_parquet(rows, root, partition, value)
        for partition, rows in split(table, [column], root, lists=True)
    ]
    _add_columns(root, table.schema, column)
    for file in files:
        refuse_other(root, "rows where", [str(file.partition)], [str(target)])
    return delta.commit(
        Change(
            root=root,
            schema=table.schema,
            partition_by=[column],
            run_id=value,
            files=files,
            replaced=[target],
        )
    )


def _add_columns(root: str, schema: pa.Schema, partition: str) -> None:
    table = delta_log.opened(root)
    if table is None:
        return
    with as_output_error(
        root, "a table that can be written to", "Make room or give access, then run this again"
    ):
        known = {field.name for field in table.schema().fields}
        wanted = Schema.from_arrow(plain_schema(schema, [partition], root, lists=True)).fields
        new = [field for field in wanted if field.name not in known]
        if new and known <= {field.name for field in wanted}:
            table.alter.add_columns(new)


def read_rows(root: str, columns: Sequence[str], by: str, values: Sequence[str]) -> pa.Table:
    """Rows of these values of a partition column; columns that the table lacks are left out."""
    with as_output_error(root, "a readable Delta table", "Restore it, or correct the path"):
        # Without the predicate every file of the table becomes a part of the dataset, at a price.
        dataset = delta_log.dataset(root, [(by, "in", [*values])])
        known = [name for name in columns if name in dataset.schema.names]
        return dataset.to_table(known, filter=pc.field(by).isin(pa.array(values, pa.string())))


def read_where(
    root: str, columns: Sequence[str], equal: Mapping[str, str], *, perhaps: Sequence[str] = ()
) -> pa.Table:
    """Rows of a table where some columns are equal to texts; none if it lacks a column.

    Of the columns ``perhaps``, those that it lacks are left out.
    """
    with as_output_error(root, "a readable Delta table", "Restore it, or name another output"):
        dataset = delta_log.dataset(root)
        if not {*columns, *equal} <= {*dataset.schema.names}:
            return pa.table({name: pa.array([], pa.string()) for name in columns})
        chosen = pc.scalar(True)
        for name, value in equal.items():
            chosen = chosen & (pc.field(name) == value)
        more = [name for name in perhaps if name in dataset.schema.names]
        return dataset.to_table([*columns, *more], filter=chosen)
