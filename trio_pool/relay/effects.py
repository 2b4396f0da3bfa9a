"""What was believed when a request was sent, and how it becomes real or is taken back.

Each class is the Effect of one ledger entry (protocol.pipeline). The rule that keeps them
sound: an entry undoes only what it did itself, so every undo first looks whether its own work
is still what stands there.
"""

from __future__ import annotations

from typing import Final

from protocol.ledger import Effect
from protocol.tags import BackendTag
from trio_pool.relay.shapes import comparable_shape
from trio_pool.relay.state import BackendState, Relay
from trio_pool.statements import NO_ROWS, Statement


class Question(Effect):
    """A Query of our own between two transactions of the client, who hears nothing of it.

    `broken` when the server answered with an error: the client's statement_timeout may be short.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken = False


class Awaited(Effect):
    """Nothing that was ever asked: its turn comes when all in front of it is answered."""

    __slots__ = ()


class Indispensable(Effect):
    """Our own request for the client's settings: whatever comes behind it counts on them.

    When the server refuses it, nothing more may be done in the client's name.
    """

    __slots__ = ()


class NamedParse(Effect):
    """The client's Parse under a new name."""

    __slots__ = ("relay", "backend", "name", "statement")

    def __init__(self, relay: Relay, backend: BackendState, name: bytes, statement: Statement):
        self.relay = relay
        self.backend = backend
        self.name = name
        self.statement = statement

    def settled(self) -> None:
        self.backend.statements.settled(self.statement)

    def failed(self) -> None:
        self.statement.refused = True
        if self.relay.client.names.get(self.name) is self.statement:
            self.relay.client.take(self.name)
        self.backend.statements.drop(self.statement)

    def skipped(self) -> None:
        self.failed()


class DuplicateParse(Effect):
    """The client's Parse under a name it already uses: the server is expected to refuse it.

    Should the server accept it all the same, the old statement was gone (a DEALLOCATE ALL
    travelled in front), and the new one takes its place under the same server name.
    """

    __slots__ = ("relay", "backend", "name", "statement", "server_name", "alias")

    def __init__(
        self,
        relay: Relay,
        backend: BackendState,
        name: bytes,
        statement: Statement,
        server_name: bytes,
        alias: bytes,
    ):
        self.relay = relay
        self.backend = backend
        self.name = name
        self.statement = statement
        self.server_name = server_name
        # The name as the client wrote it: the server quotes it in full.
        self.alias = alias

    def settled(self) -> None:
        statements = self.backend.statements
        statements.drop_name(self.server_name)
        self.relay.client.put(self.name, self.statement)
        statements.names[self.statement] = self.server_name


class UnnamedChange(Effect):
    """A request that changes the unnamed statement: the client's, this backend's, or both.

    PostgreSQL drops the old unnamed statement before it looks at a new text, so a failed Parse
    leaves none (`survives`: the client keeps its own all the same, for the request was ours);
    a skipped one leaves what was there. Changes of several pipelined segments can be open at
    once: what one of them leaves is then what the next one started from.
    """

    __slots__ = (
        "relay",
        "backend",
        "client_before",
        "backend_before",
        "survives",
        "preceding",
        "following",
    )

    def __init__(self, relay: Relay, backend: BackendState, survives: bool = False):
        self.survives = survives
        self.begin(relay, backend)

    def begin(self, relay: Relay, backend: BackendState) -> None:
        """The change is on its way, behind all others."""
        self.relay = relay
        self.backend = backend
        self.client_before = relay.client.unnamed
        self.backend_before = backend.statements.unnamed
        self.preceding: UnnamedChange | None = None
        self.following: UnnamedChange | None = None
        change = backend.statements.unnamed_change
        last = relay.unnamed_last
        if change is not None and change.open and last is not None:
            last.following = self
            self.preceding = last
        relay.unnamed_last = self

    def settled(self) -> None:
        if self.following is not None:
            self.following.preceding = None
            self.following = None

    def failed(self) -> None:
        self._leave(self.client_before if self.survives else None, None)

    def skipped(self) -> None:
        self._leave(self.client_before, self.backend_before)

    def _leave(self, client: Statement | None, backend: Statement | None) -> None:
        following, preceding = self.following, self.preceding
        self.following = self.preceding = None
        if preceding is not None:
            preceding.following = following
        if following is None:
            self.relay.client.unnamed = client
            self.backend.statements.unnamed = backend
        else:
            following.preceding = preceding
            following.client_before = client
            following.backend_before = backend


class Replay(Effect):
    """Our own Parse of a statement the client prepared elsewhere."""

    __slots__ = (
        "relay",
        "backend",
        "statement",
        "server_name",
        "for_query",
        "describing",
        "refused",
    )

    def __init__(
        self,
        relay: Relay,
        backend: BackendState,
        statement: Statement,
        server_name: bytes,
        for_query: bool = False,
    ):
        self.describing = False
        self.refused = False
        self.server_name = server_name
        self.relay = relay
        self.backend = backend
        self.statement = statement
        self.for_query = for_query

    def settled(self) -> None:
        self.backend.statements.settled(self.statement)

    def failed(self) -> None:
        self.skipped()
        self.refused = True
        if self.for_query:
            self.relay.query_refused = True

    def precedes_error(self) -> bytes:
        """What a server says before the error that this replay stands for."""
        parameters = self.statement.parameters
        if not self.describing or parameters is None:
            return b""
        return b"t" + (len(parameters) + 4).to_bytes(4, "big") + parameters

    def skipped(self) -> None:
        if self.backend.statements.names.get(self.statement) == self.server_name:
            self.backend.statements.drop(self.statement)


