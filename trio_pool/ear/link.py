"""A backend that does nothing but listen, as its ear holds it.

It knows what it was told to listen to, and what the server has said it does; what is heard is for
the ear to tell.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from protocol import frontend
from protocol.backend import decode_parameter_status
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader
from protocol.sql.identifiers import quote_identifier
from protocol.tags import BackendTag
from trio_pool.backend import Backend, Holder
from trio_pool.errors import Ending

if TYPE_CHECKING:
    from trio_pool.ear.ear import Ear

# Limit: a notification is shorter than a page of the server.
_MESSAGE_BYTES_MAX: Final = 1_048_576


class Link(Holder):
    """A backend that does nothing but listen, which notices nothing that clients leave behind."""

    __slots__ = ("backend", "listens", "confirmed", "asked", "_ear", "_reader")

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self.backend: Backend | None = None
        # What it was told to listen to, and what the server has said it does.
        self.listens: set[bytes] = set()
        self.confirmed: set[bytes] = set()
        # What every query that is not answered yet adds, and when it was sent.
        self.asked: deque[tuple[float, frozenset[bytes]]] = deque()
        self._ear = ear
        self._reader = FrameReader(_MESSAGE_BYTES_MAX)

    def ask(self, sql: bytes, adds: frozenset[bytes] = frozenset()) -> None:
        """Have the backend carry out `sql`, which makes it listen to `adds`."""
        assert self.backend is not None
        self.listens |= adds
        self.asked.append((self._ear.pool.now, adds))
        self.backend.wire.put(frontend.query(sql))

    def listen(self, channels: frozenset[bytes]) -> None:
        """Listen to these as well."""
        self.ask(b"; ".join(listen_to(channel) for channel in sorted(channels)), channels)

    def unlisten(self, channels: set[bytes]) -> None:
        """Listen to these no more."""
        self.listens -= channels
        self.confirmed -= channels
        self.ask(b"; ".join(b"UN" + listen_to(channel) for channel in sorted(channels)))

    def granted(self, backend: Backend) -> None:
        """A backend to listen with."""
        self.waiting_since = 0.0
        self.backend = backend
        self._ear.begin(self)

    def heard(self, data: bytes) -> None:
        """Notifications, and answers to our own queries."""
        self._reader.feed(data)
        try:
            while self.backend is not None and (frame := self._reader.next_frame()) is not None:
                self._take(*frame)
        except ProtocolViolation as violation:
            self._ear.drop(self, str(violation))
        self._ear.flush()

    def _take(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.NOTIFICATION:
            self._ear.heard(self, body)
        elif tag == BackendTag.READY_FOR_QUERY:
            self.confirmed |= self.asked.popleft()[1] & self.listens
            self._ear.confirmed(self)
        elif tag == BackendTag.ERROR:
            self._ear.drop(self, body.replace(b"\0", b" ").decode("utf-8", "replace"))
        elif tag == BackendTag.PARAMETER_STATUS and self.backend is not None:
            status = decode_parameter_status(body)
            self.backend.state.settings.reported(status.name, status.value)

    def backend_lost(self, why: Ending) -> None:
        """The backend is gone."""
        self.backend = None
        self._ear.lost(self, why.text)

    def refused(self, why: Ending) -> None:
        """There is no backend at present; the janitor tries again."""
        self.waiting_since = 0.0
        self._ear.lost(self)


def listen_to(channel: bytes) -> bytes:
    """SQL that listens to one more."""
    return b"LISTEN " + quote_identifier(channel)
