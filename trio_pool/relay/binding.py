"""The client's messages about statements and portals: Bind, Describe, Execute, Close.

The statement's name is exchanged for the one it has on this backend; portals keep the client's
names, since they never outlive the transaction and so the lease. A Bind may be seen only in its
beginning: its parameters can be of any size and are never read.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.errors import ProtocolViolation
from protocol.framing import name_end
from protocol.ledger import FAKE, RELAY, Owed
from protocol.pipeline import PLAIN
from protocol.tags import FrontendTag
from trio_pool.customs import NOTHING_LOCAL, names_among
from trio_pool.relay.about import Plan
from trio_pool.relay.effects import (
    STALE_PLAN,
    Closed,
    UnderAlias,
    UnnamedChange,
    UnnamedDescription,
)
from trio_pool.relay.indirect import bind_indirect, execute_indirect, prepare_deferred
from trio_pool.relay.naming import ensure_named, ensure_unnamed, own_unnamed, refusing
from trio_pool.relay.questions import note_setter
from trio_pool.relay.state import BackendState, Relay, link_of, make_customs, suspect_settings
from trio_pool.statements import NAME_BYTES, Statement

_BIND: Final = FrontendTag.BIND
_PLAIN_BIND: Final = PLAIN[FrontendTag.BIND]
_STATEMENT: Final = ord("S")
_CLOSE_COMPLETE: Final = b"3\0\0\0\x04"


def _server_name(
    relay: Relay, backend: BackendState, data: bytes, start: int, name: bytes, describing: bool
) -> bytes | None:
    """What to call the client's `name` here; None when on hold.

    Whatever is sent on the way goes in front of the message at `start`.
    """
    if not name:
        return _unnamed(relay, backend, data, start, describing)
    unsettled = relay.client.unsettled(name, backend.pipeline.segment)
    if unsettled is not None:
        relay.hold_for(unsettled)
        return None
    statement = relay.client.names.get(name)
    if statement is None:
        if name.startswith(relay.pool.prefix):
            relay.aliases[relay.pool.missing] = name
            return relay.pool.missing
        return name
    statements = backend.statements
    server_name = statements.name_of(statement)
    if server_name is not None and statement.command is None and not statements.unsettled:
        return server_name
    relay.cut(data, start)
    if statement.command is not None:
        return bind_indirect(relay, backend, statement, name, describing)
    if statement in relay.stale:
        return relay.pool.missing if describing else _refusing(relay, backend, statement, name)
    return ensure_named(relay, backend, statement, name, describing)


def _unnamed(
    relay: Relay, backend: BackendState, data: bytes, start: int, describing: bool
) -> bytes | None:
    statement = relay.client.unnamed
    if statement is not None and statement.command is not None:
        relay.cut(data, start)
        return bind_indirect(relay, backend, statement, b"", describing)
    statements = backend.statements
    change = statements.unnamed_change
    sure = change is None or not change.open or change.segment == backend.pipeline.segment
    if sure and statements.unnamed is statement and not relay.stale:
        return b""
    relay.cut(data, start)
    if statement is not None and statement in relay.stale:
        backend.statements.unnamed = None
        return relay.pool.missing if describing else _refusing(relay, backend, statement, b"")
    return b"" if ensure_unnamed(relay, backend, describing) else None


def _refusing(relay: Relay, backend: BackendState, statement: Statement, alias: bytes) -> bytes:
    server_name = refusing(relay, backend, statement, alias)
    backend.doomed.append(server_name)
    return server_name


def _forgive_stale(relay: Relay, statement: Statement | None, server_name: bytes) -> bool:
    """Whether this message is sent to fail because the rows changed since it was prepared."""
    if statement is None or statement not in relay.stale:
        return False
    if link_of(relay).statements.names.get(statement) == server_name:
        return False
    relay.stale -= {statement}
    return True


def on_bind(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Bind: exchange the statement's name; the rest may be of any size and is not read."""
    backend = link_of(relay)
    portal_stop = name_end(data, start + 5, stop)
    name_stop = name_end(data, portal_stop + 1, stop)
    if portal_stop < 0 or name_stop < 0:
        backend.pipeline.owe(PLAIN[FrontendTag.BIND])
        return True
    name = data[portal_stop + 1 : name_stop]
    if not relay.portals and _bind_plainly(relay, backend, data, start, stop, portal_stop, name):
        return True
    key = name[:NAME_BYTES]
    server_name = _server_name(relay, backend, data, start, key, False)
    if server_name is None:
        return False
    relay.counters.binds += 1
    statement = relay.client.names.get(key) if key else relay.client.unnamed
    if statement is not None and not statement.plain:
        if statement.sets or statement.customs is not NOTHING_LOCAL:
            _note_settings(relay, backend, statement, data[start + 5 : stop])
        if statement.pins:
            relay.pin(statement.pins, statement.text)
        if statement.calls:
            relay.suspect(statement.calls, statement.text)
        if statement.databases:
            relay.pool.make_way(statement.databases)
    if statement is not None and statement.command is not None:
        relay.portals[data[start + 5 : portal_stop]] = relay.plans[statement]
    elif statement is not None and statement.drops_all:
        relay.portals[data[start + 5 : portal_stop]] = Plan(statement.text, drops_all=True)
    elif relay.portals:
        relay.portals.pop(data[start + 5 : portal_stop], None)
    if server_name is not key and server_name != key:
        relay.cut(data, start)
        length = (stop - start - 1) - len(name) + len(server_name)
        relay.to_server.append(
            b"B" + length.to_bytes(4, "big") + data[start + 5 : portal_stop + 1] + server_name
        )
        relay.run = name_stop
    backend.pipeline.owe(_entry(relay, FrontendTag.BIND, statement, server_name, name))
    return True


