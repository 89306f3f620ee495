"""Defines the errors that a person sees.

LassoJobsError
├── JobError        the job file, or a value on the command line, is wrong
├── DataError       the data is not what the job says
│   └── NoDataError     there is none, and later there may be some
├── ModelError      the registry, or a model in it, is missing or damaged
│   └── FormatError     another version of this package wrote the model
├── OutputError     a result cannot be written
└── ClusterError    the Dask cluster cannot be reached, or gave up

Each is one line made of four parts, so that no message can forget one of them. Each says as well
whether waiting can help: flows try again what a network, a server or a disk may recover from, and
nothing else.
"""

from lasso_jobs import escape


class LassoJobsError(Exception):
    """Base of every error that ends a job.

    Parameters
    ----------
    where : str
        The file, column, key or address.
    found : str
        What is there.
    expected : str
        What should be there.
    remedy : str
        What to do about it: an imperative sentence without its full stop, or a question.
    transient : bool
        Whether the same may succeed later without anybody's help, as when a server restarts.

    Examples
    --------
    >>> from lasso_jobs import LassoJobsError, load_model
    >>> try:
    ...     load_model("models", "sails")
    ... except LassoJobsError as error:
    ...     print(error.found, "-", error.remedy)
    there is no model 'sails' - Did you mean 'sales'?
    """

    def __init__(
        self, where: str, found: str, expected: str, remedy: str, *, transient: bool = False
    ) -> None:
        super().__init__(where, found, expected, remedy)
        self.transient = transient
        self.where = where
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        stop = "" if self.remedy.endswith("?") else "."
        where, found, expected, remedy = map(
            escape.line, (self.where, self.found, self.expected, self.remedy)
        )
        return f"{where}: {found}; expected {expected}. {remedy}{stop}"

    def __repr__(self) -> str:
        # Prefect logs it.
        return f"{type(self).__name__}({str(self)!r})"


class JobError(LassoJobsError):
    """The job file, or a value on the command line, is wrong."""


class DataError(LassoJobsError):
    """The data is not what the job says."""


class NoDataError(DataError):
    """There is no data for the job. That of a night may come late."""


class ModelError(LassoJobsError):
    """The registry, or a model in it, is missing or damaged."""


class FormatError(ModelError):
    """Another version of this package wrote the model."""


class OutputError(LassoJobsError):
    """A result cannot be written."""


class ClusterError(LassoJobsError):
    """The Dask cluster cannot be reached, or gave up."""
