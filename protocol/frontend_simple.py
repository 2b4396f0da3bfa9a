"""Frontend messages outside the extended query protocol: Query, function call, COPY, farewell.

For each message an encoder, a frozen class and a decoder, as in `frontend_extended`.

Invariant: `decode_x(body).encode()` gives back the very bytes, for every body that decodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.tags import FrontendTag


def query(text: bytes) -> bytes:
    """Run `text`, which may hold several statements."""
    return build.message(FrontendTag.QUERY, build.cstring(text))


def function_call(
    function: int,
    formats: Sequence[int] = (),
    arguments: Sequence[bytes | None] = (),
    result_format: int = 0,
) -> bytes:
    """Call the function with the OID `function` (the protocol's legacy way)."""
    body = (
        build.uint32(function)
        + build.formats(formats)
        + build.values(arguments)
        + result_format.to_bytes(2, "big", signed=True)
    )
    return build.message(FrontendTag.FUNCTION_CALL, body)


def copy_data(data: bytes) -> bytes:
    """A piece of COPY data; pieces need not follow the borders of rows."""
    return build.message(FrontendTag.COPY_DATA, data)


def copy_done() -> bytes:
    """The COPY data is complete."""
    return build.message(FrontendTag.COPY_DONE)


def copy_fail(reason: bytes) -> bytes:
    """Make the COPY fail; the server's error quotes `reason`."""
    return build.message(FrontendTag.COPY_FAIL, build.cstring(reason))


def terminate() -> bytes:
    """Say goodbye; the server answers nothing."""
    return build.message(FrontendTag.TERMINATE)


@attrs.frozen
class Query:
    """Query, decoded."""

    text: bytes

    def encode(self) -> bytes:
        return query(self.text)


@attrs.frozen
class FunctionCall:
    """FunctionCall, decoded."""

    function: int
    formats: tuple[int, ...] = ()
    arguments: tuple[bytes | None, ...] = ()
    result_format: int = 0

    def encode(self) -> bytes:
        return function_call(self.function, self.formats, self.arguments, self.result_format)


@attrs.frozen
class CopyData:
    """CopyData, decoded."""

    data: bytes

    def encode(self) -> bytes:
        return copy_data(self.data)


@attrs.frozen
class CopyDone:
    """CopyDone, which has no contents."""

    def encode(self) -> bytes:
        return copy_done()


@attrs.frozen
class CopyFail:
    """CopyFail, decoded."""

    reason: bytes

    def encode(self) -> bytes:
        return copy_fail(self.reason)


@attrs.frozen
class Terminate:
    """Terminate, which has no contents."""

    def encode(self) -> bytes:
        return terminate()


def decode_query(body: bytes) -> Query:
    """Raises ProtocolViolation, as all decoders here do, when the body is not a Query."""
    cursor = Cursor(body)
    message = Query(cursor.cstring())
    cursor.expect_end()
    return message


def decode_function_call(body: bytes) -> FunctionCall:
    cursor = Cursor(body)
    function = cursor.uint32()
    formats = tuple([cursor.int16() for _ in range(cursor.count16(2))])
    arguments = tuple([cursor.value() for _ in range(cursor.count16(4))])
    message = FunctionCall(function, formats, arguments, cursor.int16())
    cursor.expect_end()
    return message


def decode_copy_data(body: bytes) -> CopyData:
    return CopyData(body)


def decode_copy_done(body: bytes) -> CopyDone:
    Cursor(body).expect_end()
    return CopyDone()


def decode_copy_fail(body: bytes) -> CopyFail:
    cursor = Cursor(body)
    message = CopyFail(cursor.cstring())
    cursor.expect_end()
    return message


def decode_terminate(body: bytes) -> Terminate:
    Cursor(body).expect_end()
    return Terminate()
