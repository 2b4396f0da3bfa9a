"""Which path shows what.

`/metrics`, `/healthz` and `/readyz` are for programs, whoever they are: they hold names and numbers
and no text of anybody's. The rest is the dashboard's (trio_pool.web.dashboard).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from trio_pool.web import exposition
from trio_pool.web.clock import Clock
from trio_pool.web.dashboard import Dashboard
from trio_pool.web.figures import families
from trio_pool.web.http import Request, Response, refusal

if TYPE_CHECKING:
    from trio_pool.server import Server

Page = Callable[[Request], Awaitable[Response]]


class Routes:
    """Answers requests about one pool."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._pages: dict[tuple[str, str], Page] = {
            ("GET", "/metrics"): self._metrics,
            ("GET", "/healthz"): self._health,
            ("GET", "/readyz"): self._readiness,
            **Dashboard(server, clock).pages,
        }

    async def answer(self, request: Request) -> Response:
        """The page that is asked for, or that there is none."""
        method = "GET" if request.method == "HEAD" else request.method
        page = self._pages.get((method, request.path))
        if page is not None:
            return await page(request)
        allowed = [known for known, path in self._pages if path == request.path]
        if not allowed:
            return refusal(HTTPStatus.NOT_FOUND, "there is no such page")
        words = f"this page is for {' and '.join(allowed)}"
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return Response(f"{words}\n".encode(), status=status, headers=(("allow", allowed[0]),))

    async def _metrics(self, request: Request) -> Response:
        text = exposition.render(families(self._server, self._clock))
        return Response(text, exposition.CONTENT_TYPE)

    async def _health(self, request: Request) -> Response:
        """The loop turns: whoever reads this was answered by it."""
        return Response(b"ok\n")

    async def _readiness(self, request: Request) -> Response:
        reason = why_not_ready(self._server)
        if reason is None:
            return Response(b"ready\n")
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {reason}")


def why_not_ready(server: Server) -> str | None:
    """Why new clients should go elsewhere; None when they are welcome.

    A server that is down is no reason: every pool in front of it would give the same, and
    clients get a better answer from it than from a load balancer without members.
    """
    if server.shutdown.stopping or server.shutdown.draining:
        return "it is shutting down"
    if server.operations.suspended:
        return "it is suspended"
    if server.operations.paused_all:
        return "it is paused"
    return None
