"""Statements about statements: PREPARE, EXECUTE and DEALLOCATE, written anew for a backend.

A Plan is one text with every client's name exchanged for the server name it has on the backend
at hand, and what each of its commands does to the books once the server has done it. The same
planning serves simple Queries (any number of commands) and the extended protocol (one).

A name the client does not have stays as it is: the server then raises its own error, with the
client's name and the right position.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import attrs

from protocol.ledger import Owed
from protocol.sql.command import Classification, Command, CommandKind
from protocol.sql.reserved import may_name
from protocol.sql.rewrite import Replacement, rewrite
from trio_pool.customs import NOTHING_LOCAL, Names, changes_settings, names_in, set_locally
from trio_pool.relay.deeds import Deed, leave_stand_in
from trio_pool.relay.hints import harmless, unknown_calls
from trio_pool.relay.holding import wait
from trio_pool.relay.naming import in_doubt, refusing, replay, stand_in
from trio_pool.relay.pins import pins_of_command, pins_of_words, refusal
from trio_pool.relay.resets import goes_back, goes_back_at_once
from trio_pool.relay.state import BackendState, Relay, make_customs, suspect_settings
from trio_pool.relay.words import truncation_notice
from trio_pool.settings import canonical, reading_differs
from trio_pool.statements import NAME_BYTES, NO_ROWS, Statement

_NAMED = (CommandKind.PREPARE, CommandKind.EXECUTE, CommandKind.DEALLOCATE)
_NO_TABLE = b"C42P01\0"
_NO_TYPES = b"\0\0\0"
_SETTING = (
    CommandKind.SET,
    CommandKind.RESET,
    CommandKind.DISCARD,
    CommandKind.DO,
    CommandKind.CALL,
    CommandKind.SET_CHARACTERISTICS,
)


def sets_something(found: Classification, text: bytes, reported: Container[bytes]) -> bool:
    """Whether one of the commands may change settings that the server does not report by itself."""
    if found.unsure or changes_settings(text):
        return True
    return any(
        command.kind in _SETTING
        and not command.local
        and (command.setting is None or canonical(command.setting) not in reported)
        for command in found.commands
    )


def made_locally(found: Classification, text: bytes) -> Names:
    """The custom settings that the commands make for their transaction only."""
    names = {
        command.setting
        for command in found.commands
        if command.local and command.setting is not None and b"." in command.setting
    }
    return set_locally(text)[0] | names


@attrs.define(eq=False)
class Plan:
    """A text for one backend. `deeds` has one place per command of the text."""

    original: bytes
    replacements: list[Replacement] = attrs.Factory(list)
    deeds: list[Deed | None] = attrs.Factory(list)
    # What the client calls the statement of each command.
    aliases: list[bytes | None] = attrs.Factory(list)
    stale: bool = False
    # What was prepared to fail in the place of statements whose rows changed.
    refusing: list[bytes] = attrs.Factory(list)
    # The segment in which its stand-ins are prepared, which an error may make the server skip.
    segment: int = -1
    # It drops every name of the client, known or not.
    drops_all: bool = False
    # Command tags to show instead of the server's, by the place of their command.
    tags: dict[int, bytes] = attrs.Factory(dict)
    # The places of commands of our own, of which the client hears nothing.
    hidden: set[int] = attrs.Factory(set)
    # The places of EXECUTE.
    executions: set[int] = attrs.Factory(set)
    # What is to be said behind the Execute, likewise.
    behind: list[bytes] = attrs.Factory(list)
    # What it executes, and is to be prepared under this name only when that is done.
    deferred: tuple[Statement, bytes] | None = None
    # What the server would have said about the names that were exchanged.
    notices: list[bytes] = attrs.Factory(list)

    def alias_of(self, index: int) -> bytes | None:
        """What the client calls the statement of the command at `index`, if it names one."""
        return self.aliases[index] if index < len(self.aliases) else None

    def points_elsewhere(self, index: int, error: bytes) -> bool:
        """Whether an error in the command at `index` points into the statement that it executes.

        It does where no table is found: in the text of EXECUTE itself none can be named.
        """
        return index in self.executions and _NO_TABLE in error

    @property
    def text(self) -> bytes:
        """The text to send."""
        return rewrite(self.original, self.replacements)

    @property
    def changes_books(self) -> bool:
        """Whether any command prepares or deallocates."""
        return self.drops_all or any(deed is not None for deed in self.deeds)


@attrs.define(eq=False)
class _Planning:
    """One run over the commands of a text."""

    relay: Relay
    backend: BackendState
    plan: Plan
    for_query: bool
    # Names this very text has prepared (statement, server name) or dropped (None).
    scope: dict[bytes, tuple[Statement, bytes] | None] = attrs.Factory(dict)
    await_entry: Owed | None = None
    used_stale: list[Statement] = attrs.Factory(list)


def make_plan(
    relay: Relay,
    backend: BackendState,
    text: bytes,
    commands: Sequence[Command],
    for_query: bool,
) -> Plan | None:
    """Plan `text` for this backend, sending the replays it needs in front.

    None: an answer must be awaited first (the relay is on hold); plan again then.
    """
    planning = _Planning(relay, backend, Plan(text), for_query)
    if not _plan_commands(planning, commands) or planning.await_entry is not None:
        leave_plan(backend, planning.plan)
        if planning.await_entry is not None:
            wait(relay, planning.await_entry)
        return None
    relay.stale = relay.stale.difference(planning.used_stale)
    return planning.plan


def _plan_commands(planning: _Planning, commands: Sequence[Command]) -> bool:
    """False when the relay is on hold because a name is uncertain."""
    relay, backend = planning.relay, planning.backend
    for command in commands:
        refused = _say_instead(planning, command)
        if refused or command.name is None or command.kind not in _NAMED:
            planning.plan.deeds += [None] * command.count
            planning.plan.aliases += [None] * command.count
            while len(planning.plan.deeds) in planning.plan.hidden:
                planning.plan.deeds.append(None)
                planning.plan.aliases.append(None)
            if drops_all(command):
                planning.plan.drops_all = True
                planning.scope.clear()
            continue
        unsettled = relay.client.unsettled(command.name, backend.pipeline.segment)
        if unsettled is not None:
            relay.hold_for(unsettled)
            return False
        known = relay.client.names.get(command.name)
        if known is not None and in_doubt(relay, backend, known):
            return False
        _plan_command(planning, command, command.name)
    return True


def _say_instead(planning: _Planning, command: Command) -> bool:
    """Have RESET and its like go back to what the client came with; refuse what is not wanted.

    True when it is refused.
    """
    plan, relay = planning.plan, planning.relay
    refused = relay.refuses(pins_of_command(command, plan.original))
    if refused is not None:
        plan.replacements.append((command.start, command.stop, refusal(refused)))
        return True
    instead = goes_back(relay.settings, command, plan.original)
    if not instead:
        return False
    place = len(plan.deeds)
    plan.tags[place] = command.keyword
    if planning.for_query:
        plan.hidden.update(range(place + 1, place + len(instead)))
        instead = [b"; ".join(instead)]
    plan.replacements.append((command.start, command.stop, instead[0]))
    plan.behind = instead[1:]
    return False


def drops_all(command: Command) -> bool:
    """DEALLOCATE ALL and DISCARD ALL."""
    return command.all and command.kind in (CommandKind.DEALLOCATE, CommandKind.DISCARD)


def _plan_command(planning: _Planning, command: Command, name: bytes) -> None:
    planning.plan.aliases.append(name)
    known = _look_up(planning, name)
    if known is not None:
        planning.relay.in_use |= {known}
    deed: Deed | None = None
    if known is None:
        written = planning.plan.original[command.name_start : command.name_stop]
        if command.kind is CommandKind.PREPARE and may_name(written):
            deed = _plan_prepare(planning, command, name)
    elif command.kind is CommandKind.DEALLOCATE:
        deed = _plan_deallocate(planning, command, name, known)
    elif command.kind is CommandKind.PREPARE:
        deed = _plan_duplicate(planning, command, name, known)
    elif not _goes_back(planning, command, known):
        if known.sets:
            suspect_settings(planning.relay, known.text)
        if known.customs is not NOTHING_LOCAL:
            given = names_in(planning.plan.original) if known.customs[1] else frozenset()
            make_customs(planning.relay, planning.backend, known.customs[0] | given)
        planning.plan.executions.add(len(planning.plan.deeds))
        planning.relay.pin(known.pins, known.text)
        planning.relay.suspect(known.calls, known.text)
        _exchange(planning, command, name, _server_name(planning, name, known))
    planning.plan.deeds.append(deed)


def _goes_back(planning: _Planning, command: Command, known: Statement) -> bool:
    """Have an EXECUTE of a RESET go back to what the client came with."""
    plan, relay = planning.plan, planning.relay
    without_parameters = command.stop == command.name_stop
    instead = goes_back_at_once(relay.settings, known) if without_parameters else None
    if instead is None or known.command is None:
        return False
    suspect_settings(relay, known.text)
    plan.tags[len(plan.deeds)] = known.command.keyword
    plan.replacements.append((command.start, command.stop, instead))
    return True


def _look_up(planning: _Planning, name: bytes) -> Statement | None:
    if name in planning.scope:
        here = planning.scope[name]
        return None if here is None else here[0]
    return None if planning.plan.drops_all else planning.relay.client.names.get(name)


def _plan_prepare(planning: _Planning, command: Command, name: bytes) -> Deed:
    relay = planning.relay
    body = planning.plan.original[command.body_start : command.body_stop]
    statement = Statement(body + _NO_TYPES, relay.settings.parse_environment)
    functions = relay.pool.functions
    statement.plain = harmless(body, functions)
    if not statement.plain:
        statement.sets = changes_settings(body)
        statement.pins = pins_of_words(body)
        statement.customs = set_locally(body)
        statement.calls = unknown_calls(body, functions.innocent) + functions.watched(body)
    relay.client.admit(len(statement.tail))
    server_name = relay.pool.new_name()
    planning.scope[name] = (statement, server_name)
    _exchange(planning, command, name, server_name)
    return Deed(True, name, statement, server_name)


def _plan_deallocate(
    planning: _Planning, command: Command, name: bytes, statement: Statement
) -> Deed:
    """The server really drops something, so that its answer is its own in every state.

    The copy that others may use stays; a stand-in takes its part, unless this very text has
    prepared what it drops.
    """
    here = planning.scope.get(name)
    server_name = here[1] if here is not None else stand_in(planning.relay, planning.backend)
    planning.scope[name] = None
    _exchange(planning, command, name, server_name)
    return Deed(False, name, statement, server_name, stand_in=here is None)


def _plan_duplicate(
    planning: _Planning, command: Command, name: bytes, statement: Statement
) -> Deed | None:
    """PREPARE of a name in use: any statement under it makes the server refuse a second one."""
    # Why not for a statement about statements: this very text may be the one under the name, and
    # then its copy on the backend makes room for this plan's.
    present = None if statement.command is not None else _present(planning, name, statement)
    server_name = present if present is not None else stand_in(planning.relay, planning.backend)
    _exchange(planning, command, name, server_name)
    return None if present else Deed(False, name, statement, server_name, stand_in=True)


def _present(planning: _Planning, name: bytes, statement: Statement) -> bytes | None:
    here = planning.scope.get(name)
    if here is not None:
        return here[1]
    return planning.backend.statements.name_of(statement)


def _server_name(planning: _Planning, name: bytes, statement: Statement) -> bytes:
    relay = planning.relay
    if statement in relay.stale:
        planning.plan.stale = True
        planning.used_stale.append(statement)
        server_name = refusing(relay, planning.backend, statement, name)
        # Hazard: not to be closed before it was used, which other names of the text make room for.
        planning.plan.refusing.append(server_name)
        return server_name
    present = _present(planning, name, statement)
    if present is not None:
        return present
    if not planning.for_query and _may_be_deferred(relay, planning.backend, statement):
        server_name = relay.pool.new_name()
        planning.plan.deferred = statement, server_name
        return server_name
    entry = replay(relay, planning.backend, statement, name, planning.for_query)
    if entry is not None:
        planning.await_entry = entry
    return planning.backend.statements.names[statement]


def _may_be_deferred(relay: Relay, backend: BackendState, statement: Statement) -> bool:
    """Whether an EXECUTE of `statement` can be parsed, described and bound without it.

    What it cannot find or read any more is then told where a server tells it. What returns rows
    must be there at Bind, which decides how it is run (tcop/pquery.c, ChoosePortalStrategy).
    """
    if statement.shape != NO_ROWS or statement.command is not None:
        return False
    return reading_differs(statement.environment, relay.settings, backend.settings, False) is None


def _exchange(planning: _Planning, command: Command, name: bytes, server_name: bytes) -> None:
    planning.relay.aliases.setdefault(server_name, name)
    plan = planning.plan
    plan.replacements.append((command.name_start, command.name_stop, server_name))
    written = plan.original[command.name_start : command.name_stop]
    if len(written) > NAME_BYTES and not written.startswith((b'"', b"U&", b"u&")):
        # The server cannot complain about a name it never sees.
        plan.notices.append(truncation_notice(written.lower(), name))


def leave_plan(backend: BackendState, plan: Plan) -> None:
    """What was prepared for a plan that will not be carried out."""
    backend.doomed += plan.refusing
    for deed in plan.deeds:
        if deed is not None and not deed.done:
            leave_stand_in(backend, deed)
