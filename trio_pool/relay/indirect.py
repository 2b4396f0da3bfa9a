"""PREPARE, EXECUTE and DEALLOCATE sent through the extended protocol.

Every driver that speaks only the extended protocol sends its SQL this way. The text is planned
at Parse, and again at each Bind whose backend or whose names have changed since; what the
command does to the books happens with Execute, tentatively as with any other message.
"""

from __future__ import annotations

from protocol.ledger import RELAY, Effect, Owed
from protocol.pipeline import HIDDEN
from protocol.sql.command import CommandKind
from protocol.sql.rewrite import rewrite
from protocol.tags import FrontendTag
from trio_pool.relay.about import (
    Plan,
    drops_all,
    leave_plan,
    made_locally,
    make_plan,
    sets_something,
)
from trio_pool.relay.deeds import Deed, ask_about, do_deed, undo_deed
from trio_pool.relay.effects import NamedParse, Replay, UnnamedChange
from trio_pool.relay.hints import code_in
from trio_pool.relay.holding import wait
from trio_pool.relay.naming import (
    close_copy,
    in_doubt,
    make_room,
    may_have_failed,
    own_unnamed,
    parse_frame,
    replay_unnamed,
    say_again,
)
from trio_pool.relay.pins import pins_of
from trio_pool.relay.reports import edit_for_plan, rename
from trio_pool.relay.resets import come_back, go_back, goes_back
from trio_pool.relay.state import BackendState, Relay, link_of
from trio_pool.statements import NO_ROWS, Statement

_ABOUT = (CommandKind.PREPARE, CommandKind.EXECUTE, CommandKind.DEALLOCATE)


class Execution(Effect):
    """The client's Execute of a statement about statements."""

    __slots__ = ("relay", "backend", "plan", "deed")

    def __init__(self, relay: Relay, backend: BackendState, plan: Plan, deed: Deed | None):
        self.relay = relay
        self.backend = backend
        self.plan = plan
        self.deed = deed

    def settled(self) -> None:
        if self.deed is not None:
            self.backend.statements.settled(self.deed.statement)

    def failed(self) -> None:
        self.skipped()

    def skipped(self) -> None:
        if self.deed is not None:
            undo_deed(self.relay, self.backend, self.deed)

    def edit_error(self, body: bytes) -> bytes:
        """Point at the client's own text."""
        if not self.plan.points_elsewhere(0, body):
            body = edit_for_plan(body, self.plan.original, self.plan.replacements)
        return rename(self.relay, body, self.plan.alias_of(0))

    @property
    def tag(self) -> bytes | None:
        """What to show instead of the server's command tag."""
        return self.plan.tags.get(0)


def examine(relay: Relay, text: bytes, statement: Statement) -> None:
    """Note what an unordinary text is: about a statement's name, or about settings."""
    found = relay.classifier.classify(text, relay.settings.standard_conforming_strings)
    statement.sets = sets_something(found, text, link_of(relay).settings.initial)
    statement.pins = pins_of(found, text)
    statement.customs = (made_locally(found, text), ())
    statement.calls += code_in(found, text)
    statement.drops_all = any(drops_all(command) for command in found.commands)
    if len(found.commands) == 1:
        command = found.commands[0]
        named = command.name is not None and command.kind in _ABOUT
        if named or goes_back(relay.settings, command, text):
            statement.command = command


def parse_indirect(
    relay: Relay,
    backend: BackendState,
    data: bytes,
    start: int,
    stop: int,
    statement: Statement,
    name: bytes = b"",
) -> bool:
    """Parse of a statement about statements, under the client's `name` or unnamed."""
    relay.cut(data, start)
    plan = _plan(relay, backend, statement)
    if plan is None:
        return False
    relay.run = stop
    tail = _tail(statement, plan)
    command = statement.command
    if not plan.replacements:
        # The server settles at Parse what EXECUTE returns; of an unknown name, nothing.
        statement.shape = NO_ROWS
    elif command is not None and command.kind is CommandKind.EXECUTE and command.name is not None:
        statement.executes = relay.client.names.get(command.name)
    if name:
        backend.pipeline.owe_preparing(_parse_under_name(relay, backend, statement, name, tail))
    else:
        relay.client.admit(len(statement.tail))
        relay.to_server.append(parse_frame(b"", tail))
        own_unnamed(relay, backend, FrontendTag.PARSE, statement, UnnamedChange(relay, backend))
    backend.statements.written[statement] = tail
    return True


