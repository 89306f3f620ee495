"""Reads which cluster a job runs on from a word, an address or a file of options."""

import os
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from lasso_jobs.errors import ClusterError
from lasso_jobs.storage import yaml_file

VARIABLE = "LASSO_JOBS_CLUSTER"
LOCAL = "local"
LOCAL_PROCESSES = "local-processes"


class Starter(NamedTuple):
    """The class of another package that starts a kind of cluster.

    It has the interface of Dask's own clusters: ``scale``, ``adapt``, and a ``with`` that closes.
    """

    module: str
    name: str
    package: str
    """What pip calls it."""


STARTERS = {
    "kubernetes": Starter("dask_kubernetes.operator", "KubeCluster", "dask-kubernetes"),
    "gateway": Starter("dask_gateway", "GatewayCluster", "dask-gateway"),
    "coiled": Starter("coiled", "Cluster", "coiled"),
    "slurm": Starter("dask_jobqueue", "SLURMCluster", "dask-jobqueue"),
    "pbs": Starter("dask_jobqueue", "PBSCluster", "dask-jobqueue"),
    "lsf": Starter("dask_jobqueue", "LSFCluster", "dask-jobqueue"),
    "sge": Starter("dask_jobqueue", "SGECluster", "dask-jobqueue"),
    "htcondor": Starter("dask_jobqueue", "HTCondorCluster", "dask-jobqueue"),
}
"""Kinds whose clusters other packages start."""

KNOWN = f"{LOCAL}, {LOCAL_PROCESSES}, tcp://HOST:PORT, tls://HOST:PORT, {', '.join(STARTERS)}, or "
KNOWN += "a file of options, NAME.yaml"

Kind = Literal[
    "local", "local-processes", "kubernetes", "gateway", "coiled",
    "slurm", "pbs", "lsf", "sge", "htcondor",
]  # fmt: skip
Bounds = tuple[PositiveInt, PositiveInt]


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
                raise ValueError("an address tcp://HOST:PORT or tls://HOST:PORT")
            if self.workers is not None or self.options:
                raise ValueError("no workers and no options with an address")
        elif self.tls is not None:
            raise ValueError("tls only with an address")
        if isinstance(self.workers, tuple):
            if self.kind == LOCAL:
                raise ValueError(f"one number of workers for {LOCAL}, whose workers are threads")
            if self.workers[0] > self.workers[1]:
                raise ValueError("workers: the smaller bound first")
        if self.options and self.kind not in STARTERS:
            raise ValueError(f"options only with one of {', '.join(STARTERS)}")
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

        Examples
        --------
        >>> Cluster.of("tcp://scheduler:8786").address
        'tcp://scheduler:8786'
        >>> Cluster.of("local", workers=2)
        Cluster(kind='local', address=None, workers=2, tls=None, options={})
        """
        option = VARIABLE if not text and os.environ.get(VARIABLE) else "--cluster"
        text = text or os.environ.get(VARIABLE) or LOCAL
        if workers is not None and workers < 1:
            raise ClusterError("--workers", f"{workers}", "at least 1", "Give a larger number")
        values: dict[str, Any]
        if text.endswith((".yaml", ".yml")):
            values = _of_file(text)
        else:
            values = {"address": text} if "://" in text else {"kind": text}
        if workers is not None and values.get("address"):
            found = f"is given with {text}, whose workers are what they are"
            remedy = f"Leave it out, or change {option}"
            raise ClusterError("--workers", found, "a cluster that is started here", remedy)
        values = values if workers is None else {**values, "workers": workers}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            if not text.endswith((".yaml", ".yml")):
                raise ClusterError(option, f"{text!r}", KNOWN, "Correct it") from error
            raise _of_key(text, error.errors()[0]) from error


def _of_key(path: str, error: Any) -> ClusterError:
    """What is wrong with a key of a file, or with keys beside each other."""
    expected = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return ClusterError(path, "its keys do not fit each other", expected, "Change one of them")
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return ClusterError(path, f"the key {key!r} is missing", "a value", f"Add {key}")
    if error["type"] == "extra_forbidden":
        expected, remedy = f"one of {', '.join(Cluster.model_fields)}", "Correct it, or remove it"
        return ClusterError(path, f"unknown key {key!r}", expected, remedy)
    expected = expected.removeprefix("Input should be ")
    return ClusterError(f"{path}: {key}", f"{error['input']!r}", expected, f"Correct {key}")


def _of_file(path: str) -> dict[str, Any]:
    try:
        values = yaml_file.read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(
            path, f"cannot be read ({error})", "a file of a cluster's options", "Correct the path"
        ) from error
    except ValueError as error:
        raise ClusterError(path, str(error), yaml_file.EXPECTED, "Correct the file") from error
    if not isinstance(values, dict):
        expected = "KEY: VALUE in each line, such as kind: slurm"
        raise ClusterError(path, "is not a mapping", expected, "Write it so")
    return values
