"""Other clients that get in the way while a script's clients are at rest."""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.conform.client import Client, Refused
from trio_pool.conform.play import Connect
from trio_pool.conform.replies import Reply, letters
from trio_pool.conform.script import Join, Step
from trio_pool.conform.words import SYNC, bind, close, describe, execute, parse, query


class Harmed(Exception):
    """A client that had nothing to do with the script was told what it should not have been."""


@attrs.define
class Rotation:
    """Takes away the backends that the script used last, so that the next step gets others.

    The pool has at least twice as many backends as the script can hold. To rotate, a second crew
    of holders begins transactions, which must get the backends that are free, and then the first
    crew lets go. It outlives a script, as logging in takes time.
    """

    connect: Connect
    backends: int
    turns: int = attrs.field(init=False, default=0)
    _crews: tuple[list[Client], list[Client]] = attrs.field(init=False, factory=lambda: ([], []))
    _held: bool = attrs.field(init=False, default=False)

    async def before(self, step: Step) -> None:
        if isinstance(step, Join):
            return
        taking, letting = self._crews[self.turns % 2], self._crews[(self.turns + 1) % 2]
        while len(taking) < self.backends:
            taking.append(await _connected(self.connect))
        await _tell_all(taking, query("begin"), "could not take a backend")
        if self._held:
            await _tell_all(letting, query("rollback"), "could not let go of its backend")
        self._held = True
        self.turns += 1

    async def close(self) -> None:
        if self._held:
            self._held = False
            for holder in self._crews[(self.turns + 1) % 2]:
                await holder.ask(query("rollback"))

    async def dismiss(self) -> None:
        """The holders go home; the next turn connects others."""
        self._held = False
        for crew in self._crews:
            for holder in crew:
                await holder.say_goodbye()
            crew.clear()


@attrs.define
class Noise:
    """Uses the very names that scripts use, for other things, on the backend they share."""

    connect: Connect
    _maker: Client | None = attrs.field(init=False, default=None)
    turns: int = attrs.field(init=False, default=0)

    async def before(self, step: Step) -> None:
        if isinstance(step, Join):
            return
        if self._maker is None:
            self._maker = await _connected(self.connect)
            await _tell(self._maker, _ONCE, "1 1 Z", "could not prepare its statements")
        said, expected = _AGAIN[self.turns % len(_AGAIN)]
        await _tell(self._maker, said, expected, "was not answered as usual")
        self.turns += 1

    async def close(self) -> None:
        """It stays for the next script."""

    async def dismiss(self) -> None:
        """The noise maker goes home."""
        maker, self._maker = self._maker, None
        if maker is not None:
            await maker.say_goodbye()


@attrs.define
class Both:
    """Noise first, then rotation: what the noise left behind is not taken away at once."""

    noise: Noise
    rotation: Rotation

    async def before(self, step: Step) -> None:
        await self.noise.before(step)
        await self.rotation.before(step)

    async def close(self) -> None:
        await self.rotation.close()


async def _connected(connect: Connect) -> Client:
    try:
        return await connect({})
    except Refused as refusal:
        raise Harmed(f"another client could not log in: {refusal}") from refusal


async def _tell_all(clients: list[Client], data: bytes, trouble: str) -> None:
    """The same for several at once, who each hear of one command."""
    for client in clients:
        await client.send(data)
    for client in clients:
        _expect(await client.receive(), "C Z", trouble)


async def _tell(client: Client, data: bytes, expected: str, trouble: str) -> None:
    _expect(await client.ask(data), expected, trouble)


def _expect(replies: list[Reply], expected: str, trouble: str) -> None:
    if letters(replies) != expected:
        raise Harmed(f"another client {trouble}: {letters(replies)} {_errors(replies)}".strip())


def _errors(replies: list[Reply]) -> str:
    return " ".join(str(reply) for reply in replies if reply[0] == "E")


_ONCE: Final = parse("s", "select 'noise'") + parse("a", "select $1::text || 'noise'") + SYNC
# What the noise maker says in turn, and the letters it expects.
_AGAIN: Final = (
    (bind("s") + execute() + bind("a", "x") + execute() + SYNC, "2 D C 2 D C Z"),
    (parse("", "select 'unnamed noise'") + describe("") + SYNC, "1 t T Z"),
    (query("prepare b as select 'sql noise'; execute b; deallocate b"), "C T D C C Z"),
    (
        close("s") + parse("s", "select 'noise again'") + bind("s") + execute() + SYNC,
        "3 1 2 D C Z",
    ),
    (query("set search_path = other"), "C Z"),
)
