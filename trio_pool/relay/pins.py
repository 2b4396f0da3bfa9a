"""State that lives in one backend and cannot be given to another.

A client that may have made such state keeps its backend until the server says that nothing of
it is left, or the client leaves; then the backend is wiped before anybody else gets it. (When
only LISTEN is left the pool's ear may take over: trio_pool.channels.) Words only raise the
suspicion; the server is asked at the end of each transaction of such a client. What functions do
in their bodies is not seen here. What pin_policy refuses is replaced by a statement that fails.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.sql.command import Classification, Command, CommandKind
from trio_pool.pins import HOLD, KINDS, LISTEN, LOAD, LOCK, SEQUENCE, TEMPORARY, Reasons

# One row per kind of state that is left, and one per channel. Nothing tells of a LOAD: that
# pin stays.
QUESTION: Final = (
    f"SELECT '{TEMPORARY}' WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0"
    " AND EXISTS (SELECT FROM pg_catalog.pg_class"
    " WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
    " UNION ALL SELECT FROM pg_catalog.pg_proc"
    " WHERE pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
    " UNION ALL SELECT FROM pg_catalog.pg_type"
    " WHERE typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"
    f" UNION ALL SELECT '{LOCK}' WHERE EXISTS (SELECT FROM pg_catalog.pg_locks"
    " WHERE locktype OPERATOR(pg_catalog.=) 'advisory'"
    " AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"
    f" UNION ALL SELECT '{HOLD}' WHERE EXISTS (SELECT FROM pg_catalog.pg_cursors"
    " WHERE is_holdable)"
    f" UNION ALL SELECT '{LISTEN} ' OPERATOR(pg_catalog.||) channel"
    " FROM pg_catalog.pg_listening_channels() AS channel"
).encode()

_MADE_BY: Final = {CommandKind.LISTEN: LISTEN, CommandKind.LOAD: LOAD}
_LOCKS: Final = re.compile(rb"\bpg_(?:try_)?advisory_lock(?:_shared)?\b", re.IGNORECASE)
_SEQUENCES: Final = re.compile(rb"\b(?:currval|lastval)\b")
# Why it looks back from behind the word: a search that begins with letters is ten times as fast.
_INTO_TEMPORARY: Final = re.compile(rb"into(?<=\binto)\s+(?:(?:local|global)\s+)?temp(?:orary)?\b")
_TEMPORARY: Final = re.compile(rb"\btemp(?:orary)?\b", re.IGNORECASE)


# Without one of these in a text nothing is found by words.
_WORDS: Final = ("temp", "advisory_lock", "currval", "lastval")


def pins_of_words(text: bytes) -> Reasons:
    """The pins an ordinary statement needs: for calling certain functions, or SELECT INTO TEMP."""
    lowered = text.lower()
    locks = b"advisory_lock" in lowered and _LOCKS.search(lowered)
    makes = b"temp" in lowered and _INTO_TEMPORARY.search(lowered)
    reads = (b"currval" in lowered or b"lastval" in lowered) and _SEQUENCES.search(lowered)
    return (
        ((LOCK,) if locks else ())
        + ((TEMPORARY,) if makes else ())
        + ((SEQUENCE,) if reads else ())
    )


def pins_of(found: Classification, text: bytes) -> Reasons:
    """The pins that the commands of a text need."""
    # Why at once: a statement needs no look of its own where the text holds none of the words.
    seen = text.lower().decode("latin-1")
    speaks = any(word in seen for word in _WORDS)
    reasons = list(pins_of_words(text)) if found.unsure and speaks else []
    for command in found.commands:
        if not speaks and not command.hold and command.kind not in _MADE_BY:
            continue
        reasons += [reason for reason in pins_of_command(command, text) if reason not in reasons]
    return tuple(reasons)


def pins_of_command(command: Command, text: bytes) -> Reasons:
    """The pins that one command of `text` needs."""
    statement = text[command.start : command.stop]
    by_words = pins_of_words(statement)
    by_kind = _pin_of_kind(command, statement)
    return by_words if by_kind is None or by_kind in by_words else (by_kind, *by_words)


def _pin_of_kind(command: Command, statement: bytes) -> str | None:
    if command.temporary:
        return None if b"on commit drop" in statement.lower() else TEMPORARY
    if command.hold:
        return HOLD
    if command.kind in (CommandKind.DO, CommandKind.CALL) and b"temp" in statement.lower():
        return TEMPORARY if _TEMPORARY.search(statement) else None
    return _MADE_BY.get(command.kind)


def refusal(reason: str) -> bytes:
    """SQL that fails as pin_policy wants it, in every state a server can be in.

    Why not an error of our own making: the server would not know that the transaction failed.
    """
    message = f"{reason}: refused, because this would tie the client to its server connection"
    hint = f"See pin_policy ({KINDS[reason]}) of the pooler, or connect to the server directly."
    return (
        "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''0A000'',"
        f" MESSAGE = ''{message}'', HINT = ''{hint}''; END'"
    ).encode()
