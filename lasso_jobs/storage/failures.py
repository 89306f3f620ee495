"""Turns failures of files and stores into the error of four parts that a person sees."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from lasso_jobs.errors import OutputError
from lasso_jobs.storage import remote


@contextmanager
def as_output_error(
    where: str, expected: str, remedy: str, *kinds: type[Exception]
) -> Iterator[None]:
    """Turn failures of the system, and of these kinds, into an `OutputError`.

    Examples
    --------
    >>> with as_output_error("day.json", "a readable file", "Restore it"):
    ...     raise OSError("no space left")
    Traceback (most recent call last):
    lasso_jobs.errors.OutputError: day.json: no space left; expected a readable file. Restore it.
    """
    caught: tuple[type[Exception], ...] = (OSError, ValueError, *kinds)
    try:
        yield
    except caught as error:
        found = remote.one_line(error)
        # The text of a store's own error may hold what was taken out of this one.
        cause = None if remote.is_uri(where) else error
        helps = waiting_helps(error)
        raise OutputError(where, found, expected, remedy, transient=helps) from cause


_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT"),
        *("ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET"),
        *("ENOTCONN", "ESHUTDOWN", "EREMOTEIO", "ENOLINK"),
    )
    if hasattr(errno, name)
)
_STORE_IS_AWAY = re.compile(
    r"status code[^0-9]{0,20}(5\d\d|429|408)\b|error sending request|response body|dns error"
    r"|connect(ion)? (error|refused|reset|closed)|timed out",
    re.IGNORECASE,
)
"""How object stores' own packages say that a store does not answer, or is overloaded."""


def waiting_helps(error: BaseException) -> bool:
    """Whether a failure of a disk, a network or a store may pass by itself.

    Examples
    --------
    >>> waiting_helps(ConnectionRefusedError()), waiting_helps(PermissionError(13, "denied"))
    (True, False)
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _PASSING
    return bool(_STORE_IS_AWAY.search(remote.one_line(error)))
