"""A PostgreSQL server without a database: statements, portals, transactions, and nothing else.

It has no sockets: bytes of frontend messages in, bytes of backend messages out. What it does at
each message follows tcop/postgres.c and commands/prepare.c, and is checked against a real server
by playing the same scripts on both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from protocol import backend, frontend
from protocol.framing import FrameReader
from protocol.tags import FrontendTag
from tests.model.language import Command, Kind, Refused, read
from tests.model.session import ABORTED, DEFAULTS, REPORTED, Outcome, Portal, Session

_NAME_BYTES: Final = 63
_BODY_BYTES_MAX: Final = 1 << 20
_STATEMENT: Final = ord("S")
_COPYING: Final = (FrontendTag.COPY_DATA, FrontendTag.COPY_DONE, FrontendTag.COPY_FAIL)


@attrs.define
class ModelServer:
    """One connection after its login."""

    session: Session = attrs.field(factory=Session)
    closed: bool = False
    _skipping: bool = False
    # What COPY FROM STDIN has heard so far, while it runs, and what a Query still has to do then.
    _heard: list[bytes] | None = None
    _rest: list[Command] | None = None
    _alone: bool = False
    _unsynced: bool = False
    _reported: dict[str, str] = attrs.field(factory=DEFAULTS.copy)
    _frames: FrameReader = attrs.field(factory=lambda: FrameReader(_BODY_BYTES_MAX))
    _said: list[bytes] = attrs.field(factory=list)

    def feed(self, data: bytes) -> bytes:
        """Take bytes of frontend messages; returns all that the server has to say to them."""
        self._frames.feed(data)
        while not self.closed and (frame := self._frames.next_frame()) is not None:
            self._take(frame[0], frontend.decode(*frame))
        said, self._said = b"".join(self._said), []
        return said

    @property
    def at_rest(self) -> bool:
        """Outside any transaction, with nothing unsynced."""
        return self.session.block == "none" and not self._unsynced

    @property
    def statement_names(self) -> set[bytes]:
        """What is prepared, apart from the unnamed statement."""
        return {name.encode() for name in self.session.statements}

    def _take(self, tag: int, message: frontend.FrontendMessage) -> None:
        if tag == FrontendTag.TERMINATE:
            self.closed = True
            return
        if self._heard is not None or tag in _COPYING:
            self._take_copied(message)
            return
        if tag == FrontendTag.SYNC:
            self._skipping = False
        if self._skipping or tag == FrontendTag.FLUSH:
            return
        self._unsynced = True
        self.session.begin_implicitly()
        try:
            self._obey(message)
        except Refused as refused:
            self._refuse(refused)
            self._skipping = tag != FrontendTag.QUERY
        if tag in (FrontendTag.SYNC, FrontendTag.QUERY) and self._heard is None:
            self._finish()

    def _take_copied(self, message: frontend.FrontendMessage) -> None:
        """While COPY FROM STDIN runs Sync and Flush are ignored; afterwards, what is for it."""
        if self._heard is None:
            return
        match message:
            case frontend.CopyData(data):
                self._heard.append(data)
            case frontend.CopyDone():
                lines = b"".join(self._heard)
                count = lines.count(b"\n") + (not lines.endswith(b"\n") and lines != b"")
                self._heard = None
                self._said.append(backend.command_complete(b"COPY %d" % count))
                self._go_on()
            case frontend.CopyFail(reason):
                self._heard = None
                rest, self._rest = self._rest, None
                self._refuse(Refused("57014", f"COPY from stdin failed: {reason.decode()}"))
                if rest is None:
                    self._skipping = True
                else:
                    self._finish()

    def _go_on(self) -> None:
        """What a Query has to do behind its COPY."""
        rest, self._rest = self._rest, None
        if rest is None:
            return
        self.session.portals.pop("", None)
        try:
            self._run(rest)
        except Refused as refused:
            self._refuse(refused)
        if self._heard is None:
            self._finish()

    def _obey(self, message: frontend.FrontendMessage) -> None:
        match message:
            case frontend.Parse(name, text, types):
                self._parse(_key(name), text.decode(), types)
            case frontend.Bind(portal, statement, _, parameters, _):
                self._bind(portal.decode(), _key(statement), parameters)
            case frontend.Describe(kind, name):
                self._describe(kind, name)
            case frontend.Execute(portal, rows_max):
                self._execute(portal.decode(), rows_max)
            case frontend.Close(kind, name):
                self._close(kind, name)
            case frontend.Query(text):
                self._query(text.decode())

    def _query(self, text: str) -> None:
        self.session.unnamed = None
        commands = read(text)
        if not commands:
            self._said.append(backend.empty_query_response())
        self._alone = len(commands) == 1
        self._run(commands)

    def _run(self, commands: list[Command]) -> None:
        """The commands of a Query, as far as the next COPY FROM STDIN."""
        for number, command in enumerate(commands):
            self.session.check_not_failed(command)
            if command.parameters:
                raise Refused("42P02", "there is no parameter $1", command.parameter_position)
            _analyse(command)
            if command.kind != Kind.COPY_IN:
                _plan(command)
            # A simple query runs in the unnamed portal, which stays when it fails.
            self.session.portals[""] = Portal(self.session.prepared(command, ()), ())
            if command.kind == Kind.COPY_IN:
                _plan(command)
                self._rest = commands[number + 1 :]
                self._begin_copy()
                return
            outcome = self.session.run(command, (), alone=self._alone)
            self.session.portals.pop("", None)
            self._notify()
            if outcome.columns:
                self._said.append(_row_description(outcome.columns, outcome.oid))
            self._show(outcome)

    def _begin_copy(self) -> None:
        self.session.note_work()
        self._heard = []
        self._said.append(backend.copy_in_response(0, (0,)))

    def _show(self, outcome: Outcome) -> None:
        self._said += _data_rows(outcome.rows)
        if outcome.copied is not None:
            self._said.append(backend.copy_out_response(0, (0,)))
            for row in outcome.copied:
                self._said.append(backend.copy_data("\t".join(map(str, row)).encode() + b"\n"))
            self._said.append(backend.copy_done())
        self._said.append(backend.command_complete(outcome.tag.encode()))

    def _parse(self, name: str, text: str, types: tuple[int, ...]) -> None:
        if not name:
            self.session.unnamed = None
        commands = read(text)
        if len(commands) > 1:
            message = "cannot insert multiple commands into a prepared statement"
            raise Refused("42601", message)
        command = commands[0] if commands else None
        if command is not None:
            self.session.check_not_failed(command)
            _analyse(command)
        self.session.store(name, command, types)
        self._said.append(backend.parse_complete())

    def _bind(self, portal: str, name: str, parameters: tuple[bytes | None, ...]) -> None:
        prepared = self.session.statement(name)
        wanted, given = len(prepared.types), len(parameters)
        if wanted != given:
            raise Refused(
                "08P01",
                f"bind message supplies {given} parameters, but prepared statement"
                f' "{name}" requires {wanted}',
            )
        self.session.check_not_failed(prepared.command)
        if portal and portal in self.session.portals:
            raise Refused("42P03", f'cursor "{portal}" already exists')
        values = tuple(None if value is None else value.decode() for value in parameters)
        # The portal is there before planning can fail, but it does not know its rows yet.
        self.session.portals[portal] = Portal(attrs.evolve(prepared, columns=()), values)
        if prepared.command is not None and prepared.command.kind != Kind.COPY_IN:
            _plan(prepared.command)
        self.session.portals[portal] = Portal(self.session.shaped_now(prepared), values)
        self._said.append(backend.bind_complete())

    def _describe(self, kind: int, name: bytes) -> None:
        if kind == _STATEMENT:
            prepared = self.session.statement(_key(name))
        else:
            prepared = self._portal(name.decode()).statement
        if self.session.block == "failed" and prepared.columns:
            raise Refused("25P02", ABORTED)
        if kind == _STATEMENT:
            self._said.append(backend.parameter_description(prepared.types))
            self.session.check_executed_exists(prepared)
        if prepared.columns:
            self._said.append(_row_description(prepared.columns, prepared.oid))
        else:
            self._said.append(backend.no_data())

    def _portal(self, name: str) -> Portal:
        portal = self.session.portals.get(name)
        if portal is None:
            raise Refused("34000", f'portal "{name}" does not exist')
        return portal

    def _execute(self, name: str, rows_max: int) -> None:
        portal = self._portal(name)
        command = portal.statement.command
        if command is None:
            self._said.append(backend.empty_query_response())
            return
        self.session.check_not_failed(command)
        if command.kind == Kind.COPY_IN and portal.outcome is None:
            portal.outcome = Outcome("COPY")
            _plan(command)
            self._begin_copy()
            return
        if portal.outcome is None:
            portal.outcome = self.session.run(command, portal.parameters, alone=True)
            portal.waiting = list(portal.outcome.rows)
            self._notify()
        elif not portal.outcome.columns:
            raise Refused("55000", f'portal "{name}" cannot be run')
        if portal.outcome.copied is not None:
            self._show(portal.outcome)
            return
        self._fetch(portal, portal.outcome.tag, rows_max)

    def _fetch(self, portal: Portal, tag: str, rows_max: int) -> None:
        count = rows_max if rows_max > 0 else len(portal.waiting)
        rows, portal.waiting = portal.waiting[:count], portal.waiting[count:]
        self._said += _data_rows(rows)
        # The server finds out that there are no more rows only by looking for one more.
        if rows_max > 0 and len(rows) == rows_max:
            self._said.append(backend.portal_suspended())
            return
        if tag.startswith("SELECT"):
            tag = f"SELECT {len(rows)}"
        self._said.append(backend.command_complete(tag.encode()))

    def _close(self, kind: int, name: bytes) -> None:
        if kind != _STATEMENT:
            self.session.portals.pop(name.decode(), None)
        elif name:
            self.session.statements.pop(_key(name), None)
        else:
            self.session.unnamed = None
        self._said.append(backend.close_complete())

    def _refuse(self, refused: Refused) -> None:
        self._notify()
        self._said.append(
            backend.error_response(
                "ERROR",
                refused.sqlstate,
                refused.message,
                detail=refused.detail,
                position=refused.position,
            )
        )
        self.session.fail()

    def _finish(self) -> None:
        self.session.end_implicitly()
        self._unsynced = False
        for name in sorted(REPORTED):
            value = self.session.settings[name]
            if self._reported[name] != value:
                self._reported[name] = value
                self._said.append(backend.parameter_status(name.encode(), value.encode()))
        self._said.append(backend.ready_for_query(ord(self.session.status)))

    def _notify(self) -> None:
        for sqlstate, message in self.session.notices:
            self._said.append(backend.notice_response("WARNING", sqlstate, message))
        self.session.notices.clear()


def _key(name: bytes) -> str:
    return name[:_NAME_BYTES].decode()


def _analyse(command: Command) -> None:
    """What the server finds when it looks up the names in a text."""
    if command.trouble is not None:
        raise command.trouble


def _plan(command: Command) -> None:
    if command.collapse is not None:
        raise command.collapse


def _row_description(columns: tuple[str, ...], oid: int) -> bytes:
    size = {25: -1, 23: 4}[oid]
    return backend.row_description(
        [backend.Column(name.encode(), type=oid, type_size=size) for name in columns]
    )


def _data_rows(rows: Iterable[tuple[str | None, ...]]) -> list[bytes]:
    return [
        backend.data_row([None if value is None else value.encode() for value in row])
        for row in rows
    ]
