"""Checks what a job says of columns of vectors, and of those whose tokens are to be vectors."""

from collections.abc import Mapping

from lasso_jobs.data.columns.kinds import Kind, is_kind, kind_of, kinds_with_tokens
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.schema import has_integers, require
from lasso_jobs.data.vectors.features import TokenColumn, VectorOptions
from lasso_jobs.data.vectors.names import names_in_files
from lasso_jobs.errors import DataError

_HAVE_TOKENS = {
    "words": "text, which has words",
    "items": "lists of text",
    "value": "text, integers or booleans",
}


def vector_options(
    dataset: Dataset,
    *,
    sizes: Mapping[str, int],
    files_of_names: Mapping[str, str],
    tokens: Mapping[str, TokenColumn],
) -> VectorOptions:
    """What a job says of vectors, once its columns are there and are of the right types.

    Parameters
    ----------
    dataset : Dataset
    sizes : mapping of str to int
    files_of_names : mapping of str to str
        The files of names are read.
    tokens : mapping of str to TokenColumn

    Raises
    ------
    DataError
        If a column is missing or of another type, or a file of names is not as it should be.
    """
    for key, columns in (("sizes", sizes), ("names", files_of_names)):
        for name in columns:
            found = "lists of numbers, or sparse vectors"
            _require(dataset, name, f"features.{key}", ("vector",), expected=found)
    for name, column in tokens.items():
        how = column.tokens.how
        expected = _HAVE_TOKENS[how]
        _require(dataset, name, "features.tokens", kinds_with_tokens(how), expected=expected)
        is_number = kind_of(dataset.schema.field(name).type) == "number"
        if is_number and not has_integers(dataset, name):
            raise _of_other_type(dataset, name, "features.tokens", expected)
    names = names_in_files(files_of_names)
    for name in sizes.keys() & names.keys():
        if sizes[name] != len(names[name]):
            raise DataError(
                f"{files_of_names[name]}, features.names {name!r}",
                f"has {len(names[name]):,} names",
                f"{sizes[name]:,}, as in features.sizes",
                "Correct one of them",
            )
    return VectorOptions(sizes=sizes, names=names, tokens=tokens)


def _require(
    dataset: Dataset, name: str, key: str, kinds: tuple[Kind, ...], *, expected: str
) -> None:
    require(dataset, name, key)
    type_ = dataset.schema.field(name).type
    if not is_kind(type_, kinds) or (kinds == ("vector",) and is_kind(type_, ())):
        raise _of_other_type(dataset, name, key, expected)


def _of_other_type(dataset: Dataset, name: str, key: str, expected: str) -> DataError:
    return DataError(
        f"{dataset.path}, {key} {name!r}",
        f"has type {dataset.schema.field(name).type}",
        expected,
        "Name another column, or leave it out",
    )
