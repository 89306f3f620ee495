"""Virtual environments of their own for peers that need other versions than ours."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path


def python_of(
    folder: Path, packages: Sequence[str], module: str, *, upon_ours: bool = False
) -> str | None:
    """The interpreter of an environment that has the packages; None if they cannot be had.

    Parameters
    ----------
    folder : Path
        Where the environment is, or is made by the first call.
    packages : sequence of str
        What pip installs, wheels alone, as a machine may lack a compiler. None: our environment.
    module : str
        What must be importable then.
    upon_ours : bool
        Install only what our environment does not have, or not in a version that fits.
    """
    python = folder / "bin" / "python" if packages else Path(sys.executable)
    if not python.exists():
        sys.stderr.write(f"installing {', '.join(packages)}\n")
        venv.create(folder, with_pip=True)
        if upon_ours:
            # A folder that a .pth file names comes after the environment's own.
            own = sysconfig.get_path("purelib", vars={"base": str(folder)})
            (Path(own) / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, *packages], check=False, stdout=sys.stderr)
    found = subprocess.run(
        [str(python), "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL
    )
    return None if found.returncode else str(python)
