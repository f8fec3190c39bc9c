"""Serves the page that follows trainings while they run. It reads run folders and writes nothing.

Every address lies below a token: who does not know it is told nothing, not even that there is a server of ours.
"""

import ipaddress
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vrft_aug.errors import InputError
from vrft_aug.evaluation.window.addresses import routes

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Gate:
    """Passes on what has the token in its address and a name of this machine as its host; all else is not found."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self.app, self._token = app, token.encode()
        self._hosts = {*LOOPBACK, host} if _is_loopback(host) else None  # a page elsewhere cannot name us as its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        token, slash, rest = scope["path"].removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode(), self._token) and slash and self._is_ours(scope)
        app = self.app if known and scope["type"] == "http" else PlainTextResponse("Not Found", 404)
        inside = {**scope, "type": "http", "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        await app(inside, receive, _with_headers(send))

    def _is_ours(self, scope: Scope) -> bool:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return self._hosts is None or host.rpartition(":")[0].strip("[]") in self._hosts or host in self._hosts


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sent


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def application(root: Path, token: str, host: str = LOOPBACK[0]) -> ASGIApp:
    """The page of the runs below `root`, which need not exist yet."""
    return Gate(GZipMiddleware(Starlette(routes=routes(root)), minimum_size=2000), token, host)


def serve(root: Path, host: str, port: int, token: str | None, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C; `say` gets one line with its address.

    port: 0 is any free one. token: None draws one. Raises InputError for a host or port that cannot be had.
    """
    token = token or secrets.token_urlsafe(24)
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen at host={host} port={port} ({error}); port=0 takes any free port") from None
    name = f"[{host}]" if ":" in host else host
    say(f"watching {root}: open http://{name}:{listening.getsockname()[1]}/{token}/ (Ctrl-C ends it)")
    config = uvicorn.Config(application(root, token, host), log_level="error", access_log=False, server_header=False,
                            timeout_graceful_shutdown=1)  # fmt: skip
    with suppress(KeyboardInterrupt), listening:
        uvicorn.Server(config).run(sockets=[listening])
