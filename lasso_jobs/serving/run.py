"""Starts and stops the service: its socket, its workers, and what is refused before they begin."""

import gc
import os
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any

from prometheus_client import multiprocess

from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.serving.answer import ServedModel
from lasso_jobs.serving.follower import Follower
from lasso_jobs.serving.gate import is_loopback
from lasso_jobs.serving.metrics import SHARED
from lasso_jobs.serving.options import TOKEN, ServeOptions
from lasso_jobs.serving.request_log import RequestLog

LEAST_TOKEN = 16
GRACE_SECONDS = 30
"""How long requests in flight may take when the service stops."""
LOOK_SECONDS = 0.5
BACKLOG = 2048
GARBAGE = (50_000, 20, 20)
Started = Callable[[dict[str, Any]], None]


def serve(options: ServeOptions, started: Started | None = None) -> None:
    """Serve a model until a signal ends it; requests in flight are answered first.

    Parameters
    ----------
    options : ServeOptions
    started : callable, optional
        Called once, with the address and the model, when clients may connect.

    Raises
    ------
    LassoJobsError
        If it cannot begin.
    """
    token = os.environ.get(TOKEN)
    _check_token(options, token)
    _check_tls(options)
    _check_keys(options)
    follower = _follower(options)
    with _bound(options) as listening, _signals() as stop:
        address = _address(options, listening)
        if started is not None:
            registered = follower.served.registered
            started({"address": address, "model": registered.reference})
        if options.workers == 1:
            _run(options, listening, follower, address)
        else:
            _supervise(options, listening, address, stop)


def _check_token(options: ServeOptions, token: str | None) -> None:
    if token is None:
        if not is_loopback(options.host):
            raise JobError(
                f"--host {options.host}",
                "would let other machines ask without a token",
                f"a token in the environment variable {TOKEN}",
                "Set it, or leave --host out to answer this machine alone",
            )
    elif len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise JobError(
            TOKEN,
            "is not as it should be",
            f"at least {LEAST_TOKEN} characters of ASCII",
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )


def _check_tls(options: ServeOptions) -> None:
    if options.tls_cert is None and options.tls_key is None:
        return
    if options.tls_cert is None or options.tls_key is None:
        given = "--tls-key" if options.tls_cert is None else "--tls-cert"
        expected = "--tls-cert and --tls-key, both"
        raise JobError(given, "is given alone", expected, "Name both files")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key, password="")
    except (OSError, ValueError) as error:
        raise JobError(
            f"--tls-cert {options.tls_cert}, --tls-key {options.tls_key}",
            f"cannot be used ({error})",
            "a certificate and its key without a password, both in PEM",
            "Correct the files",
        ) from error


def _check_keys(options: ServeOptions) -> None:
    given = f"--keys {' '.join(options.keys)}"
    twice = next((name for name, n in Counter(options.keys).items() if n > 1), None)
    if twice is not None:
        raise JobError(given, f"has {twice!r} twice", "each field once", "Leave one of them out")
    if options.keys and options.log_folder is None:
        expected = "--log-requests with it, as keys are fields of the log"
        raise JobError(given, "is given alone", expected, "Name the log's folder, or leave it out")


def _follower(options: ServeOptions) -> Follower:
    log = _log(options)

    def prepare(registered: Registered) -> ServedModel:
        served = ServedModel.of(registered, options.missing_columns, options.keys)
        if log is not None:
            log.check(served)
        return served

    return Follower(Registry(options.registry), options.model, prepare)


def _log(options: ServeOptions) -> RequestLog | None:
    return None if options.log_folder is None else RequestLog(options.log_folder, options.keys)


@contextmanager
def _bound(options: ServeOptions) -> Iterator[socket.socket]:
    """A socket that takes connections at once; they wait until a worker accepts them."""
    with ExitStack() as stack:
        try:
            found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, place = found[0]
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            raise JobError(
                f"--host {options.host} --port {options.port}",
                f"cannot be listened on ({error})",
                "an address of this machine, and a port that is free",
                "Name another port, or stop what has it",
            ) from error
        yield listening


def _address(options: ServeOptions, listening: socket.socket) -> str:
    scheme = "http" if options.tls_cert is None else "https"
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{listening.getsockname()[1]}/"


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that is set when the process is to stop."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(options: ServeOptions, listening: socket.socket, follower: Follower, address: str) -> None:
    """Answer requests in this process."""
    import uvicorn

    from lasso_jobs.serving.app import Service

    app = Service(options, follower, _log(options), address).app(os.environ.get(TOKEN))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # What is here stays; without this, the collector looks through it while a large body is read,
    # which takes a third of the time that the parsing takes.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    uvicorn.Server(config).run([listening])


def _supervise(
    options: ServeOptions, listening: socket.socket, address: str, stop: threading.Event
) -> None:
    """Keep so many workers, each a process that shares the socket; one that ends is replaced."""
    context = get_context("spawn")
    folder = tempfile.mkdtemp(prefix="lasso-jobs-serve-")
    os.environ[SHARED] = folder

    def start() -> BaseProcess:
        worker = context.Process(target=_work, args=(options, listening, address), daemon=True)
        worker.start()
        return worker

    workers = [start() for _ in range(options.workers)]
    try:
        while not stop.wait(LOOK_SECONDS):
            for place, worker in enumerate(workers):
                if not worker.is_alive():
                    multiprocess.mark_process_dead(worker.pid, folder)  # type: ignore[no-untyped-call]
                    workers[place] = start()
    finally:
        for worker in workers:
            worker.terminate()
        until = time.monotonic() + GRACE_SECONDS + 5
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
            worker.kill()
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)


def _work(options: ServeOptions, listening: socket.socket, address: str) -> None:
    """A worker: it waits until the registry can be read, as others may answer meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the supervisor ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            follower = _follower(options)
            break
        except LassoJobsError:
            time.sleep(options.poll_seconds)
    with _signals():
        _run(options, listening, follower, address)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
