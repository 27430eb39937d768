"""The page, its events, the JSON API and the metrics: what may be asked for over HTTP. Nothing can be changed."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from natsmith.model.units import Json
from natsmith.monitor import openapi
from natsmith.monitor.hub import MOST_READERS, Full
from natsmith.monitor.metrics import Metrics
from natsmith.monitor.picture import Picture

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""What is sent with everything: the page loads nothing from elsewhere, and nobody puts it into a frame."""

FILES = {
    "/": ("index.html", "text/html"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "making", "tables", "services")},
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Headers:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self._app(scope, receive, with_headers)


class Local:
    """Answers only who asks for this machine: a page from elsewhere may give its own name our address, and read along."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if is_local(re.sub(r":\d+$", "", asked).strip("[]")):
            await self._app(scope, receive, send)
            return
        told = (
            f"this monitor answers for localhost only, not for {asked[:100]!r}: listen on another address with --listen"
        )
        await PlainTextResponse(told, 421)(scope, receive, send)


def is_local(host: str) -> bool:
    """Return whether a name or an address is this machine for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def app(picture: Picture, *, local: bool = False) -> Starlette:
    """Return what answers, with *local* only for this machine."""
    registry = CollectorRegistry()
    registry.register(Metrics(picture))
    ProcessCollector(registry=registry)  # what the monitor itself takes

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def events(asked: Request) -> Response:
        if asked.method == "HEAD":
            return Response(media_type="text/event-stream")
        reader = picture.hub.read()
        try:
            first = await anext(reader)
        except Full:
            busy = f"there are {MOST_READERS} pages open already: close some"
            return PlainTextResponse(busy, 503, headers={"retry-after": "10"})
        return StreamingResponse(
            _from(first, reader), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def ready(_: Request) -> Response:
        trouble = picture.trouble()
        return JSONResponse({"ready": not trouble, "trouble": trouble}, 503 if trouble else 200)

    async def healthy(_: Request) -> Response:
        return JSONResponse({"healthy": True})

    routes = [Route(path, _file(name, kind)) for path, (name, kind) in FILES.items()]
    routes += [Route(f"/api/{part}", _document(made)) for part, made in picture.documents().items()]
    routes += [
        Route("/api/events", events),
        Route("/api/openapi.json", _document(openapi.document)),
        Route("/metrics", metrics),
        Route("/healthz", healthy),
        Route("/readyz", ready),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Headers), *([Middleware(Local)] if local else [])])


Endpoint = Callable[[Request], Awaitable[Response]]


def _file(name: str, kind: str) -> Endpoint:
    body = resources.files("natsmith.monitor").joinpath("page", name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(body, media_type=f"{kind}; charset=utf-8")

    return answer


def _document(made: Callable[[], Json]) -> Endpoint:
    async def answer(_: Request) -> Response:
        return Response(json.dumps(made()).encode(), media_type="application/json")

    return answer


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event
