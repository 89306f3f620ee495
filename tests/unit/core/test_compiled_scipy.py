"""scipy's compiled functions: they are its own, and the packages around them stay usable."""

import subprocess
import sys

import scipy.linalg.lapack
import scipy.special

from lasso_jobs.core import compiled_scipy

FIRST = "import sys, threading; from lasso_jobs.core import compiled_scipy as c\n"
PUBLIC = {
    "names": "import scipy\nassert scipy.special.stdtr is c.stdtr and scipy.linalg.inv",
    "import": "import scipy.special, scipy.linalg.blas\nassert scipy.special.expit(0) == 0.5",
    "from": "from scipy.linalg import inv, lapack\nassert lapack.dpotrs is c.dpotrs",
    "star": "from scipy.special import *\nassert expit(0) == 0.5",
    "no such name": "import scipy.special\nassert not hasattr(scipy.special, 'no_such_name')",
    "others": "import scipy.stats, sklearn.linear_model",
    "module": "import scipy.linalg.blas, scipy.linalg.cython_blas, scipy.linalg",
}
MEANWHILE = """
import threading
found, there = [], threading.Event()
def look():
    there.wait()
    from scipy.special import expit
    import scipy.linalg
    found.append((expit(0.0), scipy.linalg.inv([[2.0]]).item()))
threads = [threading.Thread(target=look) for _ in range(4)]
[thread.start() for thread in threads]
there.set()
from lasso_jobs.core import compiled_scipy
[thread.join() for thread in threads]
assert found == [(0.5, 0.5)] * 4, found
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_are_the_public_ones() -> None:
    for name in compiled_scipy.__all__:
        public = scipy.linalg.lapack if name.startswith("dp") else scipy.special
        assert getattr(compiled_scipy, name) is getattr(public, name)


def test_the_packages_own_code_waits_until_a_name_is_used() -> None:
    code = "print(*{'scipy._lib._array_api', 'numpy.f2py'}.intersection(sys.modules))"
    assert run(FIRST + code).split() == []


def test_packages_are_usable_afterwards() -> None:
    for code in PUBLIC.values():
        run(FIRST + code)


def test_other_threads_import_the_packages_meanwhile() -> None:
    for _ in range(3):
        run(MEANWHILE)


def test_a_scipy_that_keeps_its_functions_elsewhere() -> None:
    elsewhere = "import sys; sys.modules['scipy.linalg._flapack'] = None\n"
    # Its own package needs what is hidden, so that a stand-in has the public names.
    stand_in = """
from types import SimpleNamespace
sys.modules['scipy.linalg.lapack'] = SimpleNamespace(dpotrs=max, dpstrf=min)
"""
    run(elsewhere + stand_in + FIRST + "assert c.dpotrs is max and c.ndtr(0.0) == 0.5")
