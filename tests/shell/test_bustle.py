"""The pool keeps the loop to itself for as long as Trio has nothing to do, and no longer."""

from __future__ import annotations

import select
import sys
import threading

import pytest
import trio

from trio_pool.bustle import told_of_others, trios_descriptor
from trio_pool.switchboard import Switchboard

PATIENCE_SECONDS = 60


def nothing() -> None:
    """What the thread wants of the loop."""


@pytest.mark.skipif(sys.platform != "linux", reason="Trio shows it on Linux only")
async def test_what_trio_waits_for_is_seen_without_trio() -> None:
    token = trio.lowlevel.current_trio_token()
    descriptor = trios_descriptor()
    assert descriptor is not None, "Trio hides it elsewhere now"
    await trio.lowlevel.checkpoint()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)

    before = poll.poll(0)
    thread = threading.Thread(target=token.run_sync_soon, args=(nothing,))
    thread.start()
    after = poll.poll(PATIENCE_SECONDS * 1000)
    thread.join()

    assert not before
    assert [fd for fd, _ in after] == [descriptor]


async def test_a_task_is_known_from_when_it_is_to_run_until_it_does() -> None:
    seen: list[bool] = []

    async def other() -> None:
        seen.append(trio.lowlevel.current_task() in others)

    with told_of_others() as others:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            seen.append(len(others) == 1)

    assert seen == [True, False]
    assert not others


async def test_tasks_timeouts_and_threads_have_their_turn_beside_a_switchboard() -> None:
    switchboard = Switchboard(dedicated=True)
    happened: list[str] = []

    async def sleeper() -> None:
        await trio.sleep(0.01)
        happened.append("a timeout")

    async def caller() -> None:
        happened.append(await trio.to_thread.run_sync(lambda: "a thread"))

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switchboard.run)
            async with trio.open_nursery() as inner:
                inner.start_soon(sleeper)
                inner.start_soon(caller)
            nursery.cancel_scope.cancel()
    switchboard.close()

    assert sorted(happened) == ["a thread", "a timeout"]
