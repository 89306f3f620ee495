"""Lets requests in: those with the token, or without one, those to a name of this machine."""

import hmac
import ipaddress
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lasso_jobs.serving.metrics import Metrics

OPEN = frozenset({"/ping", "/v2/health/live", "/v2/health/ready"})
"""What load balancers ask for without a token."""


class Gate:
    """Admits requests, and counts and times them.

    Parameters
    ----------
    app : ASGI application
    token : str or None
    metrics : Metrics
    paths : frozenset of str
        Those that are there; others are counted together, as anybody can make up names.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, metrics: Metrics, paths: frozenset[str]
    ) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, path = time.perf_counter(), scope["path"]
        path = path if path in self._paths else "other"
        status = 500

        async def counted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refused = None if path in OPEN else self._refused(scope)
            await (self._app if refused is None else refused)(scope, receive, counted)
        finally:
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if self._token is not None:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            # The scheme is in capitals or not, by RFC 9110.
            if scheme.lower() == b"bearer" and hmac.compare_digest(token, self._token):
                return None
            said = "The token is missing or wrong: send Authorization: Bearer TOKEN"
            return JSONResponse({"error": said}, 401, {"WWW-Authenticate": "Bearer"})
        host = headers.get(b"host", b"localhost").decode("latin-1")
        if is_loopback(host):
            return None
        # A page of the web whose name is made to mean 127.0.0.1 would read the answers.
        said = "The service has no token, and answers to names of this machine alone"
        return JSONResponse({"error": said}, 421)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine itself.

    Examples
    --------
    >>> is_loopback("localhost:8000"), is_loopback("[::1]:8000"), is_loopback("example.org")
    (True, True, False)
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host
    if name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower().rstrip(".") == "localhost"
