"""Backend messages of COPY.

CopyInResponse, CopyOutResponse and CopyBothResponse have one body and three meanings.

Invariant: `decode_x(body).encode()` gives back the very bytes, for every body that decodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.tags import BackendTag


def _copy_response(tag: int, overall: int, formats: Sequence[int]) -> bytes:
    return build.message(tag, bytes([overall]) + build.formats(formats))


def copy_in_response(overall: int = 0, formats: Sequence[int] = ()) -> bytes:
    """The server waits for CopyData; `overall` is 0 for text, 1 for binary."""
    return _copy_response(BackendTag.COPY_IN, overall, formats)


def copy_out_response(overall: int = 0, formats: Sequence[int] = ()) -> bytes:
    """CopyData follows; `overall` is 0 for text, 1 for binary."""
    return _copy_response(BackendTag.COPY_OUT, overall, formats)


def copy_both_response(overall: int = 0, formats: Sequence[int] = ()) -> bytes:
    """CopyData may flow in both directions (streaming replication)."""
    return _copy_response(BackendTag.COPY_BOTH, overall, formats)


def copy_data(data: bytes) -> bytes:
    """A piece of COPY data; the server sends whole rows."""
    return build.message(BackendTag.COPY_DATA, data)


def copy_done() -> bytes:
    """The COPY data is complete."""
    return build.message(BackendTag.COPY_DONE)


@attrs.frozen
class CopyInResponse:
    """CopyInResponse, decoded."""

    overall: int
    formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return copy_in_response(self.overall, self.formats)


@attrs.frozen
class CopyOutResponse:
    """CopyOutResponse, decoded."""

    overall: int
    formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return copy_out_response(self.overall, self.formats)


@attrs.frozen
class CopyBothResponse:
    """CopyBothResponse, decoded."""

    overall: int
    formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return copy_both_response(self.overall, self.formats)


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


def _decode_response(body: bytes) -> tuple[int, tuple[int, ...]]:
    cursor = Cursor(body)
    overall = cursor.byte()
    formats = tuple([cursor.int16() for _ in range(cursor.count16(2))])
    cursor.expect_end()
    return overall, formats


def decode_copy_in_response(body: bytes) -> CopyInResponse:
    """Raises ProtocolViolation, as all decoders here do, when the body is malformed."""
    return CopyInResponse(*_decode_response(body))


def decode_copy_out_response(body: bytes) -> CopyOutResponse:
    return CopyOutResponse(*_decode_response(body))


def decode_copy_both_response(body: bytes) -> CopyBothResponse:
    return CopyBothResponse(*_decode_response(body))


def decode_copy_data(body: bytes) -> CopyData:
    return CopyData(body)


def decode_copy_done(body: bytes) -> CopyDone:
    Cursor(body).expect_end()
    return CopyDone()
