"""Whatever one client sends, it alone is concerned.

A hostile client is answered or closed; meanwhile another one works, and the backends keep
nothing of it. After the login the comparison is with what the server itself does.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import attrs
import pytest

from tests.support.hostile import AFTER_LOGIN, BEFORE_LOGIN, UNFINISHED
from tests.support.pooler import RunningPool, config_for, running_pool
from tests.support.raw import RawClient
from tests.support.scrubber import what_is_left
from trio_pool.conform.normalise import normalised
from trio_pool.conform.replies import CLOSED, SILENT, Reply, field
from trio_pool.conform.words import SYNC, query
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

READ_SECONDS = 10.0
ALIVE: Reply = ("D", b"alive")


@attrs.define
class Scene:
    """One pool for all hostile clients, and an honest client that stays."""

    postgres: LocalServer
    pool: RunningPool
    honest: RawClient
    admin: RawClient

    def client(self, host: str, port: int) -> RawClient:
        return RawClient((host, port), user=self.postgres.user, password=self.postgres.password)

    def check_that_all_is_well(self) -> None:
        """The honest client works, a new one can log in, and nothing hostile is left."""
        assert self.honest.rows("select 'well'") == [("well",)]
        newcomer = self.client(self.pool.host, self.pool.port)
        assert newcomer.rows("select 'welcome'") == [("welcome",)]
        assert what_is_left(newcomer, self.admin) == []


@pytest.fixture(scope="module")
def scene(postgres: LocalServer) -> Iterator[Scene]:
    config = config_for(postgres, pool_mode="transaction", default_pool_size=2)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(running_pool(config, postgres))

        def client(host: str, port: int) -> RawClient:
            address = host, port
            there = RawClient(address, user=postgres.user, password=postgres.password)
            return stack.enter_context(there)

        honest = client(running.host, running.port)
        yield Scene(postgres, running, honest, client(postgres.host, postgres.port))


@pytest.mark.parametrize("what", BEFORE_LOGIN)
def test_a_stranger_that_sends(what: str, scene: Scene) -> None:
    said = said_to_a_stranger((scene.pool.host, scene.pool.port), BEFORE_LOGIN[what])

    assert b"\0VFATAL\0" in said or b"ERROR" not in said
    # Nobody got in: ReadyForQuery was never said.
    assert not said.endswith(b"Z\0\0\0\5I")
    scene.check_that_all_is_well()


@pytest.mark.parametrize("what", AFTER_LOGIN)
def test_a_client_that_sends(what: str, scene: Scene) -> None:
    directly = said_to_a_client(
        scene.client(scene.postgres.host, scene.postgres.port), AFTER_LOGIN[what]
    )
    pooled = said_to_a_client(scene.client(scene.pool.host, scene.pool.port), AFTER_LOGIN[what])

    assert without_last_words(pooled) == without_last_words(directly)
    scene.check_that_all_is_well()


@pytest.mark.parametrize("what", UNFINISHED)
def test_a_client_that_leaves_behind(what: str, scene: Scene) -> None:
    with scene.client(scene.pool.host, scene.pool.port) as leaver:
        leaver.send(UNFINISHED[what])

    scene.check_that_all_is_well()


@pytest.mark.hard_case(185)
def test_many_strangers_at_once_leave_room_for_an_honest_client(scene: Scene) -> None:
    address = scene.pool.host, scene.pool.port
    with contextlib.ExitStack() as stack:
        for number in range(100):
            stranger = stack.enter_context(socket.create_connection(address))
            stranger.sendall(b"\0\0\0\x20\0\3\0\0"[: 1 + number % 8])

        scene.check_that_all_is_well()
    scene.check_that_all_is_well()


def said_to_a_stranger(address: tuple[str, int], data: bytes) -> bytes:
    """All that the peer says before it closes; the stranger itself has nothing more to say."""
    said = b""
    with socket.create_connection(address, timeout=READ_SECONDS) as stranger:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while more := stranger.recv(65536):
                said += more
    return said


def said_to_a_client(client: RawClient, data: bytes) -> tuple[Reply, ...]:
    """All that the client is told, up to the answer to a last question or the end."""
    client.send(data + SYNC + query("select 'alive'"))
    replies: list[Reply] = []
    deadline = time.monotonic() + READ_SECONDS
    while not replies or replies[-1] not in (ALIVE, CLOSED, SILENT):
        replies.append(client.receive_one(deadline))
    client.close()
    return normalised(replies)


def without_last_words(replies: tuple[Reply, ...]) -> list[Reply]:
    """FATAL messages may differ or be missing: the connection is over all the same."""
    return [reply for reply in replies if not (reply[0] == "E" and field(reply, "V") == "FATAL")]
