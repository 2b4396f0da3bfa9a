"""Data for a COPY passes in runs of messages, and what ends a run is seen all the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolViolation
from protocol.framing import length_limits
from protocol.frontend import copy_data, copy_done, copy_fail, flush, query, sync
from tests.model.relayed import ModelPool
from tests.model.server import ModelServer
from trio_pool.conform.replies import replies_in
from trio_pool.relay import Relay, take_from_client

COPY = query(b"copy sink from stdin")
WIDTHS = st.integers(0, 40) | st.integers(240, 270)
# So many lines of one width, and what a server ignores while it copies.
DATA = st.lists(
    st.tuples(WIDTHS, st.integers(1, 60)).map(
        lambda group: copy_data(b"x" * group[0] + b"\n") * group[1]
    )
    | st.sampled_from([sync(), flush()]),
    max_size=4,
).map(b"".join)
ENDS = st.sampled_from([copy_done(), copy_fail(b"no"), copy_done() + copy_data(b"late\n")])


def copying() -> Relay:
    """The relay of a client to whom the server has said that it is ready for data."""
    pool = ModelPool(clients=1, backends=1)
    pool.says(0, COPY)
    return pool.clients[0].relay


@settings(deadline=None)
@given(DATA, ENDS, st.lists(st.integers(0, 2_000), max_size=4))
def test_what_is_copied_arrives_wherever_it_is_cut(
    data: bytes, end: bytes, choices: list[int]
) -> None:
    pool, server = ModelPool(1, 1, choices), ModelServer()
    for said in (COPY, data + end, query(b"select 'one'")):
        assert replies_in(pool.says(0, said)) == replies_in(server.feed(said))


@settings(deadline=None)
@given(DATA, st.lists(st.integers(1, 700), max_size=6))
def test_all_data_reaches_the_server_as_it_came(data: bytes, sizes: list[int]) -> None:
    relay, passed = copying(), b""
    expected = data.replace(sync(), b"").replace(flush(), b"")
    for size in [*sizes, len(data)]:
        take_from_client(relay, data[:size])
        passed += relay.to_server.take()
        data = data[size:]
    assert not relay.to_client
    assert passed == expected


@pytest.mark.parametrize("lines", [0, 1, 20, 200])
def test_a_line_above_the_limit_is_refused_behind_those_that_are_not(lines: int) -> None:
    relay = copying()
    relay.pool.lengths_max = length_limits(600)
    lawful = copy_data(b"a line\n") * lines
    with pytest.raises(ProtocolViolation, match="max_packet_size"):
        take_from_client(relay, lawful + copy_data(b"x" * 600) + copy_done())
    assert relay.to_server.take() == lawful


@pytest.mark.parametrize("lines", [1, 20, 200])
def test_data_that_nobody_copies_is_kept_from_the_server(lines: int) -> None:
    pool = ModelPool(clients=1, backends=1)
    pool.says(0, query(b"begin"))
    relay = pool.clients[0].relay
    take_from_client(relay, copy_data(b"a line\n") * lines)
    assert not relay.to_server
