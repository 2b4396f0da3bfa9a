"""A listening client's way from its backend to the pool's ear, and back (trio_pool.channels).

Our own queries between two of the client's transactions, whose bytes wait meanwhile. Their
answers are dropped; notifications that come along are shown or not as the mark says.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.framing import HEADER_BYTES
from protocol.ledger import DROP, Owed
from protocol.sql.identifiers import quote_identifier
from protocol.tags import FrontendTag
from trio_pool.channels import (
    LEAVING,
    NO_CHANNELS,
    RETURNING,
    Listening,
    channel_of,
    payload_of,
)
from trio_pool.errors import NotificationsUnread
from trio_pool.relay.effects import Question
from trio_pool.relay.state import BackendState, Relay
from trio_pool.settings import quote_literal

TRIES_MAX: Final = 3


class Marked(Question):
    """The query that sets the mark."""

    __slots__ = ("relay", "backend", "listening")

    def __init__(self, relay: Relay, backend: BackendState, listening: Listening) -> None:
        super().__init__()
        self.relay = relay
        self.backend = backend
        self.listening = listening

    def settled(self) -> None:
        relay, listening = self.relay, self.listening
        if not self.broken:
            sql = b"UNLISTEN *"
            if listening.place == RETURNING:
                sql = b"UNLISTEN " + quote_identifier(relay.pool.marks)
            _ask(relay, self.backend, sql, Crossed(self.backend, relay, listening))
        elif listening.place == LEAVING:
            listening.turn_back()
            _open_gate(relay)
        else:
            listening.tries += 1
            if listening.tries < TRIES_MAX:
                _ask_to_return(relay, self.backend, listening)
            else:
                _open_gate(relay)


class Crossed(Question):
    """The query that ends what the crossing asks of the backend."""

    __slots__ = ("backend", "relay", "listening")

    def __init__(self, backend: BackendState, relay: Relay, listening: Listening) -> None:
        super().__init__()
        self.backend = backend
        self.relay = relay
        self.listening = listening

    def settled(self) -> None:
        if self.broken:
            # It listens to what nobody has asked for.
            self.backend.spoiled = "it would not stop listening"
        self.listening.answered = True
        _open_gate(self.relay)


def set_mark(marks: bytes, mark: bytes, channels: frozenset[bytes] = NO_CHANNELS) -> bytes:
    """SQL to listen to `channels` and to the mark, and to set it: all of it or nothing."""
    marks = quote_identifier(marks)
    listens = [b"LISTEN " + quote_identifier(channel) for channel in sorted(channels)]
    listens += [b"LISTEN " + marks, b"NOTIFY " + marks + b", " + quote_literal(mark)]
    return b"; ".join(listens)


def _ask(relay: Relay, backend: BackendState, sql: bytes, effect: Question) -> None:
    relay.to_server.append(frontend.query(sql))
    backend.pipeline.owe_closing(Owed(FrontendTag.QUERY, DROP, effect))
    backend.statements.unnamed = None


def _close_gate(relay: Relay) -> None:
    """No more of the client's bytes are handled until `_open_gate`, or the session's word."""
    relay.hold = Owed(FrontendTag.QUERY, DROP)


def _open_gate(relay: Relay) -> None:
    if relay.hold is not None:
        relay.hold.open = False


def begin_to_leave(relay: Relay, backend: BackendState, listening: Listening) -> None:
    """The ear listens to all of the client's channels: set the mark."""
    mark = relay.pool.new_mark(relay.process)
    listening.set_out(LEAVING, mark)
    if listening.lost:
        # The ear is closed.
        listening.mark_in_ear()
    _close_gate(relay)
    _ask(relay, backend, set_mark(relay.pool.marks, mark), Marked(relay, backend, listening))


def begin_to_return(relay: Relay, backend: BackendState, listening: Listening) -> None:
    """The client has a backend again, which must listen before it is said anything."""
    listening.set_out(RETURNING, relay.pool.new_mark(relay.process))
    if listening.lost:
        # There is no ear, or one that has not been told of this client's channels.
        listening.mark_in_ear()
    _close_gate(relay)
    if not listening.markless:
        _ask_to_return(relay, backend, listening)


def marks_are_heard(relay: Relay, listening: Listening) -> None:
    """The ear listens to marks from now on (or is gone): set the one that had to wait."""
    if listening.markless:
        listening.markless = False
        if listening.place == RETURNING and relay.backend is not None:
            _ask_to_return(relay, relay.backend, listening)


def _ask_to_return(relay: Relay, backend: BackendState, listening: Listening) -> None:
    crossing = listening.crossing
    assert crossing is not None
    sql = set_mark(relay.pool.marks, crossing.mark, listening.channels)
    _ask(relay, backend, sql, Marked(relay, backend, listening))


def wait_for_ear(relay: Relay) -> None:
    """The backend has done its part."""
    _close_gate(relay)


def frame_of(note: bytes) -> bytes:
    """The message whose body a notification is."""
    return b"A" + (len(note) + 4).to_bytes(4, "big") + note


def take_notification(
    relay: Relay, backend: BackendState, data: bytes, start: int, stop: int
) -> None:
    """A NotificationResponse of the client's backend. Raises NotificationsUnread."""
    note = data[start + HEADER_BYTES : stop]
    shown = as_shown(relay, note, backend.process)
    listening = relay.listening
    if listening is not None:
        if channel_of(note) == relay.pool.marks:
            relay.drop_down(data, start, stop)
            crossing = listening.crossing
            if crossing is not None and payload_of(note) == crossing.mark:
                relay.to_client.extend([frame_of(kept) for kept in listening.mark_in_backend()])
            return
        if not listening.hears_backend(shown):
            relay.drop_down(data, start, stop)
            crossing, most = listening.crossing, relay.pool.unread_bytes_max
            if crossing is not None and 0 < most < crossing.kept_bytes:
                raise NotificationsUnread()
            return
    if shown is not note:
        relay.drop_down(data, start, stop)
        relay.to_client.append(frame_of(shown))


def as_shown(relay: Relay, note: bytes, own: bytes) -> bytes:
    """The notification with the sender's process number as the client may know it.

    `own` is what the client's own notifications bear. Should another's bear the number that the
    client was given, nobody's is shown.
    """
    sender = note[:4]
    if not relay.process:
        return note
    if sender == own:
        return relay.process + note[4:]
    return b"\0\0\0\0" + note[4:] if sender == relay.process else note
