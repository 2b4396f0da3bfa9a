"""The first byte of every message, as integers.

A tag means different things in the two directions (D is Describe from a frontend and DataRow
from a backend), hence two tables. Source: PostgreSQL documentation, "Message Formats".
"""

from __future__ import annotations

from typing import Final


class FrontendTag:
    """Messages that a client sends. `PASSWORD` is shared by all answers to authentication."""

    BIND: Final = ord("B")
    CLOSE: Final = ord("C")
    COPY_DATA: Final = ord("d")
    COPY_DONE: Final = ord("c")
    COPY_FAIL: Final = ord("f")
    DESCRIBE: Final = ord("D")
    EXECUTE: Final = ord("E")
    FLUSH: Final = ord("H")
    FUNCTION_CALL: Final = ord("F")
    PARSE: Final = ord("P")
    PASSWORD: Final = ord("p")
    QUERY: Final = ord("Q")
    SYNC: Final = ord("S")
    TERMINATE: Final = ord("X")


class BackendTag:
    """Messages that a server sends."""

    AUTHENTICATION: Final = ord("R")
    BACKEND_KEY_DATA: Final = ord("K")
    BIND_COMPLETE: Final = ord("2")
    CLOSE_COMPLETE: Final = ord("3")
    COMMAND_COMPLETE: Final = ord("C")
    COPY_BOTH: Final = ord("W")
    COPY_DATA: Final = ord("d")
    COPY_DONE: Final = ord("c")
    COPY_IN: Final = ord("G")
    COPY_OUT: Final = ord("H")
    DATA_ROW: Final = ord("D")
    EMPTY_QUERY: Final = ord("I")
    ERROR: Final = ord("E")
    FUNCTION_RESULT: Final = ord("V")
    NEGOTIATE_PROTOCOL_VERSION: Final = ord("v")
    NO_DATA: Final = ord("n")
    NOTICE: Final = ord("N")
    NOTIFICATION: Final = ord("A")
    PARAMETER_DESCRIPTION: Final = ord("t")
    PARAMETER_STATUS: Final = ord("S")
    PARSE_COMPLETE: Final = ord("1")
    PORTAL_SUSPENDED: Final = ord("s")
    READY_FOR_QUERY: Final = ord("Z")
    ROW_DESCRIPTION: Final = ord("T")


class TransactionStatus:
    """The one byte in ReadyForQuery."""

    IDLE: Final = ord("I")
    IN_TRANSACTION: Final = ord("T")
    FAILED: Final = ord("E")
