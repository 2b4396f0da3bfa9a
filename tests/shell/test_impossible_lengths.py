"""Messages of lengths that no message has, sent to the server itself and to a pool before it.

PostgreSQL closes on most of them without a word; in a COPY it says more, and in a login less.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

import pytest

from protocol import frontend, startup
from protocol.framing import LARGE_BYTES_MAX, SMALL_BYTES_MAX
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, config_for, running_pool
from tests.support.raw import RawClient
from trio_pool.conform.replies import CLOSED, Reply
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS: Final = 60.0
# Where in its sources a server says something.
_PLACES: Final = frozenset("FLR")


def header(tag: bytes, length: int) -> bytes:
    return tag + struct.pack("!I", length & 0xFFFFFFFF)


QUERY = header(b"Q", 3)
COPY: Final = frontend.query(b"create temp table t (a int); copy t from stdin")
MUCH_DATA: Final = frontend.copy_data(b"1\n") * 1000

AFTER_LOGIN: Final = {
    "nothing at all": [header(b"Q", 0)],
    "less than its own length": [QUERY],
    "a negative one": [header(b"P", -1)],
    "more than a server has room for": [header(b"B", LARGE_BYTES_MAX + 1)],
    "a Sync with an essay": [header(b"S", SMALL_BYTES_MAX + 1)],
    "a Terminate with an essay": [header(b"X", SMALL_BYTES_MAX + 1)],
    "a Describe with an essay": [header(b"D", SMALL_BYTES_MAX + 1)],
    "a CopyDone with an essay, outside of a COPY": [header(b"c", SMALL_BYTES_MAX + 1)],
    "CopyData outside of a COPY": [header(b"d", 3)],
    "a password": [header(b"p", 3)],
    "no message at all": [header(b"z", 3)],
    "behind a query": [frontend.query(b"select 1") + QUERY],
    "behind a query and before another": [
        frontend.query(b"select 1") + QUERY + frontend.query(b"select 2")
    ],
    "in a transaction": [frontend.query(b"begin"), QUERY],
    "in a failed transaction": [frontend.query(b"begin; select 1/0"), QUERY],
    "behind a Parse without a Sync": [frontend.parse(b"", b"select 1", ()) + QUERY],
    "CopyData in a COPY": [COPY, header(b"d", 3)],
    "CopyData of two gigabytes in a COPY": [COPY, header(b"d", 0x7FFFFFFF) + b"1\n" * 1000],
    "CopyData of nothing behind much of it": [COPY, MUCH_DATA + header(b"d", 3) + MUCH_DATA],
    "no message at all behind much CopyData": [COPY, MUCH_DATA + header(b"z", 4) + MUCH_DATA],
    "CopyDone in a COPY": [COPY, header(b"c", SMALL_BYTES_MAX + 1)],
    "a Sync in a COPY": [COPY, header(b"S", SMALL_BYTES_MAX + 1)],
    "a query in a COPY": [COPY, QUERY],
    "no message at all in a COPY": [COPY, header(b"z", 4)],
    "the first byte of none in a COPY": [COPY, b"z"],
}


@pytest.fixture(scope="module")
def running(postgres: LocalServer) -> Iterator[RunningPool]:
    config = config_for(postgres, pool_mode="transaction")
    with running_pool(config, postgres) as started:
        yield started


def told(place: RunningPool | LocalServer, steps: list[bytes]) -> list[Reply]:
    """Everything a client is told; the last of `steps` is followed by the end."""
    replies: list[Reply] = []
    with RawClient(
        (place.host, place.port),
        user=place.user,
        password=place.password,
        database=place.database,
        patience=PATIENCE_SECONDS,
    ) as client:
        for step in steps[:-1]:
            replies += client.ask(step, until="G" if step == COPY else "Z")
        replies += client.ask(steps[-1], until="closed")
    return [without_places(reply) for reply in replies]


def without_places(reply: Reply) -> Reply:
    if reply[0] != "E":
        return reply
    return (
        "E",
        *(pair for pair in reply[1:] if isinstance(pair, tuple) and pair[0] not in _PLACES),
    )


@pytest.mark.parametrize("what", AFTER_LOGIN)
def test_a_client_hears_what_a_server_says_to(
    what: str, running: RunningPool, postgres: LocalServer
) -> None:
    steps = AFTER_LOGIN[what]
    expected = told(postgres, steps)
    assert expected[-1] == CLOSED

    assert told(running, steps) == expected
    # Nobody else has noticed.
    assert told(running, [frontend.query(b"select 1"), frontend.terminate()]) == told(
        postgres, [frontend.query(b"select 1"), frontend.terminate()]
    )


def said_to(place: RunningPool | LocalServer, *packets: bytes) -> bytes:
    """Everything a stranger is told who waits for an answer between its packets."""
    said = b""
    with socket.create_connection((place.host, place.port), PATIENCE_SECONDS) as stranger:
        for packet in packets[:-1]:
            stranger.sendall(packet)
            said += stranger.recv(65536)
        stranger.sendall(packets[-1])
        while more := stranger.recv(65536):
            said += more
    return said


@pytest.mark.parametrize("length", [0, 3, 4, 7, 10_005, 2**31 - 1, 2**32 - 1])
def test_a_startup_packet_is_not_answered(
    length: int, running: RunningPool, postgres: LocalServer
) -> None:
    packet = struct.pack("!I", length) + b"\0\3\0"

    assert said_to(postgres, packet) == said_to(running, packet) == b""


@pytest.mark.parametrize("length", [0, 3, 70_000, 2**31 - 1])
def test_a_proof_is_a_wrong_one(length: int, running: RunningPool, postgres: LocalServer) -> None:
    login = startup.startup_message([(b"user", postgres.user.encode())])

    for place in (postgres, running):
        said = said_to(place, login, header(b"p", length))
        assert b"C28P01\0Mpassword authentication failed for user" in said


def test_what_is_no_proof_is_called_so(running: RunningPool, postgres: LocalServer) -> None:
    login = startup.startup_message([(b"user", postgres.user.encode())])

    for place in (postgres, running):
        said = said_to(place, login, header(b"Q", 3))
        assert b"C08P01\0Mexpected SASL response, got message type 81\0" in said


def test_a_password_is_not_answered(pool: StartPool) -> None:
    """So libpq/auth.c (recv_password_packet): whoever sends none is taken to have left."""
    running = pool(auth_type="plain")
    login = startup.startup_message([(b"user", running.user.encode())])

    for length in (3, 65_536):
        assert said_to(running, login, header(b"p", length)) == b"R\0\0\0\x08\0\0\0\x03"
