"""What a session of the model server knows, and what each command does to it.

Statements are not transactional, settings are, portals end with their transaction. Outside a
transaction block every Sync and every simple Query ends an implicit transaction
(access/transam/xact.c).
"""

from __future__ import annotations

from typing import Final

import attrs

from tests.model.language import ENDS_TRANSACTION, Command, Kind, Refused

ABORTED: Final = "current transaction is aborted, commands ignored until end of transaction block"

# Settings that the model knows, with their values after login, and those that it reports.
DEFAULTS: Final = {"work_mem": "4MB", "application_name": "", "DateStyle": "ISO, MDY"}
SPELLINGS: Final = {name.lower(): name for name in DEFAULTS}
REPORTED: Final = frozenset({"application_name", "DateStyle"})


@attrs.frozen
class Prepared:
    """A prepared statement: its only command (None for an empty text) and parameter types.

    `columns` and `oid` describe its rows; they were found when it was prepared and stay.
    """

    command: Command | None
    types: tuple[int, ...]
    columns: tuple[str, ...]
    oid: int


@attrs.frozen
class Outcome:
    """What a command that succeeded answers; `columns` is empty for one without rows.

    `copied` are the rows that COPY shows, None for any other command.
    """

    tag: str
    columns: tuple[str, ...] = ()
    oid: int = 25
    rows: tuple[tuple[str | None, ...], ...] = ()
    copied: tuple[tuple[str | None, ...], ...] | None = None


@attrs.define
class Portal:
    """A statement with its parameters. `waiting` are the rows to be fetched, once it has run."""

    statement: Prepared
    parameters: tuple[str | None, ...]
    outcome: Outcome | None = None
    waiting: list[tuple[str | None, ...]] = attrs.field(factory=list)


