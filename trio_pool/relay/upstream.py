"""From the client to the server: find the messages, hand each to its handler.

Messages pass on in runs, as the very object that was received where nothing needs an edit.
What is incomplete is kept until it is whole; data of a COPY and the parameters of a large Bind
are passed on in pieces instead. After an error the server skips to Sync, and so does this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from protocol.errors import ProtocolViolation
from protocol.framing import HEADER_BYTES, LENGTH_MAX, after_alike
from protocol.ledger import FAKE
from protocol.pipeline import PLAIN
from protocol.tags import FrontendTag
from trio_pool.relay.binding import (
    close_without_backend,
    on_bind,
    on_close,
    on_describe,
    on_execute,
)
from trio_pool.relay.effects import Awaited
from trio_pool.relay.flow import (
    FINISH,
    drop_message,
    may_finish,
    on_copy_data,
    on_copy_end,
    on_flush,
    on_sync,
    on_terminate,
)
from trio_pool.relay.holding import wait_for_all
from trio_pool.relay.parsing import on_parse
from trio_pool.relay.simple import on_function_call, on_query
from trio_pool.relay.state import Relay, emit_fakes
from trio_pool.relay.whole import take_request

if TYPE_CHECKING:
    from mypy_extensions import i64

Handler = Callable[[Relay, bytes, int, int], bool]

_HANDLERS: Final[dict[int, Handler]] = {
    FrontendTag.PARSE: on_parse,
    FrontendTag.BIND: on_bind,
    FrontendTag.DESCRIBE: on_describe,
    FrontendTag.EXECUTE: on_execute,
    FrontendTag.CLOSE: on_close,
    FrontendTag.SYNC: on_sync,
    FrontendTag.FLUSH: on_flush,
    FrontendTag.QUERY: on_query,
    FrontendTag.FUNCTION_CALL: on_function_call,
    FrontendTag.COPY_DATA: on_copy_data,
    FrontendTag.COPY_DONE: on_copy_end,
    FrontendTag.COPY_FAIL: on_copy_end,
    FrontendTag.TERMINATE: on_terminate,
}

# FrontendTag's, which are asked for once per message. Why numbers of this module's own: what stands
# in another one is looked up each time; compiled, these are part of the code.
_BIND: Final = 0x42
_COPY_DATA: Final = 0x64
_DESCRIBE: Final = 0x44
_PARSE: Final = 0x50
_PASSWORD: Final = 0x70
_QUERY: Final = 0x51
_SYNC: Final = 0x53
_TERMINATE: Final = 0x58

# More than this is not kept to be said again.
_REDO_BYTES_MAX: Final = 65_536

# Messages that mean nothing where no backend is held.
_UNASKING: Final = bytes(
    [
        FrontendTag.COPY_DATA,
        FrontendTag.COPY_DONE,
        FrontendTag.COPY_FAIL,
        FrontendTag.PASSWORD,
        FrontendTag.TERMINATE,
    ]
)

# And those of which some need none (`_needs_none`).
_MAY_NOT_ASK: Final = _UNASKING + bytes([FrontendTag.CLOSE, FrontendTag.FLUSH])
_ASKS: Final = bytes([tag not in _MAY_NOT_ASK for tag in range(256)])

# A Bind beyond this size is passed on in pieces once its names are known.
_STREAM_BYTES: Final = 65_536

# Of what nobody will read: more than any client sends.
_EVERYTHING: Final = 1 << 60


def take_from_client(relay: Relay, chunk: bytes) -> None:
    """Handle received bytes; what is to be sent is in relay.to_server and relay.to_client.

    Raises ProtocolViolation for bytes no PostgreSQL server would accept, and an Ending when a
    limit is reached. The bytes handled before that have been passed on.
    """
    if relay.parts:
        if not _collected(relay, chunk):
            return
        chunk = b"".join(relay.parts)
        relay.parts.clear()
    relay.wants_backend = False
    backend = relay.backend
    if backend is not None and len(chunk) > HEADER_BYTES and take_request(relay, backend, chunk):
        return
    fresh = backend is not None and backend.pipeline.fresh
    relay.run = 0
    position = 0
    if relay.up_passing or relay.up_dropping:
        position = _pass_pending(relay, chunk)
    try:
        position = _take_messages(relay, chunk, position)
    finally:
        if relay.run or not 0 < position == len(chunk):
            relay.cut(chunk, max(position, relay.run))
        elif relay.to_server.first is None:
            # As it came, which nearly all is.
            relay.to_server.first = chunk
        else:
            relay.to_server.append(chunk)
    if fresh or relay.redo:
        _note_for_redo(relay, chunk, position, fresh)
    if position < len(chunk):
        _keep(relay, chunk, position)


def asks(chunk: bytes) -> bool:
    """Whether `chunk` begins with a whole message that a backend must answer."""
    if len(chunk) < HEADER_BYTES or not _ASKS[chunk[0]]:
        return False
    length: i64 = (chunk[1] << 24) | (chunk[2] << 16) | (chunk[3] << 8) | chunk[4]
    return length < len(chunk)


def _collected(relay: Relay, chunk: bytes) -> bool:
    """Add `chunk` to what was kept; whether it can be handled now."""
    relay.parts.append(chunk)
    relay.parts_bytes += len(chunk)
    if relay.parts_bytes < relay.parts_needed or relay.hold is not None:
        return False
    return relay.backend is not None or not relay.wants_backend


def _note_for_redo(relay: Relay, chunk: bytes, handled: int, fresh: bool) -> None:
    """Keep what was said since nothing was answered, as long as it is little and whole."""
    said = chunk if handled == len(chunk) else chunk[:handled]
    relay.redo = said if fresh else relay.redo + said
    if relay.up_passing or len(relay.redo) > _REDO_BYTES_MAX:
        relay.redo = b""


def _keep(relay: Relay, chunk: bytes, position: int) -> None:
    """Keep what could not be handled, and note how much makes a whole message."""
    rest = chunk[position:]
    relay.parts = [rest]
    relay.parts_bytes = len(rest)
    relay.parts_needed = 0
    if len(rest) < HEADER_BYTES:
        if relay.hold is None and not relay.goodbye and _unknown(rest[0]):
            # As a server does, which reads the type before it waits for the length.
            if _stop_at(relay, chunk, position, rest[0], HEADER_BYTES - 1) == len(chunk):
                relay.cut(chunk, len(chunk))
                relay.parts.clear()
                return
        relay.parts_needed = HEADER_BYTES
    else:
        relay.parts_needed = 1 + int.from_bytes(rest[1:5], "big")
        if rest[0] == FrontendTag.BIND:
            relay.parts_needed = min(relay.parts_needed, len(rest) + 1)


def _stop_at(relay: Relay, data: bytes, position: int, tag: int, length: int) -> int:
    """No message begins like this: nothing that the client says from here on is understood.

    Returns where the unhandled rest begins. Raises ProtocolViolation.
    """
    backend, end = relay.backend, len(data)
    refused_by_us = 4 <= length <= LENGTH_MAX[tag] and tag != _PASSWORD
    if not refused_by_us and backend is not None and backend.pipeline.copying_in:
        # What a server says to it names the line of the data, which only the server knows.
        relay.to_server.append(data[position : position + HEADER_BYTES])
        relay.run, relay.up_dropping = end, _EVERYTHING
        return end
    if refused_by_us or _unknown(tag):
        _refuse_in_turn(relay, tag, length)
        return position
    # A server that cannot tell where the message ends goes as if it had been told to.
    relay.goodbye = True
    relay.run = end
    return end


def _refuse_in_turn(relay: Relay, tag: int, length: int) -> None:
    """Raise the violation, once everything is answered that was said before it."""
    backend = relay.backend
    if backend is None or not backend.pipeline.owed or backend.pipeline.copying_in:
        _refuse(tag, length, relay.pool.lengths_max[tag])
        return
    wait_for_all(relay, backend, Awaited())


def _unknown(tag: int) -> bool:
    """Whether no client says this after its login."""
    return LENGTH_MAX[tag] == 0 or tag == _PASSWORD


def _pass_pending(relay: Relay, chunk: bytes) -> int:
    """The rest of a message whose beginning was passed on, or dropped, already."""
    if relay.up_passing:
        passed = min(relay.up_passing, len(chunk))
        relay.up_passing -= passed
        return passed
    dropped = min(relay.up_dropping, len(chunk))
    relay.up_dropping -= dropped
    relay.run = dropped
    return dropped


def _take_messages(relay: Relay, data: bytes, position: i64) -> i64:
    """Handle messages from `position` on; returns where the unhandled rest begins."""
    backend = relay.backend
    lengths_max = relay.pool.lengths_max
    end: i64 = len(data)
    while position + 5 <= end and relay.hold is None and not relay.goodbye:
        tag: i64 = data[position]
        length: i64 = (
            (data[position + 1] << 24)
            | (data[position + 2] << 16)
            | (data[position + 3] << 8)
            | data[position + 4]
        )
        stop: i64 = position + 1 + length
        if length < 4 or length > lengths_max[tag] or tag == _PASSWORD:
            relay.cut(data, position)
            return _stop_at(relay, data, position, tag, length)
        if stop > end and not _may_begin(tag, data, position, length):
            break
        if backend is None:
            if not _without_backend(relay, tag, data, position, stop):
                break
        elif backend.pipeline.skipping and tag != _SYNC and tag != _TERMINATE:
            _skip(relay, tag, data, position, stop)
        elif tag == _SYNC:
            on_sync(relay, data, position, stop)
        elif tag == _DESCRIBE and _finishes(data, position) and may_finish(relay):
            backend.pipeline.owe_finish()
            stop = position + len(FINISH)
        else:
            if tag == _BIND:
                handled = on_bind(relay, data, position, stop)
            elif tag == _QUERY:
                handled = on_query(relay, data, position, stop)
            elif tag == _PARSE:
                handled = on_parse(relay, data, position, stop)
            elif tag == _COPY_DATA and backend.pipeline.copying_in and end <= lengths_max[tag]:
                # A server that copies wants all of it; what fits in here is not too long.
                handled, stop = True, max(stop, after_alike(data, position))
            else:
                handled = _HANDLERS[tag](relay, data, position, stop)
            if not handled:
                break
            head = backend.pipeline.owed.head
            if head is not None and head.fate == FAKE:
                emit_fakes(relay, backend.pipeline)
        if stop > end:
            _go_on_later(relay, stop - end, end)
            return end
        position = stop
    return position


def _finishes(data: bytes, position: int) -> bool:
    # Why no startswith: with a place to begin at it costs ten times as much as a copy.
    return data[position : position + len(FINISH)] == FINISH


def _refuse(tag: int, length: int, length_max: int) -> None:
    """Raises ProtocolViolation: the protocol, or else the configuration, has no such message."""
    if 4 <= length <= LENGTH_MAX[tag] and tag != _PASSWORD:
        if length_max == 0:
            raise ProtocolViolation("PQexec disallowed", hint="disable_pqexec is set.")
        raise ProtocolViolation(
            f"a message of {length} bytes is too large (max_packet_size)",
            hint="Raise max_packet_size, or send less at once.",
        )
    raise ProtocolViolation(f"invalid frontend message type {tag}")


def _may_begin(tag: int, data: bytes, position: int, length: int) -> bool:
    """Whether an incomplete message can be passed on from its beginning."""
    if tag == FrontendTag.COPY_DATA:
        return True
    if tag != FrontendTag.BIND or length < _STREAM_BYTES:
        return False
    portal_stop = data.find(b"\0", position + HEADER_BYTES)
    return portal_stop >= 0 and data.find(b"\0", portal_stop + 1) >= 0


def _go_on_later(relay: Relay, missing: int, end: int) -> None:
    if relay.run > end:
        # The handler dropped the whole message, of which the rest is still to come.
        relay.run = end
        relay.up_dropping = missing
    else:
        relay.up_passing = missing


def _without_backend(relay: Relay, tag: int, data: bytes, position: int, stop: int) -> bool:
    """Without a backend: do what takes none, ignore what a server ignores, or ask for one."""
    if tag == FrontendTag.TERMINATE:
        relay.goodbye = True
    elif tag not in _UNASKING and not _needs_none(relay, tag, data, position, stop):
        relay.wants_backend = True
        return False
    drop_message(relay, data, position, stop)
    return True


def _needs_none(relay: Relay, tag: int, data: bytes, position: int, stop: int) -> bool:
    """Whether nothing is left to do of a Close, or of a Flush that no server refuses."""
    if tag == FrontendTag.FLUSH:
        return stop - position == HEADER_BYTES
    return tag == FrontendTag.CLOSE and close_without_backend(relay, data, position, stop)


def _skip(relay: Relay, tag: int, data: bytes, position: int, stop: int) -> None:
    """The server would ignore this message; a Query whose replay failed ends in a Sync."""
    drop_message(relay, data, position, stop)
    if tag == FrontendTag.QUERY and relay.query_refused:
        relay.query_refused = False
        assert relay.backend is not None
        relay.backend.pipeline.skipping = False
        relay.to_server.append(b"S\0\0\0\x04")
        relay.backend.pipeline.owe_closing(PLAIN[FrontendTag.SYNC])
