"""Prepared statements and portals of the console's extended protocol.

A statement is one command without parameters; a portal is one with the formats of its result
and, once executed, the rest of its rows. Errors are those of a PostgreSQL server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from protocol import backend
from protocol.frontend_extended import STATEMENT, Bind, Close, Describe, Parse
from trio_pool.console import driver_talk
from trio_pool.console.answer import Answer, Failure, Rows, Value, description
from trio_pool.console.command import Command, commands
from trio_pool.console.tables import TABLES, Layout

# Limit: statements and portals of one client; a driver that caches statements keeps some hundred.
_KEPT_MAX: Final = 1_000


class Refused(Exception):
    """A message of the extended protocol failed, as it would at a server."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def layout_of(command: Command | None) -> Layout | None:
    """The columns of what the command will answer; None when there are no rows."""
    if command is None:
        return None
    layout = driver_talk.layout_of(command)
    if layout is None and command.verb == "SHOW":
        layout = TABLES.get(command.argument.upper())
    return layout


class Portal:
    """A command that is bound; `answer` is there once it was executed."""

    __slots__ = ("command", "formats", "answer", "_next")

    def __init__(self, command: Command | None, formats: Sequence[int]) -> None:
        self.command = command
        self.formats = formats
        self.answer: Answer | None = None
        self._next = 0

    def next_rows(self, most: int) -> Sequence[tuple[Value, ...]]:
        """The rows that were not fetched yet, up to `most` of them (0: all)."""
        assert isinstance(self.answer, Rows)
        start = self._next
        stop = len(self.answer.rows) if most <= 0 else min(start + most, len(self.answer.rows))
        self._next = stop
        return self.answer.rows[start:stop]

    @property
    def exhausted(self) -> bool:
        """No row is left."""
        return not isinstance(self.answer, Rows) or self._next >= len(self.answer.rows)


class Portals:
    """The statements and portals of one client."""

    def __init__(self) -> None:
        self._statements: dict[bytes, Command | None] = {}
        self._portals: dict[bytes, Portal] = {}

    def end_transaction(self) -> None:
        """Portals do not outlive a transaction."""
        self._portals.clear()

    def parse(self, message: Parse) -> bytes:
        """ParseComplete. Raises Refused."""
        found = commands(message.text)
        if len(found) > 1:
            refuse("cannot insert multiple commands into a prepared statement", "42601")
        if message.name and message.name in self._statements:
            refuse(f'prepared statement "{_shown(message.name)}" already exists', "42P05")
        self._make_room(self._statements)
        self._statements[message.name] = found[0] if found else None
        return backend.parse_complete()

    def bind(self, message: Bind) -> bytes:
        """BindComplete. Raises Refused."""
        command = self._statement(message.statement)
        if message.parameters:
            refuse(
                f"bind message supplies {len(message.parameters)} parameters, but prepared "
                f'statement "{_shown(message.statement)}" requires 0',
                "08P01",
            )
        layout = layout_of(command)
        formats = message.result_formats
        if len(formats) > 1 and len(formats) != len(layout or ()):
            refuse(
                f"bind message has {len(formats)} result formats but query has "
                f"{len(layout or ())} columns",
                "08P01",
            )
        if message.portal and message.portal in self._portals:
            refuse(f'cursor "{_shown(message.portal)}" already exists', "42P03")
        self._make_room(self._portals)
        self._portals[message.portal] = Portal(command, formats)
        return backend.bind_complete()

    def describe(self, message: Describe) -> bytes:
        """The columns of a statement or a portal. Raises Refused."""
        if message.kind == STATEMENT:
            layout = layout_of(self._statement(message.name))
            shown = description(layout) if layout is not None else backend.no_data()
            return backend.parameter_description(()) + shown
        portal = self.portal(message.name)
        layout = layout_of(portal.command)
        return description(layout, portal.formats) if layout is not None else backend.no_data()

    def close(self, message: Close) -> bytes:
        """CloseComplete, whether there was anything to close or not."""
        if message.kind == STATEMENT:
            self._statements.pop(message.name, None)
        else:
            self._portals.pop(message.name, None)
        return backend.close_complete()

    def portal(self, name: bytes) -> Portal:
        """The portal of this name. Raises Refused."""
        portal = self._portals.get(name)
        if portal is None:
            refuse(f'portal "{_shown(name)}" does not exist', "34000")
        return portal

    def _statement(self, name: bytes) -> Command | None:
        if name not in self._statements:
            refuse(f'prepared statement "{_shown(name)}" does not exist', "26000")
        return self._statements[name]

    @staticmethod
    def _make_room(kept: dict[bytes, Command | None] | dict[bytes, Portal]) -> None:
        if len(kept) >= _KEPT_MAX:
            refuse("too many prepared statements or portals", "53400")


def refuse(message: str, sqlstate: str) -> NoReturn:
    """Raise Refused."""
    raise Refused(Failure(message, sqlstate))


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
