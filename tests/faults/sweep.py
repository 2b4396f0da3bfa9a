"""One conversation, one fault, one byte: what each run must show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs
import trio

from tests.faults.conversations import Conversation
from tests.faults.proxy import Direction, Fault, Plan
from tests.faults.world import PATIENCE_SECONDS, Broken, World
from trio_pool.conform.client import Client, Refused
from trio_pool.conform.normalise import normalised
from trio_pool.conform.replies import CLOSED, Reply, field
from trio_pool.errors import BackendLost
from trio_pool.pool import closing

SIDES: Final = ("client", "server")
# A fault after which everything goes on.
HARMLESS: Final = (Fault.PAUSE, Fault.TRICKLE)
# The janitor's clock is moved on by this much, so that a server that was lost is tried again.
_RETRY_SECONDS: Final = 1.0
# Why not each time: what a run leaves on a backend is still there some runs later.
_LOOK_EVERY: Final = 5

Sizes = Mapping[tuple[str, Direction], int]


@attrs.frozen
class Case:
    """A fault of a kind at a byte, on one side of the pool and in one direction."""

    side: str
    direction: Direction
    fault: Fault
    offset: int

    def __str__(self) -> str:
        return (
            f"{self.fault.value} at byte {self.offset} {self.direction.value},"
            f" between pool and {self.side}"
        )


def cases(sizes: Sizes, stride: int, first: int = 0) -> Iterator[Case]:
    """Every fault at every `stride`th byte of what an undisturbed run has carried."""
    for (side, direction), size in sizes.items():
        yield Case(side, direction, Fault.TRICKLE, 0)
        for offset in range(first % stride, size, stride):
            for fault in Fault:
                if fault is not Fault.TRICKLE:
                    yield Case(side, direction, fault, offset)


def sample(sizes: Sizes, number: int) -> Iterator[Case]:
    """Few of these cases, others for each `number`: two on each side in each direction."""
    kinds = list(Fault)
    for turn, ((side, direction), size) in enumerate(sizes.items()):
        for half in range(2):
            fault = kinds[(number + turn * 2 + half) % len(kinds)]
            yield Case(side, direction, fault, (number * 61 + half * size // 2) % max(size, 1))


@attrs.define
class Outcome:
    """What the client saw, and whether the fault's byte came at all."""

    seen: list[Reply] = attrs.field(factory=list)
    refused: bool = False
    struck: bool = False

    @property
    def replies(self) -> tuple[Reply, ...]:
        return normalised(self.seen)


@attrs.define
class Sweep:
    """Plays one conversation again and again."""

    world: World
    conversation: Conversation
    expected: tuple[Reply, ...] = ()
    turns: int = 0
    _carried: Sizes = attrs.field(factory=dict)
    # The bystander says one thing at a time.
    _asking: trio.Lock = attrs.field(factory=trio.Lock)

    async def undisturbed(self) -> Sizes:
        """Play it without a fault: what is to be expected, and how many bytes it takes."""
        self.expected = (await self._play(None)).replies
        # Why once more: the first time, the backends learn its statements.
        again = await self._play(None)
        if again.replies != self.expected:
            raise Broken(f"it does not show the same twice: {self.expected} {again.replies}")
        return self._carried

    async def run(self, case: Case) -> bool:
        """Play it with a fault. Raises Broken; returns whether the fault's byte came."""
        outcome = await self._play(case)
        self._check(case, outcome)
        return outcome.struck

    def _proxy(self, side: str):  # type: ignore[no-untyped-def]
        return self.world.client_side if side == "client" else self.world.server_side

    async def _play(self, case: Case | None) -> Outcome:
        world, outcome = self.world, Outcome()
        self.turns += 1
        if self.conversation.opens:
            closing.renew(world.pool)
        await world.bystander.rows("begin")
        world.server_side.spare(world.held_by(world.bystander).wire.sock.getsockname()[1])  # type: ignore[attr-defined]
        if self.conversation.opens:
            for backend in list(world.pool.idle):
                world.pool.discard(backend)
        plan = Plan(case.fault, case.direction, case.offset) if case else None
        begun = None if self.conversation.login is not None else await self._client(None)
        for side in SIDES:
            self._proxy(side).arm(plan if case and case.side == side else None)
        async with trio.open_nursery() as nursery:
            if plan is not None:
                nursery.start_soon(self._meanwhile, plan)
            await self._converse(begun, outcome)
            # Why inside: the fault may hit what the pool asks after the client has left.
            async with self._asking:
                await world.bystander.rows("commit")
            await world.until_at_rest()
            nursery.cancel_scope.cancel()
        self._carried = {
            (side, direction): self._proxy(side).carried[direction]
            for side in SIDES
            for direction in Direction
        }
        for side in SIDES:
            self._proxy(side).arm(None)
        if self.turns % _LOOK_EVERY == 0 or case is None:
            await world.look()
            await world.until_at_rest()
        outcome.struck = plan is not None and plan.struck.is_set()
        return outcome

    async def _client(self, parameters: Mapping[str, str] | None) -> Client:
        door = self.world.door(self.world.client_side.port)
        return await Client.open(door, parameters, patience=PATIENCE_SECONDS)

    async def _converse(self, begun: Client | None, outcome: Outcome) -> None:
        try:
            client = begun or await self._client(self._parameters())
        except Refused:
            outcome.refused = True
            return
        for said, awaited in self.conversation.steps:
            outcome.seen += await client.ask(said, awaited)
            if outcome.seen[-1] == CLOSED:
                break
        client.close()

    def _parameters(self) -> Mapping[str, str]:
        """Others each time: a set of settings is tried only once."""
        return {
            name: f"{1000 + self.turns}kB" if value.endswith("MB") else value
            for name, value in (self.conversation.login or {}).items()
        }

    async def _meanwhile(self, plan: Plan) -> None:
        """The bystander goes on while the fault lasts."""
        await plan.struck.wait()
        async with self._asking:
            if await self.world.bystander.rows("select 'well'") != [("well",)]:
                raise Broken("the bystander noticed")
        if plan.fault in (Fault.STALL, Fault.PAUSE):
            await trio.testing.wait_all_tasks_blocked()
            plan.end()
        self.world.clock.jump(_RETRY_SECONDS)

    def _check(self, case: Case, outcome: Outcome) -> None:
        seen = list(outcome.replies)
        # What broke may be the connection that listens for the client, who is told and goes on.
        told = [reply for reply in seen if not (reply[0] == "N" and ("C", "01T01") in reply)]
        whole = tuple(told) == self.expected and not outcome.refused
        if case.fault in HARMLESS or not outcome.struck:
            if not whole:
                raise Broken(f"expected {self.expected}, saw {seen}")
            return
        if whole or outcome.refused and self.conversation.login is not None:
            return
        if not seen or seen.pop() != CLOSED:
            raise Broken(f"the client was not closed: {outcome.replies}")
        if seen and seen[-1][0] == "E" and field(seen[-1], "S") == "FATAL":
            if field(seen.pop(), "C") != BackendLost.sqlstate:
                raise Broken(f"the client was told the wrong thing: {outcome.replies}")
        if tuple(seen) != self.expected[: len(seen)]:
            raise Broken(f"not a beginning of {self.expected}: {outcome.replies}")
