"""Which cluster a job runs on: a word, an address, or a file of options."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from lasso_jobs.errors import ClusterError

VARIABLE = "LASSO_JOBS_CLUSTER"
LOCAL = "local"
LOCAL_PROCESSES = "local-processes"

PACKAGES = {
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster", "dask-kubernetes"),
    "gateway": ("dask_gateway", "GatewayCluster", "dask-gateway"),
    "coiled": ("coiled", "Cluster", "coiled"),
    "slurm": ("dask_jobqueue", "SLURMCluster", "dask-jobqueue"),
    "pbs": ("dask_jobqueue", "PBSCluster", "dask-jobqueue"),
    "lsf": ("dask_jobqueue", "LSFCluster", "dask-jobqueue"),
    "sge": ("dask_jobqueue", "SGECluster", "dask-jobqueue"),
    "htcondor": ("dask_jobqueue", "HTCondorCluster", "dask-jobqueue"),
}
"""Kinds whose clusters other packages start: module, class, and what pip calls it. Each class has
the interface of Dask's own clusters: ``scale``, ``adapt``, and a ``with`` that closes it."""

KNOWN = f"{LOCAL}, {LOCAL_PROCESSES}, tcp://HOST:PORT, tls://HOST:PORT, {', '.join(PACKAGES)}, or "
KNOWN += "a file of options, NAME.yaml"

Kind = Literal[
    "local", "local-processes", "kubernetes", "gateway", "coiled",
    "slurm", "pbs", "lsf", "sge", "htcondor",
]  # fmt: skip
Bounds = Annotated[tuple[PositiveInt, PositiveInt], Field()]


class Tls(BaseModel):
    """Files in PEM format; without them, Dask's own configuration of TLS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: str
    cert_file: str
    key_file: str

    def missing(self) -> str | None:
        """The first file that does not exist."""
        files = (self.ca_file, self.cert_file, self.key_file)
        return next((file for file in files if not Path(file).is_file()), None)


class Cluster(BaseModel):
    """A cluster to start, or one to connect to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field("local", description="What to start, where there is no address")
    address: str | None = Field(None, description="Of a scheduler: tcp://HOST:PORT, or tls://")
    workers: PositiveInt | Bounds | None = Field(
        None, description="How many, or the bounds of an adaptive cluster"
    )
    tls: Tls | None = Field(None, description="Certificates; by default those of Dask's settings")
    options: dict[str, Any] = Field(
        {}, description="Arguments of the package's cluster, such as image or resources"
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.address is not None:
            if not self.address.startswith(("tcp://", "tls://")):
                raise ValueError("address: expected tcp://HOST:PORT or tls://HOST:PORT")
            if self.workers is not None or self.options:
                raise ValueError("no workers and no options with an address")
        elif self.tls is not None:
            raise ValueError("tls only with an address")
        if isinstance(self.workers, tuple):
            if self.kind == LOCAL:
                raise ValueError(f"one number of workers for {LOCAL}, whose workers are threads")
            if self.workers[0] > self.workers[1]:
                raise ValueError("workers: the smaller bound first")
        if self.options and self.kind not in PACKAGES:
            raise ValueError(f"options only with one of {', '.join(PACKAGES)}")
        return self

    @classmethod
    def of(cls, text: str | None, workers: int | None = None) -> "Cluster":
        """What a person wrote.

        Parameters
        ----------
        text : str, optional
            A kind, the address of a scheduler, or the path of a YAML file of the fields above;
            by default what the variable ``LASSO_JOBS_CLUSTER`` has, or ``local``.
        workers : int, optional
            Takes the place of the file's.

        Raises
        ------
        ClusterError
        """
        text = text or os.environ.get(VARIABLE) or LOCAL
        if workers is not None and workers < 1:
            raise ClusterError("--workers", f"{workers}", "at least 1", "Correct it")
        if "://" in text and workers is not None:
            raise ClusterError("--workers", f"given with {text}", "a local cluster", "Leave it out")
        values: dict[str, Any]
        if text.endswith((".yaml", ".yml")):
            values = _of_file(text)
        else:
            values = {"address": text} if "://" in text else {"kind": text}
        values = values if workers is None else {**values, "workers": workers}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"]))
            where = f"{text}: {at}" if text.endswith((".yaml", ".yml")) and at else "--cluster"
            found = f"{first['input']!r}" if first["loc"] else f"{text}: {first['msg']}"
            raise ClusterError(where, found, _expected(first), "Correct it") from error


def _expected(error: Any) -> str:
    if error["loc"] in ((), ("kind",)):
        return KNOWN
    if error["type"] == "extra_forbidden":
        return f"one of {', '.join(Cluster.model_fields)}"
    return str(error["msg"])


def _of_file(path: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(
            path, f"cannot be read ({error})", "a file of a cluster's options", "Check it"
        ) from error
    if not isinstance(values, dict):
        raise ClusterError(path, "is not a mapping", "keys such as kind and workers", "Mend it")
    return values
