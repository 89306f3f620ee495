"""Compiles functions by numba, and keeps the code for later processes where that can be done."""

import warnings
from collections.abc import Callable
from typing import Any

from numba import njit

_ADVICE = "each process compiles anew; let NUMBA_CACHE_DIR be a folder that can be written to"


def njit_cached(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with these options of `numba.njit`.

    With numba's own ``cache=True`` a folder that is full or read-only ends the job, at the import
    or after the first call. Here it is a warning, as the code is the same.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = njit(**options)(function)
        try:
            compiled.enable_caching()
        except RuntimeError as error:
            warnings.warn(f"{error}: {_ADVICE}", RuntimeWarning, stacklevel=2)
            return compiled
        cache = compiled._cache
        save = cache.save_overload

        def save_if_possible(*of_a_signature: Any) -> None:
            try:
                save(*of_a_signature)
            except OSError as error:
                found = f"{cache.cache_path} cannot be written to ({error.strerror or error})"
                warnings.warn(f"{found}: {_ADVICE}", RuntimeWarning, stacklevel=2)

        cache.save_overload = save_if_possible
        return compiled

    return decorate
