"""The errors that a person sees.

LassoJobsError
├── JobError        the job file, or a value on the command line, is wrong
├── DataError       the data is not what the job says
├── ModelError      the registry, or a model in it, is missing or damaged
│   └── FormatError     another version of this package wrote the model
├── OutputError     a result cannot be written
└── ClusterError    the Dask cluster cannot be reached, or gave up

Each is one line made of four parts, so that no message can forget one of them.
"""


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
    """

    def __init__(self, where: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(where, found, expected, remedy)
        self.where = where
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        stop = "" if self.remedy.endswith("?") else "."
        line = f"{self.where}: {self.found}; expected {self.expected}. {self.remedy}{stop}"
        return " ".join(line.split())


class JobError(LassoJobsError):
    """The job file, or a value on the command line, is wrong."""


class DataError(LassoJobsError):
    """The data is not what the job says."""


class ModelError(LassoJobsError):
    """The registry, or a model in it, is missing or damaged."""


class FormatError(ModelError):
    """Another version of this package wrote the model."""


class OutputError(LassoJobsError):
    """A result cannot be written."""


class ClusterError(LassoJobsError):
    """The Dask cluster cannot be reached, or gave up."""
