"""Every frontend message, under one name: encoders, classes, decoders.

Nothing is defined here but the table from tag to decoder; the messages live in
`frontend_extended`, `frontend_simple` and `frontend_login`. The packets before the first
message (startup, SSL, cancel) have no tag and live in `startup`.

Invariant: for every (tag, body) either `decode` raises ProtocolViolation or
`decode(tag, body).encode()` gives back the message byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.errors import ProtocolViolation
from protocol.frontend_extended import (
    PORTAL,
    STATEMENT,
    Bind,
    Close,
    Describe,
    Execute,
    Flush,
    Parse,
    Sync,
    bind,
    close_portal,
    close_statement,
    decode_bind,
    decode_close,
    decode_describe,
    decode_execute,
    decode_flush,
    decode_parse,
    decode_sync,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    sync,
)
from protocol.frontend_login import (
    AuthenticationData,
    GSSResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    decode_authentication_data,
    decode_gss_response,
    decode_password,
    decode_sasl_initial,
    decode_sasl_response,
    gss_response,
    password,
    sasl_initial,
    sasl_response,
)
from protocol.frontend_simple import (
    CopyData,
    CopyDone,
    CopyFail,
    FunctionCall,
    Query,
    Terminate,
    copy_data,
    copy_done,
    copy_fail,
    decode_copy_data,
    decode_copy_done,
    decode_copy_fail,
    decode_function_call,
    decode_query,
    decode_terminate,
    function_call,
    query,
    terminate,
)
from protocol.tags import FrontendTag

FrontendMessage = (
    AuthenticationData
    | Bind
    | Close
    | CopyData
    | CopyDone
    | CopyFail
    | Describe
    | Execute
    | Flush
    | FunctionCall
    | Parse
    | Query
    | Sync
    | Terminate
)

DECODERS: Final[dict[int, Callable[[bytes], FrontendMessage]]] = {
    FrontendTag.BIND: decode_bind,
    FrontendTag.CLOSE: decode_close,
    FrontendTag.COPY_DATA: decode_copy_data,
    FrontendTag.COPY_DONE: decode_copy_done,
    FrontendTag.COPY_FAIL: decode_copy_fail,
    FrontendTag.DESCRIBE: decode_describe,
    FrontendTag.EXECUTE: decode_execute,
    FrontendTag.FLUSH: decode_flush,
    FrontendTag.FUNCTION_CALL: decode_function_call,
    FrontendTag.PARSE: decode_parse,
    FrontendTag.PASSWORD: decode_authentication_data,
    FrontendTag.QUERY: decode_query,
    FrontendTag.SYNC: decode_sync,
    FrontendTag.TERMINATE: decode_terminate,
}


def decode(tag: int, body: bytes) -> FrontendMessage:
    """The message with this tag and body; raises ProtocolViolation when it is none."""
    decoder = DECODERS.get(tag)
    if decoder is None:
        raise ProtocolViolation(f"invalid frontend message type {tag}")
    return decoder(body)


__all__ = [
    "DECODERS",
    "PORTAL",
    "STATEMENT",
    "AuthenticationData",
    "Bind",
    "Close",
    "CopyData",
    "CopyDone",
    "CopyFail",
    "Describe",
    "Execute",
    "Flush",
    "FrontendMessage",
    "FunctionCall",
    "GSSResponse",
    "Parse",
    "PasswordMessage",
    "Query",
    "SASLInitialResponse",
    "SASLResponse",
    "Sync",
    "Terminate",
    "bind",
    "close_portal",
    "close_statement",
    "copy_data",
    "copy_done",
    "copy_fail",
    "decode",
    "decode_authentication_data",
    "decode_bind",
    "decode_close",
    "decode_copy_data",
    "decode_copy_done",
    "decode_copy_fail",
    "decode_describe",
    "decode_execute",
    "decode_flush",
    "decode_function_call",
    "decode_gss_response",
    "decode_parse",
    "decode_password",
    "decode_query",
    "decode_sasl_initial",
    "decode_sasl_response",
    "decode_sync",
    "decode_terminate",
    "describe_portal",
    "describe_statement",
    "execute",
    "flush",
    "function_call",
    "gss_response",
    "parse",
    "password",
    "query",
    "sasl_initial",
    "sasl_response",
    "sync",
    "terminate",
]