class Description(Effect):
    """Our own Describe behind a Parse: what the server understood.

    Behind the client's Parse it completes the statement, which is then exchanged for the one
    Statement that all clients share who prepared the same and were shown the same. Behind a
    replay it verifies that the rows still look as the client was shown.
    """

    __slots__ = ("relay", "backend", "name", "statement", "server_name", "parameters", "alone")

    def __init__(
        self,
        relay: Relay,
        backend: BackendState,
        name: bytes | None,
        statement: Statement,
        server_name: bytes,
    ):
        # In a segment of our own: whether it fails is nobody's business.
        self.alone = False
        self.relay = relay
        self.backend = backend
        # The client's name when it has just prepared; None for a replay.
        self.name = name
        self.statement = statement
        # What is described: the statement may have got another copy here in the meantime.
        self.server_name = server_name
        self.parameters = b""

    def heard(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.PARAMETER_DESCRIPTION:
            self.parameters = body
            return
        shape = comparable_shape(body) if tag == BackendTag.ROW_DESCRIPTION else NO_ROWS
        if self.name is not None:
            self._complete(self.name, shape)
        elif shape != self.statement.shape:
            self._exchange(shape)

    def _complete(self, name: bytes, shape: bytes) -> None:
        statement = self.statement
        if statement.shape is not None:
            return
        statement.parameters = self.parameters
        statement.shape = shape
        shared = self.relay.pool.shared(statement)
        if shared is statement:
            return
        if self.relay.client.names.get(name) is statement:
            self.relay.client.put(name, shared)
        self._move(statement, shared)

    def _exchange(self, shape: bytes) -> None:
        """The rows changed since: what is prepared here is another statement."""
        statement = self.statement
        now = Statement(statement.tail, statement.environment, self.parameters, shape)
        now.plain, now.sets, now.pins = statement.plain, statement.sets, statement.pins
        now.calls, now.customs = statement.calls, statement.customs
        now.databases = statement.databases
        self.relay.stale |= {statement}
        self._move(statement, self.relay.pool.shared(now))

    def _move(self, statement: Statement, shared: Statement) -> None:
        """What was described is from now on this backend's copy of `shared`."""
        statements = self.backend.statements
        names = statements.names
        if names.get(statement) != self.server_name:
            return
        del names[statement]
        older = names.pop(shared, None)
        names[shared] = self.server_name
        if older is not None:
            self.backend.doomed.append(older)
            # Hazard: it may have been on its way, and nobody may wait for it any more.
            statements.unsettled.pop(shared, None)


class UnnamedDescription(Effect):
    """The client's Describe of its unnamed statement: what it was shown must stay true."""

    __slots__ = ("statement", "parameters")

    def __init__(self, statement: Statement):
        self.statement = statement
        self.parameters = b""

    def heard(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.PARAMETER_DESCRIPTION:
            self.parameters = body
            return
        self.statement.parameters = self.parameters
        self.statement.shape = (
            comparable_shape(body) if tag == BackendTag.ROW_DESCRIPTION else NO_ROWS
        )


class Closed(Effect):
    """The client closed one of its names; the server's copy stays for others."""

    __slots__ = ("relay", "name", "statement")

    def __init__(self, relay: Relay, name: bytes, statement: Statement | None):
        self.relay = relay
        self.name = name
        self.statement = statement

    def failed(self) -> None:
        self.skipped()

    def skipped(self) -> None:
        if self.statement is not None and self.name not in self.relay.client.names:
            self.relay.client.put(self.name, self.statement)


class Evicted(Effect):
    """Our own Close, to make room on the backend."""

    __slots__ = ("backend", "statement", "server_name")

    def __init__(self, backend: BackendState, statement: Statement | None, server_name: bytes):
        self.backend = backend
        self.statement = statement
        self.server_name = server_name

    def failed(self) -> None:
        self.skipped()

    def skipped(self) -> None:
        names = self.backend.statements.names
        if self.statement is None or self.statement in names:
            self.backend.doomed.append(self.server_name)
        else:
            names[self.statement] = self.server_name
            names.move_to_end(self.statement, last=False)


class UnderAlias(Effect):
    """A request on a statement that has another name of the client's as well."""

    __slots__ = ("alias",)

    def __init__(self, alias: bytes):
        self.alias = alias


class StalePlan(Effect):
    """A request on a statement whose rows changed: its failure reads as PostgreSQL's own.

    It mentions the name that nothing has (PoolStatements.missing); any other failure came first.
    """

    __slots__ = ()


STALE_PLAN: Final = StalePlan()
