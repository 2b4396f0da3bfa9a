"""What classification finds: the commands of a text, one for each of its statements.

Far into a text of very many statements those that say nothing are found together.

Facts only. What follows from them for a client or a backend is decided elsewhere.
"""

from __future__ import annotations

from enum import Enum

import attrs


class CommandKind(Enum):
    """The statements told apart. OTHER is everything that says nothing about session state."""

    OTHER = "other"
    # prepared statements
    PREPARE = "prepare"
    EXECUTE = "execute"
    DEALLOCATE = "deallocate"
    DISCARD = "discard"
    # settings
    SET = "set"
    RESET = "reset"
    SET_CHARACTERISTICS = "set session characteristics"
    SET_TRANSACTION = "set transaction"
    SET_CONSTRAINTS = "set constraints"
    # notifications
    LISTEN = "listen"
    UNLISTEN = "unlisten"
    NOTIFY = "notify"
    # cursors
    DECLARE = "declare"
    CLOSE = "close"
    # transactions
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    PREPARE_TRANSACTION = "prepare transaction"
    COMMIT_PREPARED = "commit prepared"
    ROLLBACK_PREPARED = "rollback prepared"
    # others that may touch the session
    CREATE = "create"
    SELECT_INTO = "select into"
    EXPLAIN = "explain"
    COPY = "copy"
    DO = "do"
    CALL = "call"
    LOAD = "load"
    LOCK = "lock"


@attrs.frozen
class Command:
    """One statement. All offsets are in bytes of the classified text; an absent span is empty.

    `name` is the name as the server knows it (folded, unquoted, cut to 63 bytes) of the prepared
    statement, cursor, channel or savepoint; its span is the name as written, `U&"..." UESCAPE`
    included, for another spelling to take its place.
    """

    kind: CommandKind
    start: int
    stop: int
    keyword: bytes
    """The first word in upper case; empty if the statement does not begin with a word."""
    name: bytes | None = None
    name_start: int = 0
    name_stop: int = 0
    all: bool = False
    """DEALLOCATE ALL, DISCARD ALL, RESET ALL, CLOSE ALL, UNLISTEN *."""
    types_start: int = 0
    types_stop: int = 0
    """PREPARE: the parameter types with their parentheses."""
    body_start: int = 0
    body_stop: int = 0
    """PREPARE: the statement after AS, up to its last token."""
    discards: bytes = b""
    """DISCARD: ALL, PLANS, SEQUENCES or TEMP."""
    setting: bytes | None = None
    """SET, RESET: the setting in lower case, by its name in pg_settings. None if it is ALL or
    could not be told; session_authorization and role are settings."""
    value: bytes | None = None
    """SET: the value as written; None for DEFAULT."""
    local: bool = False
    """SET LOCAL: undone when the transaction ends."""
    hold: bool = False
    """DECLARE ... WITH HOLD."""
    chain: bool = False
    """COMMIT or ROLLBACK ... AND CHAIN."""
    temporary: bool = False
    """What is created is temporary (CREATE TEMP, SELECT INTO TEMP, pg_temp.name)."""
    within: str | None = None
    """EXECUTE: "EXPLAIN" or "CREATE TABLE AS" when it is a part of such a statement."""
    copies: str | None = None
    """COPY: "FROM STDIN" or "TO STDOUT"; None if files or programs of the server are read."""
    count: int = 1
    """OTHER: of how many statements in a row this speaks; more than one, without a keyword, only
    far into a text of very many."""


@attrs.frozen
class Classification:
    """The statements of a text in order: the server sends `count` CommandCompletes for each.

    `unsure` means that the server may see other statements, or more in them: what the text did
    must be found out from the server. It is often a text that the server refuses.
    """

    commands: tuple[Command, ...]
    unsure: bool = False
