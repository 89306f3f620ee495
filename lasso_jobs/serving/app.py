"""Answers HTTP requests: the routes of the service, and the tasks that run beside them."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lasso_jobs import __version__, escape
from lasso_jobs.errors import DataError
from lasso_jobs.serving import bodies, openapi
from lasso_jobs.serving.answer import Answer, ServedModel, counted
from lasso_jobs.serving.bodies import BodyError, Rows
from lasso_jobs.serving.follower import Follower
from lasso_jobs.serving.gate import Gate
from lasso_jobs.serving.metrics import CONTENT_TYPE, Metrics
from lasso_jobs.serving.options import ServeOptions
from lasso_jobs.serving.request_log import RequestLog

AT_ONCE_BYTES = 64 * 2**10
"""Larger bodies are worked on in a thread, so that the others need not wait for them."""
BODY_SECONDS = 30.0
LONGEST_ID = 100
_LOGGER = logging.getLogger("lasso_jobs.serving")
_Read = Callable[[ServedModel, str, bytes], tuple[Rows, bool]]


class Json(JSONResponse):
    """JSON by orjson, which writes what is not a number as null."""

    def render(self, content: Any) -> bytes:
        """The bytes of an answer."""
        return orjson.dumps(content)


class Service:
    """The service of one worker.

    Parameters
    ----------
    options : ServeOptions
    follower : Follower
    log : RequestLog or None
    address : str
        Where it can be reached, for the page.
    """

    def __init__(
        self, options: ServeOptions, follower: Follower, log: RequestLog | None, address: str
    ) -> None:
        self.options, self.follower, self.log = options, follower, log
        self.address, self.metrics = address, Metrics()
        self._flush, self.has_token = asyncio.Event(), False

    def app(self, token: str | None) -> ASGIApp:
        """The ASGI application."""
        self.has_token = token is not None
        routes = [
            Route("/predict", self._predict, methods=["POST"]),
            Route("/invocations", self._invocations, methods=["POST"]),
            *(
                Route(path, endpoint, methods=["GET"])
                for path, endpoint in (
                    ("/", self._home),
                    ("/ping", self._ping),
                    ("/version", self._version),
                    ("/v2/health/live", self._ping),
                    ("/v2/health/ready", self._ready),
                    ("/metrics", self._metrics),
                    ("/openapi.json", self._openapi),
                    ("/docs", self._docs),
                )
            ),
        ]
        app = Starlette(
            routes=routes,
            lifespan=self._beside,
            exception_handlers={
                HTTPException: _of_http,
                DataError: _of_data,
                Exception: _unexpected,
            },
        )
        return Gate(app, token, self.metrics, frozenset(route.path for route in routes))

    @contextlib.asynccontextmanager
    async def _beside(self, _: object) -> AsyncIterator[None]:
        """Follow the alias and write the log while requests are answered; at the end, write it."""
        self._count_model()
        tasks = [asyncio.create_task(self._follow())]
        if self.log is not None:
            tasks.append(asyncio.create_task(self._write_log()))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.log is not None:
            await self._flushed(self.log)
            if self.log.n_waiting:
                said = "rows that the request log has lost, as the service ends: %s"
                _LOGGER.error(said, self.log.n_waiting)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.options.poll_seconds)
            before = self.follower.trouble
            if await asyncio.to_thread(self.follower.refresh):
                self.metrics.swaps.inc()
                _LOGGER.info("%s answers now", self.follower.served.registered.reference)
            if self.follower.trouble and self.follower.trouble != before:
                kept = self.follower.served.registered.reference
                _LOGGER.warning("%s goes on: %s", kept, self.follower.trouble)
            self._count_model()

    def _count_model(self) -> None:
        self.metrics.version.set(self.follower.served.registered.version)
        self.metrics.readable.set(self.follower.trouble is None)

    async def _write_log(self) -> None:
        while self.log is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flush.wait(), self.options.log_seconds)
            self._flush.clear()
            await self._flushed(self.log)

    async def _flushed(self, log: RequestLog) -> None:
        before = log.trouble
        self.metrics.logged.labels("written").inc(await asyncio.to_thread(log.flush))
        # Not each time that it says something else: it names a file, which is new with each try.
        if log.trouble and before is None:
            _LOGGER.warning("the request log's rows wait: %s", log.trouble)
        elif before and log.trouble is None:
            _LOGGER.warning("the request log is written again")

    async def _predict(self, request: Request) -> Response:
        return await self._answered(request, self._rows_of_predict)

    async def _invocations(self, request: Request) -> Response:
        return await self._answered(request, self._rows_of_invocation)

    async def _answered(self, request: Request, read: _Read) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise HTTPException(415, "A body with a content encoding is not taken: send it plain")
        wanted = request.query_params.get("contributions", "false").lower()
        if wanted not in ("true", "false"):
            raise HTTPException(400, "The parameter contributions must be true or false")
        body = await _body(request, self.options.max_body_bytes)
        served = self.follower.served  # once, so that the answer is of one version
        loop = asyncio.get_running_loop()
        id_ = request.headers.get("x-request-id", "")[:LONGEST_ID] or uuid.uuid4().hex

        def work() -> bytes:
            rows, alone = read(served, kind, body)
            if rows.n_rows > self.options.max_rows:
                said = f"The request has {rows.n_rows:,} rows; at most {self.options.max_rows:,}"
                raise HTTPException(413, said)
            answer = served.answer(rows, wanted == "true")
            if self._log(answer, id_):
                loop.call_soon_threadsafe(self._flush.set)
            self.metrics.count_rows(rows.n_rows, counted(answer.reasons))
            values = answer.values
            if alone:
                values |= values.pop("predictions")[0]
            return orjson.dumps(values)

        content = work() if len(body) <= AT_ONCE_BYTES else await asyncio.to_thread(work)
        return Response(content, headers={"X-Request-ID": id_}, media_type="application/json")

    def _log(self, answer: Answer, request_id: str) -> bool:
        """Log a request, if that is wanted; tell whether a file is due."""
        if self.log is None:
            return False
        if not self.log.add(answer, request_id):
            self.metrics.logged.labels("left out").inc(answer.table.num_rows)
        return self.log.is_due

    def _rows_of_predict(self, _: ServedModel, kind: str, body: bytes) -> tuple[Rows, bool]:
        if kind != "application/json":
            raise HTTPException(415, "The content type must be application/json")
        values = bodies.json_values(body)
        alone = isinstance(values, dict)
        return bodies.records([values] if alone else values), alone

    def _rows_of_invocation(self, served: ServedModel, kind: str, body: bytes) -> tuple[Rows, bool]:
        if kind == "text/csv":
            return bodies.csv(body, served.fields), False
        if kind != "application/json":
            raise HTTPException(415, "The content type must be application/json or text/csv")
        return bodies.invocation(body), False

    async def _home(self, _: Request) -> Response:
        return RedirectResponse("docs")

    async def _ping(self, _: Request) -> Response:
        return Json({"status": "ok"})

    async def _version(self, _: Request) -> Response:
        registered = self.follower.served.registered
        return Json(
            {
                "service": "lasso_jobs",
                "service_version": __version__,
                "reference": self.options.model,
                "model": registered.model.name,
                "model_version": f"v{registered.version}",
                "digest": registered.digest,
            }
        )

    async def _ready(self, _: Request) -> Response:
        served = self.follower.served
        values = {
            "ready": True,
            "model": served.registered.model.name,
            "model_version": served.model_version,
            "registry": self.follower.trouble or "readable",
        }
        if self.log is not None:
            values["request_log"] = self.log.trouble or "written"
        return Json(values)

    async def _metrics(self, _: Request) -> Response:
        return Response(await asyncio.to_thread(self.metrics.text), media_type=CONTENT_TYPE)

    async def _openapi(self, _: Request) -> Response:
        return Json(openapi.description(self.follower.served, self.options.max_rows))

    async def _docs(self, _: Request) -> Response:
        return HTMLResponse(openapi.docs(self.follower.served, self.address, self.has_token))


async def _body(request: Request, most_bytes: int) -> bytes:
    """The body, if it is not too large and comes in time."""
    stated = request.headers.get("content-length", "0")
    too_large = HTTPException(413, f"The body is larger than {most_bytes:,} bytes")
    if stated.isdecimal() and int(stated) > most_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > most_bytes:
                    raise too_large
                parts.append(part)
    except TimeoutError as error:
        said = f"The body has not come within {BODY_SECONDS:.0f} seconds"
        raise HTTPException(408, said) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The body ended too early") from error
    return b"".join(parts)


async def _of_http(_: Request, error: Any) -> Response:
    return Json({"error": error.detail}, error.status_code, error.headers)


async def _of_data(_: Request, error: Any) -> Response:
    names = ("where", "found", "expected", "remedy")
    parts = {name: escape.line(getattr(error, name)) for name in names}
    return Json({"error": str(error), **parts}, 400 if isinstance(error, BodyError) else 422)


async def _unexpected(_: Request, error: Any) -> Response:
    said = "This is unexpected: look at what the service has logged, and report it"
    return Json({"error": f"{type(error).__name__}. {said}"}, 500)
