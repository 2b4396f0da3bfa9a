"""Giving a client's statement its name on the backend it happens to hold.

Replays are lazy: only the statement that a message refers to, right in front of that message,
in the client's own segment and without a Sync of ours (which would end the client's implicit
transaction). Where a client was shown a row description the replay is verified before the
client's message follows, because executing first and comparing later could hand it rows of a
shape it does not expect.
"""

from __future__ import annotations

from protocol import frontend
from protocol.ledger import DROP, RELAY, Owed
from protocol.pipeline import HIDDEN
from protocol.tags import FrontendTag, TransactionStatus
from trio_pool.relay.aside import aside_must_wait, begin_aside, end_aside
from trio_pool.relay.effects import (
    Description,
    Evicted,
    Replay,
    UnnamedChange,
)
from trio_pool.relay.holding import wait
from trio_pool.relay.state import BackendState, Relay
from trio_pool.statements import NO_ROWS, Statement


def parse_frame(name: bytes, tail: bytes) -> bytes:
    """A Parse message of `tail` (text, NUL, types) under `name`."""
    return b"P" + (len(name) + len(tail) + 5).to_bytes(4, "big") + name + b"\0" + tail


def make_room(relay: Relay, backend: BackendState) -> None:
    """Close what the backend holds beyond its bound, before one more is prepared."""
    for server_name in backend.doomed:
        close_copy(relay, backend, None, server_name)
    backend.doomed.clear()
    surplus = backend.statements.surplus(relay.in_use)
    while surplus is not None:
        backend.statements.drop(surplus[0])
        close_copy(relay, backend, surplus[0], surplus[1])
        relay.counters.evictions += 1
        surplus = backend.statements.surplus(relay.in_use)


def close_copy(
    relay: Relay, backend: BackendState, statement: Statement | None, server_name: bytes
) -> None:
    """Close what this backend has under a name; if that is skipped, on the next occasion."""
    relay.to_server.append(frontend.close_statement(server_name))
    effect = Evicted(backend, statement, server_name)
    backend.pipeline.owe_preparing(Owed(FrontendTag.CLOSE, DROP, effect))


def replay(
    relay: Relay,
    backend: BackendState,
    statement: Statement,
    alias: bytes,
    for_query: bool,
    describing: bool = False,
) -> Owed | None:
    """Prepare `statement` on this backend; returns the entry to wait for, if one must be.

    `describing`: a Describe comes behind, to which a server answers what it can before it
    fails, so that the parameters precede the error.
    """
    # Hazard: the first message of the segment, as it must not begin in an open one.
    aside = begin_aside(relay, backend, statement)
    make_room(relay, backend)
    server_name = relay.pool.new_name()
    relay.aliases[server_name] = alias
    effect = Replay(relay, backend, statement, server_name, for_query)
    effect.describing = describing
    entry = say_again(relay, backend, effect, statement.replay_tail)
    must_wait = for_query
    if statement.shape is not None and statement.shape != NO_ROWS:
        entry = Owed(
            FrontendTag.DESCRIBE, DROP, Description(relay, backend, None, statement, server_name)
        )
        relay.to_server.append(frontend.describe_statement(server_name))
        backend.pipeline.owe_preparing(entry)
        must_wait = True
    if aside is not None:
        return end_aside(relay, backend, effect, aside)
    return entry if must_wait else None


def say_again(relay: Relay, backend: BackendState, effect: Replay, tail: bytes) -> Owed:
    """Prepare what `effect` tells of with this text; the entry of its Parse."""
    relay.counters.replays += 1
    relay.to_server.append(parse_frame(effect.server_name, tail))
    entry = Owed(FrontendTag.PARSE, DROP, effect, segment=backend.pipeline.segment)
    backend.pipeline.owe_preparing(entry)
    backend.statements.add(effect.statement, effect.server_name, entry)
    return entry


def in_doubt(relay: Relay, backend: BackendState, statement: Statement) -> bool:
    """Whether it is uncertain that the backend has `statement`: then the relay is on hold."""
    parse = backend.statements.in_doubt(statement, backend.pipeline.segment)
    if parse is not None:
        relay.hold_for(parse)
    return parse is not None


def ensure_named(
    relay: Relay, backend: BackendState, statement: Statement, alias: bytes, describing: bool
) -> bytes | None:
    """The server name of a plain statement here; None when its replay must be awaited."""
    server_name = backend.statements.name_of(statement)
    if server_name is not None:
        return None if in_doubt(relay, backend, statement) else server_name
    if _stands_in(backend, statement, describing):
        server_name = stand_in(relay, backend, statement.parameters or b"\0\0")
        relay.aliases[server_name] = alias
        backend.doomed.append(server_name)
        return server_name
    if aside_must_wait(relay, backend, statement):
        return None
    entry = replay(relay, backend, statement, alias, False, describing)
    if entry is not None:
        wait(relay, entry)
        return None
    return backend.statements.names[statement]


def transaction_failed(backend: BackendState) -> bool:
    """Whether the transaction has failed and nothing was said since that could end it."""
    pipeline = backend.pipeline
    return (
        pipeline.status == TransactionStatus.FAILED
        and not pipeline.segment_open
        and pipeline.status_known()
    )


def may_have_failed(backend: BackendState) -> bool:
    """Whether the transaction has failed, as far as is known, or may have by now."""
    pipeline = backend.pipeline
    return pipeline.status == TransactionStatus.FAILED or not pipeline.status_known()


