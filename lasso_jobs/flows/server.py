"""Finds the Prefect server, or says in one line that there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from lasso_jobs.errors import JobError


@contextmanager
def connected(
    api: str | None = None, *, named_by: str = "PREFECT_API_URL"
) -> Iterator[tuple[SyncPrefectClient, str]]:
    """A client of a server that answers, and its address; inside, Prefect uses that server.

    Parameters
    ----------
    api : str, optional
        By default the environment's or the profile's ``PREFECT_API_URL``.
    named_by : str
        What an error says where there is no address.

    Raises
    ------
    JobError
    """
    api = api or PREFECT_API_URL.value()
    if not api:
        raise JobError(
            named_by,
            "no address of a Prefect server",
            "one such as http://127.0.0.1:4200/api",
            "Run 'prefect server start', and give its address or set PREFECT_API_URL",
        )
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        if (error := client.api_healthcheck()) is not None:
            remedy = "Run 'prefect server start', or correct the address"
            raise JobError(api, f"no Prefect server answers ({error})", "a running one", remedy)
        try:
            yield client, api
        except PrefectHTTPStatusError as error:
            found = f"the Prefect server refused a request ({error})"
            remedy = "Look at what it says and at its log, then run this again"
            raise JobError(api, found, "a server that takes it", remedy) from error
