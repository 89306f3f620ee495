"""Memory that a process gives back, or keeps."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from lasso_jobs.engine.memory import keep_what_is_freed
if {keep}:
    keep_what_is_freed()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    np.ones(131_072)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_a_worker_of_a_nanny_does_not_have_each_column_cleared_anew():
    def faults(keep: bool) -> int:
        env = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
        command = [sys.executable, "-c", FAULTS.format(keep=keep)]
        return int(subprocess.run(command, env=env, check=True, capture_output=True).stdout)

    # 200 arrays of 1 MiB, which are 256 pages each.
    assert faults(keep=False) > 20_000
    assert faults(keep=True) < 5_000
