"""The first byte of every message, as integers.

A tag means different things in the two directions (D is Describe from a frontend and DataRow
from a backend), hence two tables. Source: PostgreSQL documentation, "Message Formats".
"""

from __future__ import annotations

from typing import Final


class FrontendTag:
    """Messages that a client sends. `PASSWORD` is shared by all answers to authentication."""

    BIND: Final = 0x42  # B
    CLOSE: Final = 0x43  # C
    COPY_DATA: Final = 0x64  # d
    COPY_DONE: Final = 0x63  # c
    COPY_FAIL: Final = 0x66  # f
    DESCRIBE: Final = 0x44  # D
    EXECUTE: Final = 0x45  # E
    FLUSH: Final = 0x48  # H
    FUNCTION_CALL: Final = 0x46  # F
    PARSE: Final = 0x50  # P
    PASSWORD: Final = 0x70  # p
    QUERY: Final = 0x51  # Q
    SYNC: Final = 0x53  # S
    TERMINATE: Final = 0x58  # X


class BackendTag:
    """Messages that a server sends."""

    AUTHENTICATION: Final = 0x52  # R
    BACKEND_KEY_DATA: Final = 0x4B  # K
    BIND_COMPLETE: Final = 0x32  # 2
    CLOSE_COMPLETE: Final = 0x33  # 3
    COMMAND_COMPLETE: Final = 0x43  # C
    COPY_BOTH: Final = 0x57  # W
    COPY_DATA: Final = 0x64  # d
    COPY_DONE: Final = 0x63  # c
    COPY_IN: Final = 0x47  # G
    COPY_OUT: Final = 0x48  # H
    DATA_ROW: Final = 0x44  # D
    EMPTY_QUERY: Final = 0x49  # I
    ERROR: Final = 0x45  # E
    FUNCTION_RESULT: Final = 0x56  # V
    NEGOTIATE_PROTOCOL_VERSION: Final = 0x76  # v
    NO_DATA: Final = 0x6E  # n
    NOTICE: Final = 0x4E  # N
    NOTIFICATION: Final = 0x41  # A
    PARAMETER_DESCRIPTION: Final = 0x74  # t
    PARAMETER_STATUS: Final = 0x53  # S
    PARSE_COMPLETE: Final = 0x31  # 1
    PORTAL_SUSPENDED: Final = 0x73  # s
    READY_FOR_QUERY: Final = 0x5A  # Z
    ROW_DESCRIPTION: Final = 0x54  # T


class TransactionStatus:
    """The one byte in ReadyForQuery."""

    IDLE: Final = 0x49  # I
    IN_TRANSACTION: Final = 0x54  # T
    FAILED: Final = 0x45  # E
