"""The dashboard's pages: its files, its events, its logins, and the orders it gives.

Read-only pages are for everybody who reaches the address, orders for `admin_users`. An order is
accepted from our own page only (token), and passwords from this machine only (no TLS here).
"""

from __future__ import annotations

import importlib.resources
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.console import Answer, Command, Failure
from trio_pool.journal import Journal
from trio_pool.web.clock import Clock
from trio_pool.web.http import Request, Response, refusal
from trio_pool.web.live import Feed, Stream
from trio_pool.web.logins import (
    COOKIE,
    TICKET_SECONDS,
    Logins,
    Ticket,
    TooManyFailures,
    is_here,
    is_plain_host,
    is_token,
)

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}
_ORDERS: Final = ("PAUSE", "RESUME", "RELOAD")
# How long an order is waited for; a PAUSE goes on until every transaction has ended.
_ORDER_SECONDS: Final = 2.0
_ATTRIBUTES: Final = "HttpOnly; SameSite=Strict; Path=/"


class Dashboard:
    """The pages of one pool."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._feed = Feed(server, clock)
        self._logins = Logins(server)
        self.pages = {("GET", path): self._file for path in _FILES} | {
            ("GET", "/events"): self._events,
            ("GET", "/api/now"): self._now,
            ("GET", "/api/session"): self._session,
            ("POST", "/api/login"): self._log_in,
            ("POST", "/api/logout"): self._log_out,
            ("POST", "/api/orders"): self._order,
        }

    async def _file(self, request: Request) -> Response:
        name, kind = _FILES[request.path]
        file = importlib.resources.files("trio_pool.web") / "static" / name
        return _refused_host(request) or Response(file.read_bytes(), kind)

    async def _events(self, request: Request) -> Response:
        cookie = request.cookie(COOKIE)
        stream = Stream(self._feed, lambda: self._logins.ticket(cookie) is not None)
        return _refused_host(request) or Response(content_type="text/event-stream", events=stream)

    async def _now(self, request: Request) -> Response:
        detailed = self._ticket(request) is not None
        return _refused_host(request) or Response(self._feed.now(detailed), "application/json")

    async def _session(self, request: Request) -> Response:
        return _refused_host(request) or _about(self._ticket(request))

    async def _log_in(self, request: Request) -> Response:
        refused = _refused_host(request)
        if refused is not None:
            return refused
        if not is_here(request.peer):
            return refusal(
                HTTPStatus.FORBIDDEN,
                "no password is taken here over a network: log in on the pool's machine, or by a "
                "tunnel or proxy that ends there",
            )
        said = _said(request)
        if said is None:
            return refusal(HTTPStatus.BAD_REQUEST, "expected JSON with user and password")
        try:
            cookie = await self._logins.begin(
                said.get("user", ""), said.get("password", ""), request.peer
            )
        except TooManyFailures:
            return refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many failed logins; wait a minute")
        if cookie is None:
            return refusal(HTTPStatus.UNAUTHORIZED, "password authentication failed")
        return _about(
            self._logins.ticket(cookie), f"{COOKIE}={cookie}; Max-Age={TICKET_SECONDS:.0f}"
        )

    async def _log_out(self, request: Request) -> Response:
        if (refused := self._refused_order(request)) is not None:
            return refused
        self._logins.end(request.cookie(COOKIE))
        return _about(None, f"{COOKIE}=; Max-Age=0")

    async def _order(self, request: Request) -> Response:
        if (refused := self._refused_order(request)) is not None:
            return refused
        ticket, said = self._ticket(request), _said(request)
        assert ticket is not None
        if not ticket.is_admin:
            return refusal(HTTPStatus.FORBIDDEN, "orders are for admin_users")
        if said is None or said.get("order") not in _ORDERS:
            return refusal(
                HTTPStatus.BAD_REQUEST, f"expected JSON with order: {', '.join(_ORDERS)}"
            )
        command = Command(said["order"], said.get("database", ""))
        log.info("dashboard order user=%r: %s %s", ticket.user, command.verb, command.argument)
        return await self._carried_out(command)

    async def _carried_out(self, command: Command) -> Response:
        done, answers = trio.Event(), list[Answer]()
        # Why a task: a PAUSE that nobody waits for any more would be taken back.
        self._server.start_soon(self._carry_out, command, answers, done)
        with trio.move_on_after(_ORDER_SECONDS):
            await done.wait()
        if not answers:
            return Response(b"under way\n", status=HTTPStatus.ACCEPTED)
        (answer,) = answers
        if isinstance(answer, Failure):
            return refusal(HTTPStatus.CONFLICT, answer.message)
        return Response(b"done\n")

    async def _carry_out(self, command: Command, answers: list[Answer], done: trio.Event) -> None:
        answers.append(await self._server.operations.carry_out(command))
        done.set()

    def _ticket(self, request: Request) -> Ticket | None:
        return self._logins.ticket(request.cookie(COOKIE))

    def _refused_order(self, request: Request) -> Response | None:
        """Why nothing is done for this request; None when it is one of our own page's."""
        ticket = self._ticket(request)
        if ticket is None:
            return refusal(HTTPStatus.UNAUTHORIZED, "log in first")
        if not is_token(ticket, request.headers.get("x-csrf-token", "")):
            return refusal(HTTPStatus.FORBIDDEN, "this order does not come from our own page")
        return _refused_host(request)


def _refused_host(request: Request) -> Response | None:
    if is_plain_host(request.headers.get("host", "")):
        return None
    words = "the dashboard is shown under localhost or an address only, not under a name"
    return refusal(HTTPStatus.MISDIRECTED_REQUEST, words)


def _said(request: Request) -> dict[str, str] | None:
    """The texts of a JSON object; None when the body is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def _about(ticket: Ticket | None, cookie: str = "") -> Response:
    """Who is logged in, and the token of their orders."""
    found = (
        {"user": None}
        if ticket is None
        else {"user": ticket.user, "admin": ticket.is_admin, "token": ticket.token}
    )
    headers = (("set-cookie", f"{cookie}; {_ATTRIBUTES}"),) if cookie else ()
    return Response(json.dumps(found).encode(), "application/json", headers=headers)
