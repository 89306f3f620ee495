"""Virtual environments of their own for peers that need other versions than ours."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path


def python_of(folder: Path, packages: Sequence[str], module: str) -> str | None:
    """The interpreter of an environment that has the packages; None if they cannot be had.

    Parameters
    ----------
    folder : Path
        Where the environment is, or is made by the first call.
    packages : sequence of str
        What pip installs, wheels alone, as a machine may lack a compiler. None: our environment.
    module : str
        What must be importable then.
    """
    python = folder / "bin" / "python" if packages else Path(sys.executable)
    if not python.exists():
        sys.stderr.write(f"installing {', '.join(packages)}\n")
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, *packages], check=False, stdout=sys.stderr)
    found = subprocess.run(
        [str(python), "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL
    )
    return None if found.returncode else str(python)
