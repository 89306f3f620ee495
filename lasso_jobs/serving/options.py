"""Says what a service is started with."""

from dataclasses import dataclass

from lasso_jobs.serving.answer import Missing

TOKEN = "LASSO_JOBS_SERVE_TOKEN"
"""The environment variable of the token that clients must send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What a service is started with.

    Parameters
    ----------
    model : str
        A reference, such as ``sales@champion``; an alias is followed.
    registry : str
    host : str
    port : int
        0 takes one that is free.
    workers : int
        Processes.
    tls_cert, tls_key : str or None
        Files in PEM.
    missing_columns : {"error", "impute"}
    poll_seconds : float
        How often the alias is looked at.
    max_body_bytes, max_rows : int
        Of a request.
    log_folder : str or None
        Where requests are logged.
    log_seconds : float
        How long a row waits for its file at most.
    keys : tuple of str
        Fields of a request that are logged with its rows, beside the features.
    """

    model: str
    registry: str = "models"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    tls_cert: str | None = None
    tls_key: str | None = None
    missing_columns: Missing = "error"
    poll_seconds: float = 1.0
    max_body_bytes: int = 16 * 2**20
    max_rows: int = 50_000
    log_folder: str | None = None
    log_seconds: float = 60.0
    keys: tuple[str, ...] = ()