@attrs.define
class Session:
    """`block` is "none" outside a transaction block, "open" in one, "failed" after an error."""

    statements: dict[str, Prepared] = attrs.field(factory=dict)
    unnamed: Prepared | None = None
    portals: dict[str, Portal] = attrs.field(factory=dict)
    settings: dict[str, str] = attrs.field(factory=DEFAULTS.copy)
    block: str = "none"
    notices: list[tuple[str, str]] = attrs.field(factory=list)
    # Settings as they were when the transaction began, None when there is none.
    _before: dict[str, str] | None = None
    # Settings of this transaction only, with the values that come back after it.
    _local: dict[str, str] = attrs.field(factory=dict)
    # Something that is not transaction control has run since the transaction began.
    _pipelining: bool = False

    @property
    def status(self) -> str:
        """The letter for ReadyForQuery."""
        return {"none": "I", "open": "T", "failed": "E"}[self.block]

    def begin_implicitly(self) -> None:
        """A message that works in a transaction has come."""
        if self._before is None:
            self._before = dict(self.settings)

    def end_implicitly(self) -> None:
        """Sync, or the end of a simple Query: a transaction without a block is over."""
        if self.block == "none":
            self._end(keep=True)

    def fail(self) -> None:
        """An error was reported."""
        if self.block == "none":
            self._end(keep=False)
        else:
            # A failed block has been rolled back already; only its end is still to be said.
            self.block = "failed"
            if self._before is not None:
                self.settings = dict(self._before)

    def check_not_failed(self, command: Command | None) -> None:
        """In a failed transaction only the commands that end it are obeyed."""
        if self.block == "failed" and (command is None or command.kind not in ENDS_TRANSACTION):
            raise Refused("25P02", ABORTED)

    def statement(self, name: str) -> Prepared:
        prepared = self.statements.get(name) if name else self.unnamed
        if prepared is None:
            which = f'prepared statement "{name}"' if name else "unnamed prepared statement"
            raise Refused("26000", f"{which} does not exist")
        return prepared

    def store(self, name: str, command: Command | None, types: tuple[int, ...]) -> None:
        if name in self.statements:
            raise Refused("42P05", f'prepared statement "{name}" already exists')
        prepared = self.prepared(command, types)
        if name:
            self.statements[name] = prepared
        else:
            self.unnamed = prepared

    def prepared(self, command: Command | None, types: tuple[int, ...]) -> Prepared:
        """The statement that `command` would be if it were prepared here and now."""
        wanted = 0 if command is None else command.parameters
        columns, oid = self._shape(command)
        if command is not None and command.kind == Kind.SHOW:
            columns = (_setting(command.name),)
        return Prepared(command, types + (25,) * (wanted - len(types)), columns, oid)

    def shaped_now(self, prepared: Prepared) -> Prepared:
        """What a portal of `prepared` returns: EXECUTE looks its statement up once more."""
        command = prepared.command
        if command is None or command.kind != Kind.EXECUTE:
            return prepared
        columns, oid = self._shape(command)
        return attrs.evolve(prepared, columns=columns, oid=oid)

    def check_executed_exists(self, prepared: Prepared) -> None:
        """The rows of an EXECUTE that had any are looked up again, and its statement with them."""
        command = prepared.command
        if prepared.columns and command is not None and command.kind == Kind.EXECUTE:
            self.statement(command.name)

    def _shape(self, command: Command | None) -> tuple[tuple[str, ...], int]:
        """EXECUTE has the shape of its statement, if there is one when it is prepared."""
        if command is None:
            return (), 25
        if command.kind == Kind.EXECUTE:
            prepared = self.statements.get(command.name)
            return ((), 25) if prepared is None else (prepared.columns, prepared.oid)
        return command.columns, command.oid

    def run(self, command: Command, parameters: tuple[str | None, ...], *, alone: bool) -> Outcome:
        """Carry out one command; `alone` says that it is the only one of its text."""
        outcome = self._do(command, parameters, alone)
        if command.kind in ENDS_TRANSACTION or command.kind == Kind.DISCARD_ALL:
            self._pipelining = False
        elif command.kind != Kind.BEGIN:
            self._pipelining = True
        return outcome

    def note_work(self) -> None:
        """Something that is not transaction control runs."""
        self._pipelining = True

    def _do(self, command: Command, parameters: tuple[str | None, ...], alone: bool) -> Outcome:
        match command.kind:
            case Kind.SELECT:
                value = parameters[0] if parameters else None
                rows = tuple((value if row is None else row,) for row in command.rows)
                return Outcome(f"SELECT {len(rows)}", command.columns, command.oid, rows)
            case Kind.EXECUTE:
                return self._execute(command, alone)
            case Kind.BEGIN | Kind.COMMIT | Kind.ROLLBACK:
                return self._control(command.kind)
            case Kind.SET | Kind.SET_CONFIG | Kind.SHOW:
                return self._settle(command)
            case Kind.COPY_OUT:
                assert command.body is not None
                rows = tuple((row,) for row in command.body.rows)
                return Outcome(f"COPY {len(rows)}", copied=rows)
            case Kind.DECLARE | Kind.FETCH | Kind.CLOSE | Kind.CLOSE_ALL:
                return self._point(command, alone)
            case _:
                return self._manage(command, alone)

    def _execute(self, command: Command, alone: bool) -> Outcome:
        prepared = self.statement(command.name)
        wanted, given = len(prepared.types), len(command.arguments)
        if wanted != given and wanted:
            raise Refused(
                "42601",
                f'wrong number of parameters for prepared statement "{command.name}"',
                detail=f"Expected {wanted} parameters but got {given}.",
            )
        if prepared.command is None:
            return Outcome("EXECUTE")
        if prepared.command.collapse is not None:
            raise prepared.command.collapse
        if prepared.command.kind == Kind.DISCARD_ALL:
            self._refuse_discard(alone)
            raise Refused("25001", "DISCARD ALL cannot be executed from a function")
        return self._do(prepared.command, command.arguments, alone)

    def _control(self, kind: Kind) -> Outcome:
        if kind == Kind.BEGIN:
            if self.block == "open":
                self.notices.append(("25001", "there is already a transaction in progress"))
            self.block = "open"
            return Outcome("BEGIN")
        tag = "ROLLBACK" if self.block == "failed" else kind.value
        if self.block == "none":
            self.notices.append(("25P01", "there is no transaction in progress"))
        # Without a block, COMMIT and ROLLBACK end the implicit transaction all the same.
        self.block = "none"
        self._end(keep=tag == "COMMIT")
        self.begin_implicitly()
        return Outcome(tag)

    def _manage(self, command: Command, alone: bool) -> Outcome:
        match command.kind:
            case Kind.PREPARE:
                if command.body is not None and command.body.trouble is not None:
                    raise command.body.trouble
                self.store(command.name, command.body, ())
            case Kind.DEALLOCATE:
                self.statement(command.name)
                del self.statements[command.name]
            case Kind.DEALLOCATE_ALL:
                self.statements.clear()
            case Kind.DISCARD_ALL:
                self._discard(alone)
        return Outcome(command.kind.value)

    def _discard(self, alone: bool) -> None:
        self._refuse_discard(alone)
        self._forget()
        # It is committed at once: no error behind it takes anything of it back.
        self._before, self._local = dict(self.settings), {}

    def _refuse_discard(self, alone: bool) -> None:
        if self.block != "none" or not alone:
            raise Refused("25001", "DISCARD ALL cannot run inside a transaction block")
        if self._pipelining:
            raise Refused("25001", "DISCARD ALL cannot be executed within a pipeline")

    def _forget(self) -> None:
        self.statements.clear()
        self.portals.clear()
        self.settings.update(DEFAULTS)

    def _point(self, command: Command, alone: bool) -> Outcome:
        """DECLARE, FETCH and CLOSE: cursors are portals."""
        if command.kind == Kind.CLOSE_ALL:
            self.portals.clear()
            return Outcome(command.kind.value)
        if command.kind == Kind.DECLARE:
            return self._declare(command, alone)
        portal = self.portals.get(command.name)
        if portal is None:
            raise Refused("34000", f'cursor "{command.name}" does not exist')
        if command.kind == Kind.CLOSE:
            del self.portals[command.name]
            return Outcome(command.kind.value)
        rows, portal.waiting = portal.waiting[: command.count], portal.waiting[command.count :]
        shape = portal.statement
        return Outcome(f"FETCH {len(rows)}", shape.columns, shape.oid, tuple(rows))

    def _declare(self, command: Command, alone: bool) -> Outcome:
        if self.block == "none" and alone:
            raise Refused("25P01", "DECLARE CURSOR can only be used in transaction blocks")
        if command.name in self.portals:
            raise Refused("42P03", f'cursor "{command.name}" already exists')
        assert command.body is not None
        opened = Portal(self.prepared(command.body, ()), ())
        opened.outcome = self._do(command.body, (), False)
        opened.waiting = list(opened.outcome.rows)
        self.portals[command.name] = opened
        return Outcome(command.kind.value)

    def _settle(self, command: Command) -> Outcome:
        if command.kind == Kind.SHOW:
            name = _setting(command.name)
            return Outcome("SHOW", (name,), 25, ((self.settings[name],),))
        if command.kind == Kind.SET:
            self.settings[_setting(command.name)] = command.arguments[0]
            return Outcome("SET")
        names, values = command.arguments[::2], command.arguments[1::2]
        for name, value in zip(names, values, strict=True):
            known = _setting(name)
            if command.local:
                self._local.setdefault(known, self.settings[known])
            self.settings[known] = value
        return Outcome("SELECT 1", command.columns, 25, (values,))

    def _end(self, *, keep: bool) -> None:
        if not keep and self._before is not None:
            self.settings = self._before
        self.settings.update(self._local if keep else {})
        self._local = {}
        self._before = None
        self._pipelining = False
        self.portals.clear()


def _setting(name: str) -> str:
    known = SPELLINGS.get(name.lower())
    if known is None:
        raise Refused("42704", f'unrecognized configuration parameter "{name}"')
    return known
