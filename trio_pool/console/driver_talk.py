"""What drivers and pools of applications say to every server, whoever it is.

They begin transactions, set their encodings, ping, and wipe sessions before reuse. The console
has no transactions and no settings of a session, so all of it succeeds and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trio_pool.console.answer import Answer, Done, Rows, Value
from trio_pool.console.command import Command
from trio_pool.console.tables import Layout, text_column

VERSION: Final = "1.25.2"
PRODUCT: Final = f"PgBouncer {VERSION}"

PARAMETERS: Final[Mapping[bytes, bytes]] = {
    b"server_version": f"{VERSION}/bouncer".encode(),
    b"client_encoding": b"UTF8",
    b"server_encoding": b"UTF8",
    b"DateStyle": b"ISO",
    b"TimeZone": b"GMT",
    b"standard_conforming_strings": b"on",
    b"is_superuser": b"on",
}
"""The ParameterStatus reports of a console's login."""

# What SHOW answers for settings that drivers look at (the first six as in PgBouncer).
_SHOWN: Final = {
    "client_encoding": "UTF-8",
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
    "datestyle": "ISO",
    "timezone": "GMT",
    "extra_float_digits": "2",
    "server_version": f"{VERSION}/bouncer",
    "server_encoding": "UTF8",
    "transaction_isolation": "read committed",
    "transaction_read_only": "off",
    "search_path": "public",
}
_SETTABLE: Final = frozenset(
    [
        *_SHOWN,
        *("application_name", "statement_timeout", "lock_timeout", "bytea_output"),
        *("idle_in_transaction_session_timeout", "intervalstyle", "names", "row_security"),
        *("client_min_messages", "default_transaction_read_only", "time", "jit"),
    ]
)
_SELECTED: Final[Mapping[str, tuple[str, Value]]] = {
    "1": ("?column?", 1),
    "version()": ("version", PRODUCT),
    "pg_catalog.version()": ("version", PRODUCT),
    "current_schema()": ("current_schema", "public"),
    "pg_advisory_unlock_all()": ("pg_advisory_unlock_all", ""),
}
_TAGS: Final = {
    "begin": "BEGIN",
    "start": "START TRANSACTION",
    "commit": "COMMIT",
    "end": "COMMIT",
    "rollback": "ROLLBACK",
    "abort": "ROLLBACK",
    "savepoint": "SAVEPOINT",
    "release": "RELEASE",
    "reset": "RESET",
    "unlisten": "UNLISTEN",
    "discard": "DISCARD ALL",
    "deallocate": "DEALLOCATE ALL",
    "close": "CLOSE CURSOR ALL",
}
_BEGINS: Final = ("BEGIN", "START TRANSACTION")
_ENDS: Final = ("COMMIT", "ROLLBACK")


def _first(command: Command) -> str:
    return command.text.split(None, 1)[0].lower() if command.text.split() else ""


def tag_of(command: Command) -> str | None:
    """The tag of a command that means a session's transaction or memory; None for others."""
    return _TAGS.get(_first(command))


def begins(command: Command) -> bool:
    """Whether a transaction block starts here."""
    return tag_of(command) in _BEGINS


def ends(command: Command) -> bool:
    """Whether a transaction block ends here; going back to a savepoint does not end it."""
    if tag_of(command) not in _ENDS:
        return False
    return _first(command) != "rollback" or " to" not in f" {command.text.lower()}".replace(
        "\n", " "
    )


def _selected(command: Command) -> tuple[str, Value] | None:
    words = command.text.lower().split(None, 1)
    if len(words) != 2 or words[0] != "select":
        return None
    return _SELECTED.get("".join(words[1].split()))


def layout_of(command: Command) -> Layout | None:
    """The columns of the reply to a driver's question; None when it is none."""
    selected = _selected(command)
    if selected is not None:
        name, value = selected
        layout = text_column(name)
        return text_column(f"{name}:i") if isinstance(value, int) else layout
    if command.verb == "SHOW" and command.argument.lower() in _SHOWN:
        return text_column(command.argument.lower())
    return None


def reply(command: Command) -> Answer | None:
    """The answer to what drivers say; None when it is for the console itself."""
    tag = tag_of(command)
    if tag is not None:
        return Done(tag)
    if command.verb == "SET" and command.argument.lower() in _SETTABLE:
        return Done("SET", notice="SET ignored")
    layout = layout_of(command)
    if layout is None:
        return None
    selected = _selected(command)
    if selected is not None:
        return Rows(layout, [(selected[1],)], tag="SELECT 1")
    return Rows(layout, [(_SHOWN[command.argument.lower()],)])
