"""Nothing arrives any more and nobody says so: every wait ends all the same.

A proxy swallows the bytes; the test moves the clock on, so that no test waits for a timeout.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import pytest
import trio
import trio.testing

from tests.faults.proxy import Direction, Fault, Plan
from tests.faults.world import PATIENCE_SECONDS, World, until, world
from trio_pool.conform.client import Client, Refused
from trio_pool.conform.replies import CLOSED, Reply, field
from trio_pool.conform.words import data, query
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

DAY_SECONDS = 86_400.0

Scene = Callable[[World], Awaitable[None]]


class Play(Protocol):
    """Plays a scene in a world with these settings."""

    def __call__(self, scene: Scene, **settings: str | float) -> None: ...


@pytest.fixture
def play(postgres: LocalServer) -> Play:
    """A function that plays scenes."""

    def play(scene: Scene, **settings: str | float) -> None:
        clock = trio.testing.MockClock(rate=1.0)

        async def run() -> None:
            async with world(postgres, clock, **settings) as there:
                await scene(there)

        trio.run(run, clock=clock)

    return play


async def guest(there: World) -> Client:
    """A client past the proxy."""
    return await Client.open(there.door(there.client_side.port), patience=PATIENCE_SECONDS * 9)


async def swallow(there: World, side: str, direction: Direction) -> Plan:
    """From now on nothing passes there, but for what the bystander says and hears."""
    await there.bystander.rows("begin")
    held = there.held_by(there.bystander)
    there.server_side.spare(held.wire.sock.getsockname()[1])  # type: ignore[attr-defined]
    plan = Plan(Fault.STALL, direction, 0)
    (there.server_side if side == "server" else there.client_side).arm(plan)
    return plan


async def recovers(there: World) -> None:
    """The bystander has noticed nothing, the hole is gone, and so is all that fell into it."""
    assert await there.bystander.rows("select 'well'") == [("well",)]
    await there.bystander.rows("commit")
    for side in (there.client_side, there.server_side):
        if side.plan is not None and side.plan.link is not None:
            side.plan.end()
        side.arm(None)
    there.complaints.clear()
    await there.until_at_rest()
    await there.look()


def code(replies: list[Reply]) -> str | None:
    """The SQLSTATE of the last words, after which the connection is closed."""
    assert replies[-1] == CLOSED, replies
    return field(replies[-2], "C")


@pytest.mark.hard_case(156)
def test_a_query_that_is_never_answered_ends_with_query_timeout(play: Play) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        plan = await swallow(there, "server", Direction.DOWN)
        await client.send(query("select 1"))
        await plan.struck.wait()
        there.clock.jump(100)

        assert code(await client.receive("closed")) == "57014"
        client.close()
        await recovers(there)

    play(scene, query_timeout=60)


@pytest.mark.hard_case(186)
def test_a_server_that_never_answers_the_login_ends_with_query_wait_timeout(
    play: Play,
) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        plan = await swallow(there, "server", Direction.DOWN)
        for backend in list(there.pool.idle):
            there.pool.discard(backend)
        await client.send(query("select 1"))
        await plan.struck.wait()
        # First the attempt is given up (server_connect_timeout) and another one begins.
        there.clock.jump(20)
        await until(lambda: there.pool.failure is not None, lambda: "it still waits")
        assert client.plain.fileno() >= 0 and len(there.pool.waiting) == 1
        there.clock.jump(200)

        assert code(await client.receive("closed")) == "53300"
        client.close()
        await recovers(there)

    play(scene)


@pytest.mark.hard_case(156)
def test_a_backend_that_does_not_answer_the_check_is_never_lent(
    play: Play,
) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        plan = await swallow(there, "server", Direction.DOWN)
        there.clock.jump(100)
        pool = there.pool
        await until(lambda: not pool.idle, lambda: "nobody doubts the backend")
        await client.send(query("select 'served'"))
        await plan.struck.wait()
        # The hole has swallowed one link; another one is new, and answers.
        there.server_side.plan = None
        there.clock.jump(20)

        assert ("D", b"served") in await client.receive("Z")
        await client.say_goodbye()
        there.server_side.plan = plan
        await recovers(there)

    play(scene)


@pytest.mark.hard_case(192)
def test_a_client_that_fell_silent_in_its_transaction_loses_it_and_not_the_backend(
    play: Play,
) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        await client.rows("begin")
        plan = Plan(Fault.STALL, Direction.UP, 0)
        there.client_side.arm(plan)
        await client.send(query("commit"))
        await plan.struck.wait()
        there.clock.jump(100)
        pool = there.pool
        await until(
            lambda: all(backend.holder is None for backend in pool.backends),
            lambda: "it is still lent",
        )
        plan.end()
        client.close()
        await there.bystander.rows("begin")
        await recovers(there)

    play(scene, idle_transaction_timeout=60)


def test_a_client_that_never_finishes_its_login_is_dismissed(play: Play) -> None:
    async def scene(there: World) -> None:
        plan = Plan(Fault.STALL, Direction.UP, 9)
        there.client_side.arm(plan)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_refused, there)
            await plan.struck.wait()
            await until(lambda: len(there.serving.server.lobby) == 1, lambda: "nobody came")
            there.clock.jump(100)
            await until(lambda: not there.serving.server.lobby, lambda: "it still waits")
            plan.end()
        await there.bystander.rows("begin")
        await recovers(there)

    play(scene)


async def _refused(there: World) -> None:
    with pytest.raises(Refused):
        await guest(there)


def test_a_cancel_request_that_is_lost_is_said_again_and_its_backend_is_lent_no_more(
    play: Play,
) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        await client.send(query("select pg_sleep(60)"))
        pool = there.pool
        await until(lambda: len(pool.idle) < len(pool.backends), lambda: "nobody works")
        (held,) = [backend for backend in pool.backends if backend.holder is not None]
        # Only links to come: the query's own is left alone.
        for link in there.server_side.links:
            link.spared = True
        plan = Plan(Fault.STALL, Direction.UP, 0)
        there.server_side.arm(plan)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.cancel)
            await plan.struck.wait()
            there.clock.jump(20)
        replies = await client.receive("Z")
        assert [field(reply, "C") for reply in replies if reply[0] == "E"] == ["57014"]
        await client.say_goodbye()
        # The lost one may still arrive, and would hit whoever comes next.
        await until(lambda: held not in pool.backends, lambda: "it may be lent again")
        plan.end()
        for link in there.server_side.links:
            link.spared = False
        await there.bystander.rows("begin")
        await recovers(there)

    play(scene)


def test_a_clock_that_jumps_harms_nobody(play: Play) -> None:
    """A machine that was asleep for a day finds its clients where they were."""

    async def scene(there: World) -> None:
        client = await guest(there)
        await client.rows("begin")
        for _ in range(3):
            there.clock.jump(DAY_SECONDS)
            assert await client.rows("select 'still there'") == [("still there",)]
        await client.rows("commit")
        # Those backends are too old by now, and are replaced.
        there.clock.jump(DAY_SECONDS)
        assert await client.rows("select 'served'") == [("served",)]
        await client.say_goodbye()
        await there.bystander.rows("begin")
        await recovers(there)

    play(scene)


@attrs.frozen
class _Reader:
    """A client that asks for far more than it will ever read."""

    title: str
    said: bytes


@pytest.mark.parametrize(
    "reader",
    [
        _Reader("rows", query("select repeat('x', 1000000) from generate_series(1, 10000)")),
        _Reader(
            "copy",
            query("copy (select repeat('x', 99999) from generate_series(1, 99999)) to stdout"),
        ),
        _Reader("one row", query("select repeat('x', 50000000)")),
    ],
    ids=lambda reader: reader.title,
)
@pytest.mark.hard_case(191)
def test_ten_gigabytes_for_a_client_that_never_reads_take_no_room(
    play: Play, reader: _Reader
) -> None:
    async def scene(there: World) -> None:
        client = await there.client()
        await client.send(reader.said)
        pool = there.pool

        def blocked() -> bool:
            return any(backend.holder and not backend.wire.reading for backend in pool.backends)

        await until(blocked, lambda: "the server is still read from")
        unsent = [s.wire.unsent_bytes for s in there.serving.server.sessions.values()]
        # What may be unsent, and one reading of the server beyond it.
        assert max(unsent) <= 2 * 262_144 + 65_536
        assert await there.bystander.rows("select 'well'") == [("well",)]
        client.reset()
        await there.bystander.rows("begin")
        await recovers(there)

    play(scene)


def test_a_server_that_does_not_read_takes_no_room(play: Play) -> None:
    async def scene(there: World) -> None:
        client = await guest(there)
        await client.ask(query("copy faulted (t) from stdin"), "G")
        plan = await swallow(there, "server", Direction.UP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.ask, 500 * data("x" * 99_999 + "\n"), "closed")
            await plan.struck.wait()
            sessions = there.serving.server.sessions.values()
            await until(
                lambda: any(not session.wire.reading for session in sessions),
                lambda: "the client is still read from",
            )
            unsent = [backend.wire.unsent_bytes for backend in there.pool.backends]
            assert max(unsent) <= 2 * 262_144 + 65_536
            plan.end()
        client.close()
        await recovers(there)

    play(scene)