def _parse_under_name(
    relay: Relay, backend: BackendState, statement: Statement, name: bytes, tail: bytes
) -> Owed:
    make_room(relay, backend)
    server_name = relay.pool.new_name()
    effect = NamedParse(relay, backend, name, statement)
    entry = Owed(FrontendTag.PARSE, RELAY, effect, segment=backend.pipeline.segment)
    relay.client.put(name, statement)
    relay.client.tentative[name] = entry
    relay.aliases[server_name] = name
    backend.statements.add(statement, server_name, entry)
    relay.to_server.append(parse_frame(server_name, tail))
    return entry


def _tail(statement: Statement, plan: Plan) -> bytes:
    return plan.text + statement.tail[statement.tail.find(b"\0") :]


def _plan(relay: Relay, backend: BackendState, statement: Statement) -> Plan | None:
    """A plan that holds now, made before or made anew; None when an answer must be awaited."""
    plan = relay.plans.get(statement)
    if plan is not None and _holds(relay, backend, plan):
        return plan
    if plan is not None and plan not in relay.portals.values():
        leave_plan(backend, plan)
        del relay.plans[statement]
    assert statement.command is not None
    plan = make_plan(relay, backend, statement.text, (statement.command,), False)
    if plan is not None:
        plan.segment = backend.pipeline.segment
        relay.plans[statement] = plan
    return plan


def _holds(relay: Relay, backend: BackendState, plan: Plan) -> bool:
    if plan.deferred is not None:
        statement, server_name = plan.deferred
        name = plan.aliases[0]
        known = relay.client.names.get(name) if name is not None else None
        here = backend.statements.names.get(statement, server_name)
        return known is statement and here == server_name
    deed = plan.deeds[0]
    if deed is None or deed.done:
        return False
    if deed.stand_in and plan.segment != backend.pipeline.segment:
        return False
    known = relay.client.names.get(deed.name)
    if deed.prepares:
        return known is None
    return known is deed.statement and (
        deed.stand_in or backend.statements.names.get(known) == deed.server_name
    )


def bind_indirect(
    relay: Relay, backend: BackendState, statement: Statement, name: bytes, describing: bool
) -> bytes | None:
    """The server name of a statement about statements, its text right for this moment."""
    if describing and _executes_what_is_gone(relay, statement):
        return _describe_what_is_gone(relay, backend, statement, name)
    empty = describing and _describes_nothing(statement) and may_have_failed(backend)
    plan = _plan(relay, backend, statement)
    if plan is None or in_doubt(relay, backend, statement):
        return None
    change = backend.statements.unnamed_in_doubt(backend.pipeline.segment)
    if not name and change is not None:
        relay.hold_for(change)
        return None
    statements = backend.statements
    tail = _tail(statement, plan)
    if describing and statement.shape == NO_ROWS:
        # The client's own name means nothing to the server, as when it was parsed.
        tail = statement.tail
    if empty:
        # What has no rows is described in a failed transaction, too; nothing looks the same.
        tail = statement.tail[statement.tail.find(b"\0") :]
    present = statements.names.get(statement) if name else b""
    if not name and statements.unnamed is not statement:
        present = None
    if present is not None and statements.written.get(statement) == tail:
        return present
    if not name:
        replay_unnamed(relay, backend, statement, tail)
        statements.written[statement] = tail
        return b""
    if present:
        backend.doomed.append(present)
        statements.drop(statement)
    return _replay_named(relay, backend, statement, name, tail)


def _replay_named(
    relay: Relay, backend: BackendState, statement: Statement, name: bytes, tail: bytes
) -> bytes:
    """Prepare it with this text, under a server name of its own."""
    make_room(relay, backend)
    server_name = relay.pool.new_name()
    relay.aliases[server_name] = name
    say_again(relay, backend, Replay(relay, backend, statement, server_name), tail)
    backend.statements.written[statement] = tail
    return server_name


