"""One connection from a browser or a scraper: HTTP/1.1 by h11, every step within a limit.

Knows requests and responses, and nothing of what they mean. A request that takes longer than
`http_timeout` to arrive or to be answered, or is larger than `http_max_request_bytes`, ends its
connection; so does a reader that does not take an event in that time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, Protocol

import attrs
import h11
import trio

from trio_pool.journal import Journal

log = Journal(__name__)

_READ_BYTES: Final = 4_096
# Whoever is refused in the middle of a request may still be sending it: closed at once, the
# connection would be reset and the refusal be lost.
_LINGER_SECONDS: Final = 1.0
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


@attrs.frozen
class Limits:
    """How large a request may be, and how long a step may take."""

    request_bytes: int
    seconds: float


@attrs.frozen
class Request:
    """A whole request. Header names are in lower case; `peer` is the address it came from."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: str

    def cookie(self, name: str) -> str:
        """The value of a cookie; empty when there is none."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return ""


class Events(Protocol):
    """What server-sent events are made of."""

    async def next(self) -> bytes:
        """The next piece of the stream, in its own time."""


@attrs.frozen
class Response:
    """A whole answer; with `events` the body has no end."""

    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()
    events: Events | None = None


def refusal(status: HTTPStatus, words: str) -> Response:
    """An answer that says no, and why."""
    return Response(f"{words}\n".encode(), status=status)


Answerer = Callable[[Request], Awaitable[Response]]


class Hangup(Exception):
    """The other side is gone, or too slow, or has said something that is no HTTP."""


class Conversation:
    """One connection: requests one after another until either side ends it."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, peer: str, limits: Limits) -> None:
        self._stream = stream
        self._peer = peer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.request_bytes)

    async def run(self, answer: Answerer) -> None:
        """Answer every request. Ends without a word when the other side does."""
        try:
            while True:
                request = await self._next_request()
                if request is None:
                    return
                await self._say(await answer(request), request.method == "HEAD")
                if self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except Hangup as hangup:
            log.debug("a connection ended peer=%s: %s", self._peer, hangup)

    async def refuse(self, status: HTTPStatus, words: str) -> None:
        """Say no without hearing what is wanted."""
        try:
            await self._say(refusal(status, words), False)
            with trio.move_on_after(_LINGER_SECONDS):
                await self._stream.send_eof()
                while await self._stream.receive_some(_READ_BYTES):
                    pass
        except (Hangup, trio.BrokenResourceError) as hangup:
            log.debug("a connection ended peer=%s: %s", self._peer, hangup)

    async def _next_request(self) -> Request | None:
        with trio.move_on_after(self._limits.seconds):
            try:
                return await self._whole_request()
            except h11.RemoteProtocolError as violation:
                if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    status = HTTPStatus(violation.error_status_hint)
                    await self.refuse(status, status.phrase)
                return None
        return None

    async def _whole_request(self) -> Request | None:
        head, body = None, b""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._limits.request_bytes:
                    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                    await self.refuse(status, "see http_max_request_bytes")
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return self._request(head, body)
            elif isinstance(event, h11.ConnectionClosed):
                return None

    def _request(self, head: h11.Request, body: bytes) -> Request:
        return Request(
            method=head.method.decode("ascii"),
            path=head.target.decode("ascii").partition("?")[0],
            headers={name.decode("ascii"): text.decode("latin-1") for name, text in head.headers},
            body=body,
            peer=self._peer,
        )

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                assert not isinstance(event, type) or event is h11.PAUSED
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(
                    self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                )
            try:
                self._http.receive_data(bytes(await self._stream.receive_some(_READ_BYTES)))
            except trio.BrokenResourceError as broken:
                raise Hangup("it was reset") from broken

    async def _say(self, response: Response, head_only: bool) -> None:
        lengths = [] if response.events is not None else [("content-length", len(response.body))]
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", response.content_type.encode("ascii")),
            *((name.encode("ascii"), str(number).encode("ascii")) for name, number in lengths),
            *((name.encode("ascii"), text.encode("ascii")) for name, text in response.headers),
            *_HEADERS,
        ]
        opening = h11.Response(status_code=response.status, headers=headers)
        data = self._http.send(opening) or b""
        if not head_only:
            data += self._http.send(h11.Data(data=response.body)) or b""
        if response.events is not None and not head_only:
            await self._send(data)
            await self._stream_out(response.events)
        data += self._http.send(h11.EndOfMessage()) or b""
        await self._send(data)

    async def _stream_out(self, events: Events) -> None:
        """Until somebody ends it."""
        while True:
            await self._send(self._http.send(h11.Data(data=await events.next())))

    async def _send(self, data: bytes | None) -> None:
        try:
            with trio.fail_after(self._limits.seconds):
                await self._stream.send_all(data or b"")
        except (trio.BrokenResourceError, trio.TooSlowError) as failure:
            raise Hangup("it does not read") from failure