def _stands_in(backend: BackendState, statement: Statement, describing: bool) -> bool:
    """Whether an empty statement with the same parameters is answered like this one.

    In a failed transaction nothing that returns rows can be prepared, nor be run. What returns
    none is described alike wherever it is, and in a failed transaction, too.
    """
    shape = statement.shape
    if shape is None or (shape == NO_ROWS) is not describing:
        return False
    return may_have_failed(backend) if describing else transaction_failed(backend)


def stand_in(relay: Relay, backend: BackendState, parameters: bytes = b"\0\0") -> bytes:
    """Prepare an empty statement with these parameters, under a server name of its own.

    To prepare nothing cannot fail, not even in a failed transaction (tcop/postgres.c: no
    command, no check). The caller sees to it that it is closed.
    """
    return _prepare_unheard(relay, backend, b"\0" + parameters)


def refusing(relay: Relay, backend: BackendState, statement: Statement, alias: bytes) -> bytes:
    """Prepare what fails where `statement` would, whose rows changed.

    A server looks at the parameters before it looks at the rows (tcop/postgres.c,
    exec_bind_message; commands/prepare.c, ExecuteQuery): so this one takes the same, and fails
    when it is planned. The caller sees to it that it is closed, once it was used.
    """
    text = b"SELECT pg_catalog.int4in('%b')" % relay.pool.missing
    tail = text + b"\0" + (statement.parameters or b"\0\0")
    server_name = _prepare_unheard(relay, backend, tail)
    relay.aliases[server_name] = alias
    return server_name


def _prepare_unheard(relay: Relay, backend: BackendState, tail: bytes) -> bytes:
    make_room(relay, backend)
    server_name = relay.pool.new_name()
    relay.to_server.append(parse_frame(server_name, tail))
    backend.pipeline.owe_preparing(HIDDEN[FrontendTag.PARSE])
    return server_name


def ensure_unnamed(relay: Relay, backend: BackendState, describing: bool) -> bool:
    """Make the backend's unnamed statement the client's; False when it must be awaited."""
    statement = relay.client.unnamed
    change = backend.statements.unnamed_in_doubt(backend.pipeline.segment)
    if change is not None:
        relay.hold_for(change)
        return False
    if backend.statements.unnamed is statement:
        return True
    if statement is None:
        # Somebody else's must not answer: let the server find none, as the client expects.
        relay.to_server.append(frontend.close_statement(b""))
        _change_backends_unnamed(relay, backend, FrontendTag.CLOSE, None)
        return True
    if _stands_in(backend, statement, describing):
        # It has no rows, or cannot be bound anyway.
        relay.to_server.append(parse_frame(b"", b"\0" + (statement.parameters or b"\0\0")))
        _change_backends_unnamed(relay, backend, FrontendTag.PARSE, None)
        return True
    replay_unnamed(relay, backend, statement, statement.replay_tail)
    if statement.shape is None or statement.shape == NO_ROWS:
        return True
    entry = Owed(FrontendTag.DESCRIBE, DROP, Description(relay, backend, None, statement, b""))
    relay.to_server.append(frontend.describe_statement(b""))
    backend.pipeline.owe_preparing(entry)
    wait(relay, entry)
    return False


def replay_unnamed(relay: Relay, backend: BackendState, statement: Statement, tail: bytes) -> None:
    """Prepare the client's unnamed statement on this backend, from `tail`."""
    relay.counters.replays += 1
    relay.to_server.append(parse_frame(b"", tail))
    _change_backends_unnamed(relay, backend, FrontendTag.PARSE, statement)


def _change_backends_unnamed(
    relay: Relay, backend: BackendState, kind: int, statement: Statement | None
) -> None:
    """Our own request changes the backend's unnamed statement; the client's stays."""
    effect = UnnamedChange(relay, backend, survives=True)
    entry = Owed(kind, DROP, effect, segment=backend.pipeline.segment)
    backend.statements.unnamed = statement
    backend.statements.unnamed_change = entry
    backend.pipeline.owe_preparing(entry)


def own_unnamed(
    relay: Relay,
    backend: BackendState,
    kind: int,
    statement: Statement | None,
    effect: UnnamedChange,
) -> None:
    """The client's own request changes the unnamed statement, here and for good."""
    entry = Owed(kind, RELAY, effect, segment=backend.pipeline.segment)
    backend.pipeline.owe_preparing(entry)
    relay.client.unnamed = statement
    backend.statements.unnamed = statement
    backend.statements.unnamed_change = entry


def own_unnamed_first(relay: Relay, backend: BackendState, statement: Statement) -> None:
    """The same for a Parse in front of which nothing is owed, as most are.

    Such an entry cannot meet itself in the queue: one per backend serves them all.
    """
    pipeline, statements = backend.pipeline, backend.statements
    entry, effect = backend.first_parse, backend.first_change
    if entry is None or effect is None:
        effect = UnnamedChange(relay, backend)
        entry = Owed(FrontendTag.PARSE, RELAY, effect)
        backend.first_parse, backend.first_change = entry, effect
    else:
        effect.begin(relay, backend)
        entry.open = True
    entry.segment = pipeline.segment
    pipeline.owe_preparing(entry)
    relay.client.unnamed = statement
    statements.unnamed = statement
    statements.unnamed_change = entry
