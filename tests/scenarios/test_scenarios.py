"""Through the pool, every script shows each client what a direct connection shows it.

The expectation is never written down: it is what the server answers on direct connections, one
per client. `still` has one backend and nothing else going on; `noise` has one backend and a
client that uses the same names for other things; `rotation` makes every step of a client at rest
meet another backend; `eviction` does that with room for two statements on each; `trickle` sends
three bytes at a time.
"""

from __future__ import annotations

import functools
from typing import Final

import attrs
import pytest
import trio

from tests.conftest import StartPool
from tests.support.raw import RawClient
from tests.support.scrubber import what_is_left
from trio_pool.conform import world
from trio_pool.conform.adversaries import Noise, Rotation
from trio_pool.conform.client import Client
from trio_pool.conform.compare import Seen, first_difference, never_ends, resolved
from trio_pool.conform.play import Adversary, Connect, Nobody, seen
from trio_pool.conform.report import to_paste
from trio_pool.conform.script import Script
from trio_pool.conform.scripts.catalogue import SCRIPTS
from trio_pool.embedded import LocalServer
from trio_pool.proof import Door

pytestmark = pytest.mark.postgres

DATABASE: Final = "scenarios"
MODES: Final = ("still", "noise", "rotation", "eviction", "trickle")


@attrs.define
class Stage:
    """The server, and the expectations found so far."""

    postgres: LocalServer
    _expected: dict[str, Seen] = attrs.field(init=False, factory=dict)

    def door(self, host: str, port: int) -> Door:
        user, password = self.postgres.user, self.postgres.password
        return Door(host=host, port=port, user=user, password=password, database=DATABASE)

    @property
    def direct(self) -> Door:
        return self.door(self.postgres.host, self.postgres.port)

    def play(self, script: Script, door: Door, mode: str = "still", chunk: int = 0) -> Seen:
        """Play in a database made anew; what everyone saw, and what the tables hold then."""
        return trio.run(self._play, script, door, mode, chunk)

    async def _play(self, script: Script, door: Door, mode: str, chunk: int) -> Seen:
        connect = functools.partial(Client.open, door, chunk=chunk)
        admin = await Client.open(self.direct)
        adversary = adversary_for(mode, script, connect)
        try:
            return await seen(script, connect, admin, adversary)
        finally:
            if isinstance(adversary, Rotation | Noise):
                await adversary.dismiss()
            admin.close()

    def expected(self, script: Script) -> Seen:
        """What direct connections show. Asked of the server once per script."""
        if script.title not in self._expected:
            self._expected[script.title] = self.play(script, self.direct)
        return self._expected[script.title]

    def raw(self, host: str, port: int) -> RawClient:
        user, password = self.postgres.user, self.postgres.password
        return RawClient((host, port), user=user, password=password, database=DATABASE)


@pytest.fixture(scope="module")
def stage(postgres: LocalServer) -> Stage:
    stage = Stage(postgres)

    async def prepare() -> None:
        root = await Client.open(attrs.evolve(stage.direct, database=postgres.database))
        await world.create_database(root, DATABASE)
        root.close()
        admin = await Client.open(stage.direct)
        await world.take_over(admin)
        admin.close()

    trio.run(prepare)
    return stage


@pytest.fixture(params=SCRIPTS, ids=lambda script: script.title)
def script(request: pytest.FixtureRequest) -> Script:
    found = request.param
    assert isinstance(found, Script)
    return found


def test_a_script_shows_the_same_twice_on_direct_connections(script: Script, stage: Stage) -> None:
    expected = stage.expected(script)
    again = stage.play(resolved(script, expected), stage.direct)

    assert_same(expected, again, script)
    assert not never_ends(again), "a step never ended"


@pytest.mark.parametrize("mode", MODES)
def test_a_script_shows_through_the_pool_what_it_shows_directly(
    script: Script, mode: str, stage: Stage, pool: StartPool, request: pytest.FixtureRequest
) -> None:
    if script.gap:
        # Why not strict: a gap need not show in every mode.
        request.applymarker(pytest.mark.xfail(reason=script.gap, strict=False))
    expected = stage.expected(script)
    size = script.at_once * (2 if mode in ("rotation", "eviction") else 1)
    limit = 2 if mode == "eviction" else 200
    running = pool(default_pool_size=size, max_prepared_statements=limit)
    door = stage.door(running.host, running.port)

    through = stage.play(
        resolved(script, expected), door, mode, chunk=3 if mode == "trickle" else 0
    )

    assert_same(expected, through, script)
    with stage.raw(stage.postgres.host, stage.postgres.port) as admin:
        assert what_is_left(stage.raw(running.host, running.port), admin) == []


def adversary_for(mode: str, script: Script, connect: Connect) -> Adversary:
    if mode in ("rotation", "eviction"):
        return Rotation(connect, script.at_once)
    return Noise(connect) if mode == "noise" else Nobody()


def assert_same(expected: Seen, through: Seen, script: Script) -> None:
    """Fails with the first difference, and the script up to it."""
    difference = first_difference(script, expected, through)
    if difference is not None:
        pytest.fail(to_paste(difference))
