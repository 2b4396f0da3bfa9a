"""A bug of ours, wherever it is: one client at most is told so, and nobody else notices.

An exception is raised by the first, the second, the third... call of a function while a client
goes through a conversation, until the conversation has no more such calls. Each time the client
must be closed or have been served to the end, another one goes on in its transaction, the log
has the traceback, and what the pool counts is afterwards what it was before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import attrs
import pytest
import trio
import trio.testing

import trio_pool.janitor
import trio_pool.session.releasing
import trio_pool.session.session
from protocol.form import is_compiled
from tests.faults.world import World, world
from trio_pool.conform.client import Client, Refused
from trio_pool.conform.replies import CLOSED, SILENT, Reply, field
from trio_pool.conform.words import COPY_DONE, SYNC, data, parse, query, run
from trio_pool.embedded import LocalServer
from trio_pool.login import Login
from trio_pool.pool import Pool
from trio_pool.server.clients import Clients
from trio_pool.session import Session
from trio_pool.wire import Wire

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted there"),
]

Given = ParamSpec("Given")
Result = TypeVar("Result")

STEPS: Final = (
    query("select 1"),
    query("begin; create temp table mine (a int)"),
    parse("s", "select $1::text") + run("s", "x") + SYNC,
    query("copy mine from stdin") + data("1\n") + COPY_DONE,
    query("rollback; set search_path = pg_catalog"),
    run("s", "y") + SYNC,
)
# The janitor's clock is moved on by this much, so that what it does is done.
_ROUND_SECONDS: Final = 1.0
# The most calls of one function that a conversation makes; more would be a loop.
_CALLS_MAX: Final = 200


class Planted(Exception):
    """What no part of the pool expects."""


@attrs.define
class Bug:
    """Raises at the call that it is set for, once; 0: never. Not while it is `asleep`."""

    at: int = 0
    calls: int = 0
    asleep: bool = True

    def set_for(self, at: int) -> None:
        self.at, self.calls, self.asleep = at, 0, False

    @property
    def struck(self) -> bool:
        return 0 < self.at <= self.calls

    def call(self) -> None:
        if self.asleep:
            return
        self.calls += 1
        if self.calls == self.at:
            raise Planted(f"call {self.at}")


def planted(bug: Bug, function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function with the bug in it."""

    def buggy(*args: Given.args, **more: Given.kwargs) -> Result:
        bug.call()
        return function(*args, **more)

    return buggy


# Who has the bug, and where: functions that a session, its pool, its wires, its login and the
# janitor call, by the names under which they call them. Not among them are the last that are
# called when all else has failed: what gives a backend up, closes a wire and strikes a client off.
PLACES: Final = (
    *((trio_pool.session.session, name) for name in ("take_from_client", "take_from_server")),
    *((trio_pool.session.session, name) for name in ("attach", "release")),
    *((trio_pool.session.releasing, name) for name in ("detach", "ask_what_is_left")),
    *((trio_pool.session.releasing, name) for name in ("settle_pins", "hand_on")),
    (Session, "send"),
    *((Pool, name) for name in ("lend_idle", "give_back", "rest")),
    *((Wire, name) for name in ("put", "read")),
    *((Login, name) for name in ("on_bytes", "_advance")),
    (Clients, "seat"),
    (trio_pool.janitor, "tend"),
)


async def converse(there: World) -> list[Reply] | None:
    """What the client is told, until it is closed; None if it was not let in."""
    seen: list[Reply] = []
    try:
        client = await Client.open(there.door(there.pool_port), patience=10.0)
    except Refused:
        return None
    for said in STEPS:
        seen += await client.ask(said)
        if seen[-1] in (CLOSED, SILENT):
            break
    client.close()
    return seen


async def every_call(there: World, bug: Bug) -> int:
    """Converse again and again, with the bug at one call later each time; how often it struck."""
    for at in range(1, _CALLS_MAX):
        await there.bystander.rows("begin")
        bug.set_for(at)
        seen = await converse(there)
        there.clock.jump(_ROUND_SECONDS)
        await trio.testing.wait_all_tasks_blocked()
        bug.asleep = True
        check(bug, seen, there.complaints)
        there.complaints.clear()
        assert await there.bystander.rows("select 'well'") == [("well",)]
        await there.bystander.rows("commit")
        there.clock.jump(_ROUND_SECONDS)
        await there.until_at_rest()
        if at % 5 == 0:
            await there.look()
        if not bug.struck:
            return at - 1
    raise AssertionError("it never came to an end")


def check(bug: Bug, seen: list[Reply] | None, complaints: list[str]) -> None:
    if not bug.struck:
        assert seen is not None and seen[-1] == ("Z", "I"), seen
        assert not complaints
        return
    assert complaints, f"nobody was told of call {bug.at}"
    if seen is None or seen[-1] == ("Z", "I"):
        return
    assert seen[-1] == CLOSED, f"call {bug.at}: the client waits for ever: {seen}"
    last = [reply for reply in seen if reply[0] == "E" and field(reply, "S") == "FATAL"]
    assert [field(reply, "C") for reply in last] in ([], ["XX000"], ["08006"]), (bug.at, last)


@pytest.mark.skipif(is_compiled(), reason="functions that are compiled cannot be exchanged")
@pytest.mark.parametrize(
    "place", PLACES, ids=[f"{getattr(p, '__name__', p)}.{name}" for p, name in PLACES]
)
def test_a_bug_anywhere_concerns_one_client(
    place: tuple[object, str], postgres: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = Bug()
    owner, name = place
    monkeypatch.setattr(owner, name, planted(bug, getattr(owner, name)))

    assert play(postgres, bug) > 0, "the conversation never came by"


def play(postgres: LocalServer, bug: Bug) -> int:
    clock = trio.testing.MockClock(rate=1.0)

    async def scene() -> int:
        async with world(postgres, clock, server_login_retry=0) as there:
            return await every_call(there, bug)

    return trio.run(scene, clock=clock)
