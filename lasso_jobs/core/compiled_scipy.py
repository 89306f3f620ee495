"""The compiled functions of scipy that a training needs, without the Python code around them.

``import scipy.linalg, scipy.special`` takes 0.25 processor seconds, a sixth of a training of few
rows. Most of it is for arrays of other libraries: scipy copies every public name of numpy, for
which numpy loads its tests and its compiler of Fortran, and rewrites its own docstrings. These
functions alone take 0.03.

Examples
--------
>>> round(float(ndtr(1.959964)), 6)
0.975
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_LOCK = RLock()


class _Bare(ModuleType):
    """A package whose own code has not run, so that only modules can be imported from it."""

    def __getattr__(self, name: str) -> Any:
        with _LOCK:  # another thread that wants the package waits for it
            package = sys.modules.get(self.__name__)
        if package is self:
            raise AttributeError(f"{self.__name__} has no {name} without its own code")
        return getattr(import_module(self.__name__), name)


def _compiled(package: str, name: str) -> ModuleType:
    """A module of a package, which is then not imported yet, and can be as it always can."""
    spec = None if package in sys.modules else find_spec(package)
    if spec is None:
        return import_module(f"{package}.{name}")
    bare = module_from_spec(spec)
    bare.__class__ = _Bare
    with _LOCK:
        sys.modules[package] = bare
        try:
            return import_module(f"{package}.{name}")
        finally:
            del sys.modules[package]


try:
    _lapack, _special = _compiled("scipy.linalg", "_flapack"), _compiled("scipy.special", "_ufuncs")
except (AttributeError, ImportError):  # a scipy that keeps them elsewhere
    _lapack, _special = import_module("scipy.linalg.lapack"), import_module("scipy.special")

dpotrs, dpstrf = _lapack.dpotrs, _lapack.dpstrf
chdtrc, chdtri, fdtrc, fdtri = _special.chdtrc, _special.chdtri, _special.fdtrc, _special.fdtri
ndtr, ndtri, stdtr, stdtrit = _special.ndtr, _special.ndtri, _special.stdtr, _special.stdtrit
xlog1py = _special.xlog1py

__all__ = [
    "chdtrc",
    "chdtri",
    "dpotrs",
    "dpstrf",
    "fdtrc",
    "fdtri",
    "ndtr",
    "ndtri",
    "stdtr",
    "stdtrit",
    "xlog1py",
]