def _note_settings(relay: Relay, backend: BackendState, statement: Statement, bound: bytes) -> None:
    """The statement sets something: the name of a custom setting may be among the parameters."""
    names, places = statement.customs
    given = _parameters(bound) if statement.sets or places else ()
    if statement.sets:
        suspect_settings(relay, statement.text)
        note_setter(relay, backend, statement.text)
        relay.settings.mention(names_among(given))
    local = [given[place - 1] for place in places if 0 < place <= len(given)]
    make_customs(relay, backend, names | names_among(local))


def _parameters(bound: bytes) -> tuple[bytes | None, ...]:
    """The values in the body of a Bind; none when it is not whole, or not one."""
    try:
        return frontend.decode_bind(bound).parameters
    except ProtocolViolation:
        return ()


def _bind_plainly(
    relay: Relay,
    backend: BackendState,
    data: bytes,
    start: int,
    stop: int,
    portal_stop: int,
    name: bytes,
) -> bool:
    """The way of nearly every Bind: a plain statement that the backend certainly has."""
    client, statements = relay.client, backend.statements
    statement = client.names.get(name) if name else client.unnamed
    if statement is None or not statement.plain or relay.stale:
        return False
    if not name:
        change = statements.unnamed_change
        if change is not None and change.open and change.segment != backend.pipeline.segment:
            return False
        if statements.unnamed is not statement:
            return False
        backend.pipeline.owe(_PLAIN_BIND)
    else:
        server_name = statements.name_of(statement)
        if server_name is None or statements.unsettled or name in client.tentative:
            return False
        relay.cut(data, start)
        length = (stop - start - 1) - len(name) + len(server_name)
        relay.to_server.append(
            b"B" + length.to_bytes(4, "big") + data[start + 5 : portal_stop + 1] + server_name
        )
        relay.run = portal_stop + 1 + len(name)
        known = relay.aliases.setdefault(server_name, name)
        entry = _PLAIN_BIND if known == name else Owed(_BIND, RELAY, UnderAlias(name))
        backend.pipeline.owe(entry)
    relay.counters.binds += 1
    return True


