"""What is taken at once is taken as if it had come piece by piece.

Two clients of two pools say the same to model servers of their own: one is heard as it speaks, the
other in pieces that are too small to be a whole request, or a whole answer. They are told the same,
their servers are told the same, and what the relays believe is the same.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from protocol import frontend
from protocol.sql.classify import Classifier
from tests.model.server import ModelServer
from tests.model.session import DEFAULTS, REPORTED
from tests.model.strategies import scripts
from trio_pool.conform.random_scripts import NAMED_TEXTS, NAMES, Segment
from trio_pool.relay import (
    BackendState,
    Counters,
    Relay,
    attach,
    proceed,
    take_from_client,
    take_from_server,
)
from trio_pool.relay.flow import FINISH
from trio_pool.relay.whole import take_answer, take_request
from trio_pool.settings import BackendSettings, ClientSettings, Environments
from trio_pool.statements import ClientStatements, PoolStatements, Statement

_INITIAL = {name.encode(): DEFAULTS[name].encode() for name in REPORTED}


class World:
    """A client, its backend, and a model server behind it; `cuts`: where what is said is cut."""

    def __init__(self, cuts: list[int]) -> None:
        statements = PoolStatements("test")
        statements.asks_early = False
        self.cuts = cuts
        self.server = ModelServer()
        self.state = BackendState(3, BackendSettings(dict(_INITIAL)))
        self.relay = Relay(
            ClientStatements(1 << 20),
            ClientSettings(Environments(), dict(_INITIAL)),
            statements,
            Classifier(1 << 20),
            Counters(),
        )
        self.sent = b""
        attach(self.relay, self.state)
        self.run_to_rest()

    def says(self, data: bytes) -> bytes:
        """The client says this; all that it is told."""
        for piece in self._pieces(data):
            take_from_client(self.relay, piece)
        return self.run_to_rest()

    def run_to_rest(self) -> bytes:
        """What the client is told until nothing moves any more."""
        told = self.relay.to_client.take()
        while self.relay.to_server or self.relay.resume:
            said = self.relay.to_server.take()
            self.sent += said
            for piece in self._pieces(self.server.feed(said)):
                take_from_server(self.relay, piece)
            if self.relay.resume:
                proceed(self.relay)
            told += self.relay.to_client.take()
        return told

    def _pieces(self, data: bytes) -> list[bytes]:
        edges = [0, *sorted(cut % max(1, len(data)) for cut in self.cuts), len(data)]
        return [data[start:stop] for start, stop in pairwise(edges) if start < stop]

    def books(self) -> list[object]:
        """What the relay believes, in words that mean the same for another one."""
        relay, statements, pipeline = self.relay, self.state.statements, self.state.pipeline
        change = statements.unnamed_change
        return [
            [(name, _content(each)) for name, each in relay.client.names.items()],
            [(_content(each), name) for each, name in statements.names.items()],
            (_content(relay.client.unnamed), _content(statements.unnamed)),
            (statements.unnamed is relay.client.unnamed, change is not None and change.open),
            [(entry.kind, entry.fate, entry.open) for entry in pipeline.owed],
            (pipeline.segment, pipeline.segment_open, pipeline.status),
            (pipeline.skipping, pipeline.copying_in, pipeline.fresh, pipeline.quiet),
            [getattr(relay.counters, name) for name in Counters.NAMES],
            (relay.redo, relay.parts, relay.hold is None, relay.settings_suspect),
            (relay.aliases, list(relay.portals), len(relay.stale), self.state.partial),
            (relay.client.bytes_held, relay.releasable, relay.wants_backend, relay.goodbye),
        ]


def _content(statement: Statement | None) -> object:
    if statement is None:
        return None
    return (statement.tail, statement.plain, statement.parameters, statement.shape)


def unnamed(text: bytes, *parameters: bytes) -> bytes:
    """Parse, Bind, Describe, Execute and Sync."""
    return frontend.parse(b"", text) + named(b"", *parameters)


def named(name: bytes, *parameters: bytes) -> bytes:
    """The same without the Parse."""
    return frontend.bind(b"", name, parameters=parameters) + FINISH


ONE = b"select 'one'"
ORDINARY = [
    pytest.param([], unnamed(ONE), id="parsed"),
    pytest.param([], unnamed(b"select $1::text", b"x" * 300), id="parsed, with a parameter"),
    pytest.param([], unnamed(b"select generate_series(1, 3)"), id="parsed, of several rows"),
    pytest.param([frontend.query(b"begin")], unnamed(ONE), id="parsed in a transaction"),
    pytest.param([frontend.parse(b"a", ONE) + frontend.sync()], named(b"a"), id="named"),
    pytest.param([], frontend.query(ONE), id="a query"),
    pytest.param([unnamed(ONE)], frontend.query(b"select generate_series(1, 3)"), id="of several"),
    pytest.param([frontend.query(b"begin")], frontend.query(ONE), id="a query in a transaction"),
]


@pytest.mark.parametrize(("before", "request_"), ORDINARY)
def test_an_ordinary_request_is_taken_at_once(before: list[bytes], request_: bytes) -> None:
    world = World([])
    for said in [*before, unnamed(b"select generate_series(1, 3)"), request_]:
        world.says(said)

    assert take_request(world.relay, world.state, request_)
    answer = world.server.feed(world.relay.to_server.take())
    assert take_answer(world.relay, world.state, answer)
    assert not world.state.pipeline.owed
    assert world.relay.to_client.take() == answer


SPECIAL = [
    pytest.param([], unnamed(b"select 'new'"), id="a text nobody knows"),
    pytest.param([], unnamed(b"set application_name = 'me'"), id="it sets something"),
    pytest.param([frontend.query(b"set datestyle = 'ISO, YMD'")], named(b"b"), id="no such name"),
    pytest.param([frontend.parse(b"t", b"begin") + frontend.sync()], named(b"t"), id="begin"),
    pytest.param(
        [frontend.parse(b"t", b"deallocate a") + frontend.sync()], named(b"t"), id="about a name"
    ),
    pytest.param(
        [frontend.parse(b"", ONE) + frontend.flush()], unnamed(ONE), id="in an open segment"
    ),
    pytest.param(
        [frontend.parse(b"", b"selec") + frontend.flush()], unnamed(ONE), id="after a failure"
    ),
    pytest.param([frontend.query(b"copy sink from stdin")], unnamed(ONE), id="in a copy"),
    pytest.param([frontend.query(b"begin; selec")], unnamed(ONE), id="in a failed transaction"),
    pytest.param([], frontend.bind(b"c", b"a") + FINISH, id="a portal with a name"),
    pytest.param([], unnamed(ONE) + unnamed(ONE), id="two of them"),
    pytest.param([], frontend.sync() + unnamed(ONE), id="a Sync in front"),
    pytest.param([], unnamed(ONE)[:-5] + frontend.flush(), id="no Sync at the end"),
    pytest.param([], frontend.query(b""), id="an empty query"),
    pytest.param([], frontend.query(b"selec"), id="a query that fails"),
    pytest.param([], frontend.query(ONE + b"; " + ONE), id="a query of two commands"),
    pytest.param([], frontend.query(b"begin"), id="a query that begins a transaction"),
    pytest.param([], frontend.query(b"prepare q as select 1"), id="a query that prepares"),
    pytest.param([], frontend.query(b"set application_name = 'me'"), id="a query that sets"),
    pytest.param([], frontend.query(b"copy sink from stdin"), id="a query that copies"),
    pytest.param([frontend.query(b"begin; selec")], frontend.query(ONE), id="a query in vain"),
    pytest.param([], frontend.query(ONE) + frontend.query(ONE), id="two queries"),
    pytest.param(
        [frontend.parse(b"", b"selec") + frontend.flush()],
        frontend.query(ONE),
        id="a query after a failure",
    ),
    pytest.param([frontend.parse(b"", ONE)], frontend.query(ONE), id="a query behind a Parse"),
]


@pytest.mark.parametrize(("before", "request_"), SPECIAL + ORDINARY)
@pytest.mark.parametrize("cut", [1, 7, 40, -1, -6])
def test_it_is_as_if_it_had_come_in_pieces(before: list[bytes], request_: bytes, cut: int) -> None:
    whole, pieces = World([]), World([])
    for said in [unnamed(ONE), *before]:
        assert whole.says(said) == pieces.says(said)
    pieces.cuts = [cut]

    assert whole.says(request_) == pieces.says(request_)

    assert whole.books() == pieces.books()
    assert whole.sent == pieces.sent


_requests = st.builds(
    unnamed, st.sampled_from([text.encode() for text in NAMED_TEXTS]), st.just(b"x")
)
_requests |= st.builds(named, st.sampled_from([name.encode() for name in NAMES]), st.just(b"x"))
_requests |= st.builds(frontend.query, st.sampled_from([text.encode() for text in NAMED_TEXTS]))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    script=scripts(length=4),
    requests=st.lists(_requests, min_size=1, max_size=4),
    cut=st.integers(-25, -1),
)
@example(script=[Segment(0, frontend.query(b"begin"))], requests=[unnamed(b"selec")] * 2, cut=-3)
def test_so_it_is_after_any_conversation(
    script: list[Segment], requests: list[bytes], cut: int
) -> None:
    whole, pieces = World([]), World([])
    for segment in script:
        assert whole.says(segment.data) == pieces.says(segment.data)
    pieces.cuts = [cut]

    for request in requests:
        assert whole.says(request) == pieces.says(request)
        assert whole.books() == pieces.books()
    assert whole.sent == pieces.sent
