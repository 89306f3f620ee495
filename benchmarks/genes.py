"""Tables of genes as whole processes, beside peers: NCI60 and Khan, which ISLP's package ships."""

import argparse
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.wide import beside_peers


def genes(options: argparse.Namespace) -> None:
    """Whether a cell line is a melanoma, and which of four tumours it is, as a number."""
    folder = Path(options.dir) / "genes"
    for name, (X, y) in _tables(_package(folder)).items():
        source = folder / name / "data"
        source.mkdir(parents=True, exist_ok=True)
        columns = {f"g{j}": X[:, j] for j in range(X.shape[1])}
        pq.write_table(pa.table({**columns, "y": y}), source / "0.parquet")
        title = f"{name}, {len(X)} rows x {X.shape[1]:,} columns"
        beside_peers(source, title, options)


def _package(folder: Path) -> Path:
    """The package as pip has it; what it needs, which is a lot, is not for reading its files."""
    if not list(folder.glob("islp-*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
        subprocess.run([*pip, "ISLP"], check=True, stdout=sys.stderr)
    return next(folder.glob("islp-*.whl"))


def _tables(package: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with zipfile.ZipFile(package) as archive:

        def rows(name: str) -> pd.DataFrame:
            return pd.read_csv(io.BytesIO(archive.read(f"ISLP/data/{name}.csv")))

        nci = np.load(io.BytesIO(archive.read("ISLP/data/NCI60data.npy")))
        melanoma = (rows("NCI60labs")["label"] == "MELANOMA").to_numpy(float)
        khan = np.concatenate([rows(f"Khan_x{part}").to_numpy() for part in ("train", "test")])
        tumour = np.concatenate([rows(f"Khan_y{part}")["x"] for part in ("train", "test")])
    return {"NCI60": (nci, melanoma), "Khan": (khan, tumour.astype(float))}
