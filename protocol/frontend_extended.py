"""Frontend messages of the extended query protocol.

For each message an encoder that returns the whole message, a frozen class that holds its
contents, and a decoder of its body. Source: PostgreSQL documentation, "Message Formats".

Invariant: `decode_x(body).encode()` gives back the very bytes, for every body that decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation
from protocol.tags import FrontendTag

STATEMENT: Final = ord("S")
PORTAL: Final = ord("P")


def parse(name: bytes, text: bytes, types: Sequence[int] = ()) -> bytes:
    """Parse `text` as the statement `name`; `types` are OIDs, 0 where the server may choose."""
    body = build.cstring(name) + build.cstring(text) + build.oids(types)
    return build.message(FrontendTag.PARSE, body)


def bind(
    portal: bytes = b"",
    statement: bytes = b"",
    formats: Sequence[int] = (),
    parameters: Sequence[bytes | None] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    """Bind `parameters` (None is NULL) to `statement`, making `portal`."""
    body = (
        build.cstring(portal)
        + build.cstring(statement)
        + build.formats(formats)
        + build.values(parameters)
        + build.formats(result_formats)
    )
    return build.message(FrontendTag.BIND, body)


def _about(tag: int, kind: int, name: bytes) -> bytes:
    return build.message(tag, bytes([kind]) + build.cstring(name))


def describe_statement(name: bytes = b"") -> bytes:
    """Ask for the parameters and columns of a statement."""
    return _about(FrontendTag.DESCRIBE, STATEMENT, name)


def describe_portal(name: bytes = b"") -> bytes:
    """Ask for the columns of a portal."""
    return _about(FrontendTag.DESCRIBE, PORTAL, name)


def close_statement(name: bytes = b"") -> bytes:
    """Forget a statement; unknown names are fine."""
    return _about(FrontendTag.CLOSE, STATEMENT, name)


def close_portal(name: bytes = b"") -> bytes:
    """Forget a portal; unknown names are fine."""
    return _about(FrontendTag.CLOSE, PORTAL, name)


def execute(portal: bytes = b"", rows_max: int = 0) -> bytes:
    """Run a portal; 0 rows means all of them."""
    return build.message(FrontendTag.EXECUTE, build.cstring(portal) + build.int32(rows_max))


def sync() -> bytes:
    """End the segment: the server answers with ReadyForQuery."""
    return build.message(FrontendTag.SYNC)


def flush() -> bytes:
    """Ask for the answers so far without ending the segment."""
    return build.message(FrontendTag.FLUSH)


@attrs.frozen
class Parse:
    """Parse, decoded."""

    name: bytes
    text: bytes
    types: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return parse(self.name, self.text, self.types)


@attrs.frozen
class Bind:
    """Bind, decoded."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...] = ()
    parameters: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return bind(self.portal, self.statement, self.formats, self.parameters, self.result_formats)


@attrs.frozen
class Describe:
    """Describe, decoded; `kind` is STATEMENT or PORTAL."""

    kind: int
    name: bytes

    def encode(self) -> bytes:
        return _about(FrontendTag.DESCRIBE, self.kind, self.name)


@attrs.frozen
class Close:
    """Close, decoded; `kind` is STATEMENT or PORTAL."""

    kind: int
    name: bytes

    def encode(self) -> bytes:
        return _about(FrontendTag.CLOSE, self.kind, self.name)


@attrs.frozen
class Execute:
    """Execute, decoded; `rows_max` is 0 (or less) for all rows."""

    portal: bytes
    rows_max: int = 0

    def encode(self) -> bytes:
        return execute(self.portal, self.rows_max)


@attrs.frozen
class Sync:
    """Sync, which has no contents."""

    def encode(self) -> bytes:
        return sync()


@attrs.frozen
class Flush:
    """Flush, which has no contents."""

    def encode(self) -> bytes:
        return flush()


def decode_parse(body: bytes) -> Parse:
    """Raises ProtocolViolation, as all decoders here do, when the body is not a Parse."""
    cursor = Cursor(body)
    name, text = cursor.cstring(), cursor.cstring()
    types = tuple([cursor.uint32() for _ in range(cursor.count16(4))])
    cursor.expect_end()
    return Parse(name, text, types)


def decode_bind(body: bytes) -> Bind:
    cursor = Cursor(body)
    portal, statement = cursor.cstring(), cursor.cstring()
    formats = tuple([cursor.int16() for _ in range(cursor.count16(2))])
    parameters = tuple([cursor.value() for _ in range(cursor.count16(4))])
    result_formats = tuple([cursor.int16() for _ in range(cursor.count16(2))])
    cursor.expect_end()
    return Bind(portal, statement, formats, parameters, result_formats)


def _decode_about(body: bytes, verb: str) -> tuple[int, bytes]:
    cursor = Cursor(body)
    kind, name = cursor.byte(), cursor.cstring()
    cursor.expect_end()
    if kind not in (STATEMENT, PORTAL):
        raise ProtocolViolation(f"invalid {verb} message subtype {kind}")
    return kind, name


def decode_describe(body: bytes) -> Describe:
    return Describe(*_decode_about(body, "DESCRIBE"))


def decode_close(body: bytes) -> Close:
    return Close(*_decode_about(body, "CLOSE"))


def decode_execute(body: bytes) -> Execute:
    cursor = Cursor(body)
    message = Execute(cursor.cstring(), cursor.int32())
    cursor.expect_end()
    return message


def decode_sync(body: bytes) -> Sync:
    Cursor(body).expect_end()
    return Sync()


def decode_flush(body: bytes) -> Flush:
    Cursor(body).expect_end()
    return Flush()
