"""Names a place relative to another, so that both can be moved or copied together."""

import os
import posixpath
from pathlib import Path

from lasso_jobs.storage.files import is_uri


def relative(place: str, start: str) -> str:
    """How to get from one place to another; the whole place if there is no relative way.

    Examples
    --------
    >>> relative("s3://bucket/drift", "s3://bucket/scores/flights")
    '../../drift'
    >>> relative("s3://bucket/drift", "s3://other/scores")
    's3://bucket/drift'
    """
    (store, path), (other, beginning) = _parts(place), _parts(start)
    return os.path.relpath(path, beginning) if store == other else _joined(store, path)


def resolved(reference: str, start: str) -> str:
    """The place that `relative` named, from where `start` is now.

    Examples
    --------
    >>> resolved("../../drift", "s3://bucket/scores/flights")
    's3://bucket/drift'
    """
    if is_uri(reference) or Path(reference).is_absolute():
        return reference
    store, path = _parts(start)
    return _joined(store, posixpath.normpath(posixpath.join(path, reference)))


def _parts(place: str) -> tuple[str, str]:
    """The bucket of a URI, empty for a local path, and the absolute path in it."""
    if not is_uri(place):
        return "", os.path.realpath(place)
    scheme, rest = place.split("://", 1)
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}/", posixpath.normpath(f"/{key}")


def _joined(store: str, path: str) -> str:
    return store + path.lstrip("/") if store else path
