"""Where the pool listens for browsers and scrapers, and how many of them it serves at once.

Its tasks belong to a nursery inside the pooler's, beside the switchboard and never on it: whoever
is slow here keeps no client of the pool waiting.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.config import Settings
from trio_pool.journal import Journal
from trio_pool.web.clock import Clock
from trio_pool.web.http import Conversation, Limits
from trio_pool.web.routes import Routes

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

# Between two looks whether the process whose place we take has left the address.
_PATIENCE_SECONDS: Final = 0.2


async def serve_http(
    server: Server,
    patient: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or until a successor has taken over; started once it listens.

    Raises OSError when an address is taken; when `patient`, it waits until that is free.
    """
    settings = server.config.settings
    listeners = await _listen(settings, patient)
    server.http_addresses = tuple(_address(listener) for listener in listeners)
    for host, port in server.http_addresses:
        log.info(
            "metrics and dashboard on http://%s:%s/", f"[{host}]" if ":" in host else host, port
        )
    clock = Clock()
    async with trio.open_nursery() as nursery:
        server.entrances.callback(_leave, server, nursery.cancel_scope)
        nursery.start_soon(clock.run, server.pools, settings)
        desk = _Desk(server, Routes(server, clock))
        task_status.started()
        await trio.serve_listeners(desk.serve, listeners)


def _leave(server: Server, scope: trio.CancelScope) -> None:
    """No new clients are taken from now on: the address is our successor's, if there is one."""
    if server.entrances.succeeded:
        scope.cancel()


async def _listen(settings: Settings, patient: bool) -> list[trio.SocketListener]:
    async with contextlib.AsyncExitStack() as undo:
        listeners: list[trio.SocketListener] = []
        for name in settings.http_listen_addr:
            host = None if name == "*" else name
            opened = await _listeners(host, settings.http_listen_port, patient)
            for listener in opened:
                undo.push_async_callback(listener.aclose)
            listeners += opened
        undo.pop_all()
        return listeners


async def _listeners(host: str | None, port: int, patient: bool) -> Sequence[trio.SocketListener]:
    while True:
        try:
            return await trio.open_tcp_listeners(port, host=host)
        except OSError as failure:
            if not patient or failure.errno != errno.EADDRINUSE:
                raise
        await trio.sleep(_PATIENCE_SECONDS)


def _address(listener: trio.SocketListener) -> tuple[str, int]:
    host, port = listener.socket.getsockname()[:2]
    return str(host), int(port)


class _Desk:
    """Serves connections, no more than `http_max_conn` at once."""

    def __init__(self, server: Server, routes: Routes) -> None:
        self._server = server
        self._routes = routes
        self._busy = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, to its end."""
        settings = self._server.config.settings
        limits = Limits(settings.http_max_request_bytes, settings.http_timeout or float("inf"))
        self._busy += 1
        try:
            async with stream:
                talk = Conversation(stream, _peer(stream), limits)
                if settings.http_max_conn and self._busy > settings.http_max_conn:
                    await talk.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "see http_max_conn")
                else:
                    await talk.run(self._routes.answer)
        except Exception:
            log.exception("a page failed")
        finally:
            self._busy -= 1


def _peer(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        # It has left already.
        return "unknown"