def _describes_nothing(statement: Statement) -> bool:
    """Whether it certainly returns no rows: only EXECUTE may."""
    command = statement.command
    return statement.shape == NO_ROWS or (
        command is not None and command.kind is not CommandKind.EXECUTE
    )


def _executes_what_is_gone(relay: Relay, statement: Statement) -> bool:
    """Whether it is an EXECUTE that had rows when it was prepared, of a name that is no more."""
    executed, command = statement.executes, statement.command
    if executed is None or executed.command is not None or executed.shape == NO_ROWS:
        return False
    assert command is not None and command.name is not None
    return command.name not in relay.client.names


def _describe_what_is_gone(
    relay: Relay, backend: BackendState, statement: Statement, name: bytes
) -> bytes:
    """The server tells the parameters of such a statement, then what it misses.

    For that it must have prepared it while what it executes was there, which it refuses in a
    failed transaction, as it does to describe what has rows.
    """
    executed, command = statement.executes, statement.command
    assert executed is not None and command is not None and command.name is not None
    make_room(relay, backend)
    # Why this name: its absence is wanted, and not to be mended (relay.healing).
    gone, server_name = relay.pool.missing, relay.pool.new_name()
    relay.aliases[gone], relay.aliases[server_name] = command.name, name
    text = rewrite(statement.text, [(command.name_start, command.name_stop, gone)])
    types = statement.tail[statement.tail.find(b"\0") :]
    relay.to_server.extend(
        [
            parse_frame(gone, executed.replay_tail),
            parse_frame(server_name, text + types),
        ]
    )
    backend.pipeline.owe_preparing(HIDDEN[FrontendTag.PARSE])
    backend.pipeline.owe_preparing(HIDDEN[FrontendTag.PARSE])
    close_copy(relay, backend, None, gone)
    backend.doomed.append(server_name)
    return server_name


def execute_indirect(relay: Relay, backend: BackendState, plan: Plan) -> None:
    """Execute of such a statement: the books follow tentatively, and its error is ours to edit."""
    if plan.drops_all:
        entry = Owed(FrontendTag.EXECUTE, RELAY, Execution(relay, backend, plan, None))
        backend.pipeline.owe(entry)
        if relay.settings.startup and _discards(relay, plan.original):
            come_back(relay, backend)
        # Which names there are behind it depends on whether it succeeds.
        wait(relay, entry)
        return
    deed = plan.deeds[0]
    if deed is not None and deed.done:
        deed = None
    effect = Execution(relay, backend, plan, deed)
    entry = Owed(FrontendTag.EXECUTE, RELAY, effect, segment=backend.pipeline.segment)
    backend.pipeline.owe(entry)
    if deed is None:
        go_back(relay, backend, plan.behind)
        return
    do_deed(relay, backend, deed)
    relay.client.tentative[deed.name] = entry
    if deed.prepares:
        backend.statements.unsettled[deed.statement] = entry
        backend.pipeline.owe(ask_about(relay, backend, deed))


def prepare_deferred(
    relay: Relay, backend: BackendState, statement: Statement, server_name: bytes
) -> bool:
    """Prepare what an Execute of EXECUTE needs, right in front of it; False when on hold."""
    names = backend.statements.names
    if in_doubt(relay, backend, statement):
        return False
    if names.get(statement) == server_name:
        return True
    make_room(relay, backend)
    if statement in names:
        # Something else has prepared it meanwhile, under another name.
        relay.to_server.append(parse_frame(server_name, statement.replay_tail))
        backend.pipeline.owe(HIDDEN[FrontendTag.PARSE])
        backend.doomed.append(server_name)
    else:
        effect = Replay(relay, backend, statement, server_name)
        say_again(relay, backend, effect, statement.replay_tail)
    return True


def _discards(relay: Relay, text: bytes) -> bool:
    """Whether what drops all names is DISCARD ALL."""
    found = relay.classifier.classify(text, relay.settings.standard_conforming_strings)
    return found.commands[0].kind is CommandKind.DISCARD
