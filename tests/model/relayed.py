"""Several clients' relays over a few model servers: a pool without sockets and without time.

Which backend a client gets, where the streams are cut, and whether the client or the server is
heard first, are all decided by numbers given from outside, so that a failure can be replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from protocol.sql.classify import Classifier
from tests.model.server import ModelServer
from tests.model.session import DEFAULTS, REPORTED
from trio_pool.conform.random_scripts import chunked
from trio_pool.relay import (
    BackendState,
    Counters,
    Relay,
    attach,
    detach,
    end_segment,
    has_prepared,
    proceed,
    take_from_client,
    take_from_server,
)
from trio_pool.settings import BackendSettings, ClientSettings, Environments
from trio_pool.statements import ClientStatements, PoolStatements

_INITIAL = {name.encode(): DEFAULTS[name].encode() for name in REPORTED}


@attrs.define(eq=False)
class ModelBackend:
    """A model server and what the pool believes about it."""

    state: BackendState
    server: ModelServer = attrs.field(factory=ModelServer)
    # Bytes the server has said and the relay has not heard.
    unheard: deque[bytes] = attrs.field(factory=deque)


@attrs.define(eq=False)
class ModelClient:
    """A client's relay, what it said that the relay has not heard, and what it was told."""

    relay: Relay
    unsaid: deque[bytes] = attrs.field(factory=deque)
    told: list[bytes] = attrs.field(factory=list)
    backend: ModelBackend | None = None

    @property
    def finished(self) -> bool:
        return not self.unsaid and (self.backend is None or not self.backend.unheard)


@attrs.define
class Numbers:
    """The choices of the outside world, repeated when they run out."""

    numbers: Sequence[int]
    _at: int = 0

    def next(self, below: int) -> int:
        if not self.numbers or below < 2:
            return 0
        self._at += 1
        return self.numbers[self._at % len(self.numbers)] % below


class ModelPool:
    """The pool: `clients` relays, `backends` model servers, `statements_max` on each."""

    def __init__(
        self, clients: int, backends: int, choices: Sequence[int] = (), statements_max: int = 200
    ) -> None:
        self._choices = Numbers(choices)
        self._sizes = [1 + choice * 7 % 23 for choice in choices]
        environments = Environments()
        statements = PoolStatements("test")
        # The model knows its own language only, and reports every setting that it has.
        statements.asks_early = False
        classifier = Classifier(1 << 20)
        self.counters = Counters()
        self.backends = [
            ModelBackend(BackendState(statements_max, BackendSettings(dict(_INITIAL))))
            for _ in range(backends)
        ]
        self.free = list(self.backends)
        self.clients = [
            ModelClient(
                Relay(
                    ClientStatements(1 << 20),
                    ClientSettings(environments, dict(_INITIAL)),
                    statements,
                    classifier,
                    self.counters,
                )
            )
            for _ in range(clients)
        ]

    def says(self, index: int, data: bytes) -> bytes:
        """Client `index` says this; returns all that it is told until nothing moves any more."""
        client = self.clients[index]
        client.unsaid.extend(chunked(data, self._sizes))
        while not client.finished:
            self._turn(client)
        told, client.told = b"".join(client.told), []
        return told

    def _turn(self, client: ModelClient) -> None:
        """Hear either the client or the server, and let the relay act on it."""
        backend = client.backend
        if backend is not None and has_prepared(client.relay) and self._choices.next(2):
            # It has been silent for long enough.
            end_segment(client.relay)
            self._move(client)
        server_first = backend is not None and backend.unheard
        if server_first and client.unsaid and self._choices.next(2):
            server_first = False
        if server_first:
            assert backend is not None
            take_from_server(client.relay, backend.unheard.popleft())
            if client.relay.resume:
                self._move(client)
                proceed(client.relay)
        else:
            take_from_client(client.relay, client.unsaid.popleft())
        if client.relay.wants_backend and client.backend is None:
            self._lend(client)
        self._move(client)
        if client.backend is not None and client.relay.releasable and not client.backend.unheard:
            detach(client.relay)
            self.free.append(client.backend)
            client.backend = None

    def _lend(self, client: ModelClient) -> None:
        assert self.free, "the script holds more backends than there are"
        client.backend = self.free.pop(self._choices.next(len(self.free)))
        attach(client.relay, client.backend.state)

    def _move(self, client: ModelClient) -> None:
        """Take what the relay has decided to its destination."""
        relay, backend = client.relay, client.backend
        if relay.to_client:
            client.told.append(relay.to_client.take())
        if relay.to_server:
            assert backend is not None, "bytes for a server without a backend"
            said = backend.server.feed(relay.to_server.take())
            backend.unheard.extend(chunked(said, self._sizes))

    def mistakes(self) -> list[bytes]:
        """Statements that free backends are believed to have and have not."""
        return [
            name
            for backend in self.free
            for name in sorted(
                set(backend.state.statements.names.values()) - backend.server.statement_names
            )
        ]

    def leaks(self) -> list[bytes]:
        """Statements that free backends have and that nobody will ever use or close."""
        return [
            name
            for backend in self.free
            for name in sorted(
                backend.server.statement_names
                - set(backend.state.statements.names.values())
                - set(backend.state.doomed)
            )
        ]
