"""Invariant: a client's names never reach a server, and the pool's never reach a client.

Whatever clients say, and however it is cut: whatever stands prepared on a backend has a name of
the pool's, no byte that a client is told holds the pool's prefix, and nothing but
ProtocolViolation or an Ending is raised. The last is true as well of a server that says
anything at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol import backend
from protocol.errors import ProtocolViolation
from protocol.tags import BackendTag
from tests.model.relayed import ModelPool
from tests.model.strategies import scripts
from tests.support.messages import BACKEND_MESSAGES, FRONTEND_MESSAGES
from trio_pool.conform.random_scripts import Segment
from trio_pool.conform.words import COPY_DONE, SYNC, parse, query, run
from trio_pool.errors import Ending
from trio_pool.relay import Relay, attach, detach, proceed, take_from_client, take_from_server

CLIENTS: Final = 2
PREFIX: Final = b"_tp_test_"

# Client and server in turn: who says what. None for bytes of the client that begin a new lease.
Wild = list[tuple[bool, bytes]]
Case = tuple[list[Segment], list[int], int] | Wild

_names = st.sampled_from([b"a", b"_tp_test_1", b"_tp_test_0", b"_tp_test_zz", b"\xff", b"n" * 70])
_said = st.one_of(
    FRONTEND_MESSAGES.map(lambda message: message.encode()),
    st.builds(lambda name: parse(name, ";"), _names),
    st.builds(lambda name: query(b"execute " + name), _names),
    st.binary(max_size=6),
)
_heard = st.one_of(
    BACKEND_MESSAGES.map(lambda message: message.encode()),
    st.sampled_from(
        [
            *(b"1\0\0\0\4", b"2\0\0\0\4", b"3\0\0\0\4", b"n\0\0\0\4", b"s\0\0\0\4"),
            *(backend.ready_for_query(), backend.ready_for_query(ord("E"))),
            backend.command_complete(b"DEALLOCATE ALL"),
            backend.error_response("ERROR", "26000", 'prepared statement "_tp_test_1" is gone'),
        ]
    ),
    st.binary(max_size=6),
)
wild: st.SearchStrategy[Wild] = st.lists(
    st.booleans().flatmap(lambda says: st.tuples(st.just(says), _said if says else _heard)),
    max_size=12,
)
tame = st.tuples(
    scripts(clients=CLIENTS),
    st.lists(st.integers(0, 30), max_size=12),
    st.sampled_from([1, 2, 200]),
)
cases: st.SearchStrategy[Case] = tame | wild
"""Conversations with model servers in the pool's place, and noise in both directions."""


def check(case: Case) -> None:
    """Raise AssertionError if the invariant does not hold for this conversation."""
    if isinstance(case, tuple):
        _check_tame(*case)
    else:
        _check_wild(case)


def _check_tame(script: list[Segment], choices: list[int], statements_max: int) -> None:
    pool = ModelPool(CLIENTS, CLIENTS + 1, choices, statements_max)
    for segment in script:
        told = pool.says(segment.client, segment.data)
        assert PREFIX not in told, told
        for each in pool.backends:
            names = each.server.statement_names
            assert all(name.startswith(PREFIX) for name in names), names


def _check_wild(turns: Wild) -> None:
    pool = ModelPool(1, 1)
    relay, state = pool.clients[0].relay, pool.backends[0].state
    try:
        for says, data in turns:
            if says:
                take_from_client(relay, data)
            elif relay.backend is not None:
                take_from_server(relay, data)
            if relay.resume:
                proceed(relay)
            if relay.wants_backend and relay.backend is None:
                attach(relay, state)
            _check_told(relay)
            if relay.backend is not None and relay.releasable:
                detach(relay)
            if relay.goodbye or relay.server_gone:
                return
    except (ProtocolViolation, Ending):
        return


def _check_told(relay: Relay) -> None:
    """Reports are in the client's words; what else a wild server says is its own business."""
    relay.to_server.clear()
    for piece in (relay.to_client.first or b"", *(relay.to_client.others or ())):
        if piece[:1] == bytes([BackendTag.ERROR]):
            # Rows may follow it in one piece, and hold what they like.
            report = piece[: 1 + int.from_bytes(piece[1:5], "big")]
            # A name of the pool's goes on behind its prefix.
            assert not any(rest[:1].isalnum() for rest in report.split(PREFIX)[1:]), report
    relay.to_client.clear()


def read(data: bytes) -> Case:
    """Pieces: a byte that says who speaks (and how much), and what is said."""
    turns: Wild = []
    while data:
        length = data[0] >> 1
        turns.append((not data[0] & 1, data[1 : 1 + length]))
        data = data[1 + length :]
    return turns


def seeds() -> Iterator[bytes]:
    """Small conversations: prepared by Parse and by PREPARE, a failure, a copy."""
    z = backend.ready_for_query()
    for turns in (
        [(0, parse("a", "select 1") + run("a") + SYNC), (1, b"1\0\0\0\4t\0\0\0\6\0\0n\0\0\0\4")],
        [(0, query("prepare a as select 1; execute a")), (1, backend.command_complete(b"PREPARE"))],
        [(0, query("begin")), (1, backend.command_complete(b"BEGIN")), (1, z)],
        [(0, query("copy t from stdin")), (1, b"G\0\0\0\7\0\0\0"), (0, COPY_DONE), (1, z)],
        [(0, parse("", "deallocate a") + run("") + SYNC), (1, b"1\0\0\0\4"), (1, z)],
    ):
        yield b"".join(bytes([len(said) << 1 | side]) + said for side, said in turns)


TARGET: Final = Target(cases, check, read, seeds)

if __name__ == "__main__":
    fuzz(TARGET)
