"""Names the columns of a file that ``*`` does not mean, though they could be features."""

import re
from collections.abc import Mapping

import pyarrow as pa

_INDEX = re.compile(r"__index_level_\d+__|__null_dask_index__")

_RANGE = "a range index of pandas"


def columns_aside(schema: pa.Schema) -> dict[str, str]:
    """The columns that ``*`` does not mean: indexes of pandas and Dask, and extension types."""
    try:
        of_pandas = (schema.pandas_metadata or {}).get("index_columns", ())
    except ValueError:  # It is no JSON.
        of_pandas = ()
    indexes = {name for name in of_pandas if isinstance(name, str)}
    # A range is no column of the file: pandas makes it again from the metadata.
    ranges = [index for index in of_pandas if isinstance(index, dict)]
    aside = {index["name"]: _RANGE for index in ranges if isinstance(index.get("name"), str)}
    for field in schema:
        extension = _extension(field)
        if field.name in indexes or _INDEX.fullmatch(field.name):
            aside[field.name] = "an index of pandas"
        elif extension is not None:
            aside[field.name] = f"extension type {extension}"
    return aside


def remedy_of_range(aside: Mapping[str, str], name: str) -> str | None:
    """What to do about a column that only pandas sees; None of another that is not there.

    Examples
    --------
    >>> remedy_of_range({"id": "a range index of pandas"}, "id")
    'pandas keeps it as a range, in the metadata only: write the frame after reset_index()'
    """
    if aside.get(name) != _RANGE:
        return None
    return "pandas keeps it as a range, in the metadata only: write the frame after reset_index()"


def _extension(field: pa.Field) -> str | None:
    """The name of a column's extension type, whether this process knows the type or not."""
    if isinstance(field.type, pa.BaseExtensionType):
        return str(field.type.extension_name)
    name = (field.metadata or {}).get(b"ARROW:extension:name")
    return None if name is None else name.decode(errors="replace")
