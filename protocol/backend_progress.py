"""Backend messages that only say how far the server has come; none has contents.

Invariant: their bodies are empty, and a body that is not raises ProtocolViolation.
"""

from __future__ import annotations

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.tags import BackendTag


def parse_complete() -> bytes:
    return build.message(BackendTag.PARSE_COMPLETE)


def bind_complete() -> bytes:
    return build.message(BackendTag.BIND_COMPLETE)


def close_complete() -> bytes:
    return build.message(BackendTag.CLOSE_COMPLETE)


def empty_query_response() -> bytes:
    return build.message(BackendTag.EMPTY_QUERY)


def no_data() -> bytes:
    return build.message(BackendTag.NO_DATA)


def portal_suspended() -> bytes:
    return build.message(BackendTag.PORTAL_SUSPENDED)


@attrs.frozen
class ParseComplete:
    """The answer to Parse."""

    def encode(self) -> bytes:
        return parse_complete()


@attrs.frozen
class BindComplete:
    """The answer to Bind."""

    def encode(self) -> bytes:
        return bind_complete()


@attrs.frozen
class CloseComplete:
    """The answer to Close."""

    def encode(self) -> bytes:
        return close_complete()


@attrs.frozen
class EmptyQueryResponse:
    """Stands in for CommandComplete when the text held no statement."""

    def encode(self) -> bytes:
        return empty_query_response()


@attrs.frozen
class NoData:
    """Stands in for RowDescription when there will be no rows."""

    def encode(self) -> bytes:
        return no_data()


@attrs.frozen
class PortalSuspended:
    """Stands in for CommandComplete when Execute's limit was reached."""

    def encode(self) -> bytes:
        return portal_suspended()


def decode_parse_complete(body: bytes) -> ParseComplete:
    Cursor(body).expect_end()
    return ParseComplete()


def decode_bind_complete(body: bytes) -> BindComplete:
    Cursor(body).expect_end()
    return BindComplete()


def decode_close_complete(body: bytes) -> CloseComplete:
    Cursor(body).expect_end()
    return CloseComplete()


def decode_empty_query_response(body: bytes) -> EmptyQueryResponse:
    Cursor(body).expect_end()
    return EmptyQueryResponse()


def decode_no_data(body: bytes) -> NoData:
    Cursor(body).expect_end()
    return NoData()


def decode_portal_suspended(body: bytes) -> PortalSuspended:
    Cursor(body).expect_end()
    return PortalSuspended()
