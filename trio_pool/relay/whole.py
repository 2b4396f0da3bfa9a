"""A whole request in one chunk, and its whole answer in another, each taken at once.

It is a Query; or, as most drivers say them together, Bind, Describe, Execute and Sync, with a Parse
of the unnamed statement in front of them or without. Most servers answer all of it together. Where
nothing about it is special, each message need not be looked at by itself.

Rule: nothing is decided here that the handlers of the messages (simple, parsing, binding, flow,
downstream) would decide otherwise. What is not recognised is left to them as it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import after_alike, name_end
from protocol.ledger import Owed
from trio_pool.relay.hints import harmless
from trio_pool.relay.naming import own_unnamed_first
from trio_pool.relay.state import NO_STATEMENTS, BackendState, Relay
from trio_pool.statements import Statement

if TYPE_CHECKING:
    from mypy_extensions import i64

# Why numbers and bytes of this module's own: see upstream.
_BIND: Final = 0x42
_PARSE: Final = 0x50
_QUERY: Final = 0x51
_DATA_ROW: Final = 0x44
_COMMAND_COMPLETE: Final = 0x43
_ROW_DESCRIPTION: Final = 0x54
_PARSE_COMPLETE: Final = 0x31
_IDLE: Final = 0x49
# How the tags begin that are watched (replies.watch_tag).
_D: Final = 0x44

# flow.FINISH.
_FINISH: Final = b"D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
_FINISH_BYTES: Final = 22
# Limit: a longer Bind is looked at by itself.
_BIND_BYTES_MAX: Final = 1_024
# By the length word: how a Bind of the unnamed portal begins, as far as the statement's name.
# Why a table: to compare a few bytes costs less than to work out what number they are.
_BINDS: Final = [b"B" + length.to_bytes(4, "big") + b"\0" for length in range(_BIND_BYTES_MAX)]

_PARSED_AND_BOUND: Final = b"1\0\0\0\x042\0\0\0\x04"
_BOUND: Final = b"2\0\0\0\x04"
_NO_DATA: Final = b"n\0\0\0\x04"
_READY: Final = b"Z\0\0\0\x05"
_READY_BYTES: Final = 6
# CommandComplete with the shortest tag, and ReadyForQuery.
_END_BYTES_MIN: Final = 12


def take_request(relay: Relay, backend: BackendState, chunk: bytes) -> bool:
    """Take `chunk`, if it is all of an ordinary request and nothing else; else do nothing."""
    pipeline = backend.pipeline
    end: i64 = len(chunk)
    tag: i64 = chunk[0]
    if tag != _QUERY and chunk[end - _FINISH_BYTES :] != _FINISH:
        return False
    if end > relay.pool.lengths_max[tag]:
        return False
    if pipeline.owed.head is not None or pipeline.skipping or pipeline.copying_in:
        return False
    if relay.portals or relay.stale is not NO_STATEMENTS or relay.settings_suspect:
        return False
    if relay.up_passing or relay.up_dropping or relay.hold is not None or relay.goodbye:
        return False
    if relay.redoing:
        # All of this segment is to be said again.
        return False
    fresh = pipeline.status == _IDLE and not pipeline.segment_open
    if not fresh and relay.redo:
        return False
    if tag == _QUERY:
        taken = _take_query(relay, backend, chunk, end)
    elif tag == _PARSE:
        taken = _take_unnamed(relay, backend, chunk, end)
    else:
        taken = _take_named(relay, backend, chunk, end)
    if taken and fresh:
        relay.redo = chunk
    return taken


def _take_query(relay: Relay, backend: BackendState, chunk: bytes, end: i64) -> bool:
    """One Query, whose text leaves nothing behind but that there is no unnamed statement."""
    if chunk[1] != 0 or chunk[2] != 0:
        return False
    high: i64 = chunk[3]
    length: i64 = chunk[4]
    length += high << 8
    if length + 1 != end or length <= 4 or not harmless(chunk[5 : end - 1], relay.pool.functions):
        return False
    relay.client.unnamed = None
    backend.statements.unnamed = None
    backend.pipeline.owe_query()
    relay.to_server.append(chunk)
    return True


def _take_unnamed(relay: Relay, backend: BackendState, chunk: bytes, end: i64) -> bool:
    """Parse and Bind of the unnamed statement, whose text is known to leave nothing behind."""
    if chunk[1] != 0 or chunk[2] != 0 or chunk[5] != 0:
        return False
    high: i64 = chunk[3]
    stop: i64 = chunk[4]
    stop += (high << 8) + 1
    length: i64 = end - _FINISH_BYTES - stop - 1
    if length <= 0 or length >= _BIND_BYTES_MAX:
        return False
    if chunk[stop : stop + 6] != _BINDS[length] or chunk[stop + 6] != 0:
        return False
    tail = chunk[6:stop]
    client = relay.client
    if not relay.pool.known_harmless(tail) or client.bytes_held + len(tail) > client.bytes_max:
        return False
    statement = Statement(tail, relay.settings.parse_environment)
    statement.plain = True
    own_unnamed_first(relay, backend, statement)
    relay.counters.parses += 1
    relay.counters.binds += 1
    backend.pipeline.owe_request()
    relay.to_server.append(chunk)
    return True


def _take_named(relay: Relay, backend: BackendState, chunk: bytes, end: i64) -> bool:
    """Bind of a statement that leaves nothing behind, and that the backend certainly has."""
    length: i64 = end - _FINISH_BYTES - 1
    if length <= 0 or length >= _BIND_BYTES_MAX or chunk[:6] != _BINDS[length]:
        return False
    name_stop = name_end(chunk, 6, length + 1)
    name = chunk[6:name_stop]
    client, statements = relay.client, backend.statements
    statement = client.names.get(name)
    if statement is None or not statement.plain:
        return False
    if statements.unsettled or name in client.tentative:
        return False
    server_name = statements.name_of(statement)
    if server_name is None:
        return False
    length += len(server_name) - len(name)
    if length >= _BIND_BYTES_MAX or relay.aliases.setdefault(server_name, name) != name:
        return False
    relay.to_server.append(_BINDS[length] + server_name + chunk[name_stop:])
    relay.counters.binds += 1
    backend.pipeline.owe_request()
    return True


def take_answer(relay: Relay, backend: BackendState, chunk: bytes) -> bool:
    """Take `chunk`, if it is all of the ordinary answer to a whole request; else do nothing."""
    end: i64 = len(chunk)
    if backend.partial or relay.down_passing or relay.hold is not None:
        return False
    parse: Owed | None = None
    position: i64 = 5
    if backend.pipeline.owes_query:
        return _ends(chunk, 0, end) and _answered(relay, backend, None, chunk)
    if chunk[0] == _PARSE_COMPLETE:
        parse = backend.first_parse
        if chunk[:10] != _PARSED_AND_BOUND or parse is None:
            return False
        position = 10
    elif chunk[:5] != _BOUND:
        return False
    if not backend.pipeline.owes_request(parse) or not _ends(chunk, position, end):
        return False
    return _answered(relay, backend, parse, chunk)


def _answered(relay: Relay, backend: BackendState, parse: Owed | None, chunk: bytes) -> bool:
    backend.pipeline.request_answered(parse, chunk[len(chunk) - 1])
    relay.counters.queries += 1
    relay.redo = b""
    relay.to_client.append(chunk)
    return True


def _ends(chunk: bytes, position: i64, end: i64) -> bool:
    """Whether a description, rows, one CommandComplete and ReadyForQuery are all there is."""
    # Why byte by byte: compiled, a slice costs as much as twelve looks; interpreted, as three.
    # Why no look at lengths below four: what they lead to is none of the messages that follow here.
    if chunk[position] == _ROW_DESCRIPTION:
        if chunk[position + 1] != 0 or chunk[position + 2] != 0:
            return False
        high: i64 = chunk[position + 3]
        length: i64 = chunk[position + 4]
        length += high << 8
        position += 1 + length
    elif chunk[position : position + 5] == _NO_DATA:
        position += 5
    if position + _END_BYTES_MIN > end:
        return False
    if chunk[position] == _DATA_ROW:
        position = after_alike(chunk, position)
        if position + _END_BYTES_MIN > end:
            return False
    if chunk[position] != _COMMAND_COMPLETE or chunk[position + 5] == _D:
        return False
    if chunk[position + 1] != 0 or chunk[position + 2] != 0 or chunk[position + 3] != 0:
        return False
    length = chunk[position + 4]
    ready = position + 1 + length
    return ready == end - _READY_BYTES and chunk[ready : end - 1] == _READY
