"""Failures of files and stores: what they become, and whether waiting can help."""

import errno
import http.server
import pickle
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import obstore.store
import pytest

from lasso_jobs.data.listing import files
from lasso_jobs.errors import LassoJobsError, OutputError
from lasso_jobs.models.registry import Registry
from lasso_jobs.scoring.journal import write_json
from lasso_jobs.storage import remote
from lasso_jobs.storage.failures import as_output_error, waiting_helps
from lasso_jobs.training.report.store import save


@pytest.mark.parametrize("error", [OSError("full"), ValueError("odd"), KeyError("mine")])
def test_failures_become_an_error_of_one_line(error: Exception) -> None:
    message = r"t: .*; expected a place\. Mend it"
    explained = as_output_error("t", "a place", "Mend it", KeyError)
    with pytest.raises(OutputError, match=message) as caught, explained:
        raise error
    assert caught.value.__cause__ is error


def test_other_failures_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), as_output_error("t", "a place", "Mend it"):
        raise ZeroDivisionError


# Whether waiting can help.

_GET = "Generic S3 error: Error performing GET http://127.0.0.1:9/b/x in 1ms, after 1 retries"
_DELTA = "Kernel error -> Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET http://h/x"
PASSING = [
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    BrokenPipeError(),
    TimeoutError("slow"),
    OSError(errno.ENOSPC, "no space left"),
    OSError(errno.EIO, "input/output error"),
    OSError(errno.EHOSTUNREACH, "no route to host"),
    OSError(f"{_GET} - Server returned non-2xx status code: 503 Service Unavailable"),
    OSError(f"{_GET} - Server returned non-2xx status code: 429 Too Many Requests"),
    OSError(f"{_GET} - HTTP error: error sending request"),
    OSError(f"{_DELTA}\n \x1b[31m↳\x1b[0m error sending request\n client error (Connect)"),
    OSError(f"{_DELTA} - Server returned non-2xx status code\n \x1b[31m↳\x1b[0m 503 Service"),
]
LASTING = [
    FileNotFoundError(errno.ENOENT, "no such file"),
    PermissionError(errno.EACCES, "denied"),
    OSError(errno.EROFS, "read-only file system"),
    OSError(errno.ESTALE, "has changed meanwhile"),
    OSError("Couldn't deserialize thrift: TProtocolException: Invalid data"),
    OSError(f"{_GET} - Server returned non-2xx status code: 403 Forbidden"),
    OSError(f"{_GET} - Server returned non-2xx status code: 400 Bad Request"),
    OSError(f"{_DELTA} - Server returned non-2xx status code\n \x1b[31m↳\x1b[0m 403 Forbidden"),
    ValueError("a wrong value"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_networks_disks_and_stores_may_recover(error: Exception) -> None:
    assert waiting_helps(error)
    with pytest.raises(OutputError) as caught, as_output_error("t", "a place", "Mend it"):
        raise error
    assert caught.value.transient
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker sends it
    assert again.transient
    assert str(again) == str(caught.value)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_is_wrong_stays_wrong(error: Exception) -> None:
    assert not waiting_helps(error)
    with pytest.raises(OutputError) as caught, as_output_error("t", "a place", "Mend it"):
        raise error
    assert not caught.value.transient


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], str]]:
    """A bucket whose store answers everything with a status; None is a store that is not there."""

    class Answer(http.server.BaseHTTPRequestHandler):
        status = 503

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"ALLOW_HTTP": "true", "REGION": "us-east-1", "ACCESS_KEY_ID": "a"}
    settings |= {"SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    # obstore itself tries for three minutes.
    retry = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
    made = obstore.store.from_url("s3://bucket", retry_config=retry)
    monkeypatch.setattr(remote, "_store", lambda bucket: made)

    def answering(status: int | None) -> str:
        if status is None:
            server.shutdown()
            server.server_close()
        else:
            Answer.status = status
        return "s3://bucket/data"

    yield answering
    server.shutdown()
    server.server_close()


ACTIONS: dict[str, Callable[[str], object]] = {
    "list": files,
    "journal": lambda place: write_json(f"{place}/entry.json", {}),
    "registry": lambda place: Registry(place).load("m@v1"),
    "report": lambda place: save(b"", f"{place}/report.html"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("status", "transient"), [(503, True), (403, False), (None, True)])
def test_a_store_that_is_away_may_come_back_and_one_that_refuses_does_not(
    store: Callable[[int | None], str], action: str, status: int | None, transient: bool
) -> None:
    with pytest.raises(LassoJobsError) as caught:
        ACTIONS[action](store(status))
    assert caught.value.transient is transient, caught.value