def _entry(
    relay: Relay, kind: int, statement: Statement | None, server_name: bytes, name: bytes
) -> Owed:
    """The entry of a request on `statement`, which the client calls `name`."""
    if _forgive_stale(relay, statement, server_name):
        return Owed(kind, RELAY, STALE_PLAN)
    if server_name == name:
        return PLAIN[kind]
    known = relay.aliases.setdefault(server_name, name)
    return PLAIN[kind] if known == name else Owed(kind, RELAY, UnderAlias(name))


def on_describe(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Describe of a statement goes under its name here; of a portal as it is."""
    backend = link_of(relay)
    name_stop = name_end(data, start + 6, stop)
    if stop - start < 7 or data[start + 5] != _STATEMENT or name_stop < 0:
        backend.pipeline.owe(PLAIN[FrontendTag.DESCRIBE])
        return True
    key = data[start + 6 : min(name_stop, start + 6 + NAME_BYTES)]
    server_name = _server_name(relay, backend, data, start, key, True)
    if server_name is None:
        return False
    statement = relay.client.names.get(key) if key else relay.client.unnamed
    if server_name != key:
        relay.cut(data, start)
        length = (stop - start - 1) - (name_stop - start - 6) + len(server_name)
        relay.to_server.append(b"D" + length.to_bytes(4, "big") + b"S" + server_name)
        relay.run = name_stop
    if statement is not None and not key and statement.shape is None:
        entry = Owed(FrontendTag.DESCRIBE, RELAY, UnnamedDescription(statement))
    else:
        name = data[start + 6 : name_stop]
        entry = _entry(relay, FrontendTag.DESCRIBE, statement, server_name, name)
    backend.pipeline.owe_preparing(entry)
    return True


def on_execute(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Execute: only portals of statements about statements need a second look."""
    backend = link_of(relay)
    if relay.portals:
        name_stop = name_end(data, start + 5, stop)
        plan = relay.portals.get(data[start + 5 : name_stop])
        if plan is not None:
            if plan.deferred is not None:
                relay.cut(data, start)
                if not prepare_deferred(relay, backend, plan.deferred[0], plan.deferred[1]):
                    return False
            relay.cut(data, stop)
            execute_indirect(relay, backend, plan)
            return True
    backend.pipeline.owe(PLAIN[FrontendTag.EXECUTE])
    return True


def on_close(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Close of a name is answered here, in its place; the server's copy stays for others."""
    backend = link_of(relay)
    key = _name_to_close(data, start, stop)
    if key is None:
        backend.pipeline.owe_preparing(PLAIN[FrontendTag.CLOSE])
        return True
    if not key:
        effect = UnnamedChange(relay, backend)
        own_unnamed(relay, backend, FrontendTag.CLOSE, None, effect)
        return True
    unsettled = relay.client.unsettled(key, backend.pipeline.segment)
    if unsettled is not None:
        relay.hold_for(unsettled)
        return False
    relay.cut(data, start)
    relay.run = stop
    entry = Owed(
        FrontendTag.CLOSE,
        FAKE,
        Closed(relay, key, relay.client.take(key)),
        _CLOSE_COMPLETE,
        backend.pipeline.segment,
    )
    backend.pipeline.owe_unheard(entry)
    relay.client.tentative[key] = entry
    return True


def close_without_backend(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Close of a name by a client that holds no backend, which needs none for it.

    Some drivers end a statement with Close and Flush, and are silent until their program has more
    to do: the Sync that would end a lease may never come. False when a server must answer.
    """
    key = _name_to_close(data, start, stop)
    if not key:
        return False
    relay.client.take(key)
    relay.to_client.append(_CLOSE_COMPLETE)
    return True


def _name_to_close(data: bytes, start: int, stop: int) -> bytes | None:
    """The statement that a Close names; None for a portal, and for what a server refuses."""
    name_stop = name_end(data, start + 6, stop)
    if stop - start < 7 or data[start + 5] != _STATEMENT or name_stop != stop - 1:
        return None
    return data[start + 6 : min(name_stop, start + 6 + NAME_BYTES)]
