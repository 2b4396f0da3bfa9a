"""Play a script and write down what each client saw.

The same script is played on direct connections, whose trace is the expectation, and through the
pooler with an adversary that moves backends around while the script's clients are at rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from trio_pool.conform.client import Client, Refused
from trio_pool.conform.compare import Line, Seen
from trio_pool.conform.normalise import normalised
from trio_pool.conform.replies import Reply
from trio_pool.conform.script import Await, Cancel, Join, Leave, Meanwhile, Say, Script, Step
from trio_pool.conform.words import query
from trio_pool.conform.world import contents, make_anew

Connect = Callable[[dict[str, str]], Awaitable[Client]]

AWAIT_SECONDS: Final = 5.0


class Adversary(Protocol):
    """Something that happens between the steps of a script."""

    async def before(self, step: Step) -> None:
        """Called before every step while no client of the script needs its backend."""

    async def close(self) -> None:
        """Called when the script has ended."""


class Nobody:
    """No adversary at all."""

    async def before(self, step: Step) -> None:
        return

    async def close(self) -> None:
        return


Goodbye = Callable[[Client], Awaitable[list[Reply]]]


async def seen(script: Script, connect: Connect, admin: Client, adversary: Adversary) -> Seen:
    """Play in a database made anew; what everyone saw, and what the tables hold then."""
    await make_anew(admin)
    trace = await play(script, connect, admin, adversary)
    return Seen(trace, (await contents(admin)).rows)


async def play(
    script: Script,
    connect: Connect,
    admin: Client,
    adversary: Adversary,
    goodbye: Goodbye = Client.say_goodbye,
) -> tuple[Line, ...]:
    """Play all steps, say goodbye for everyone still there, and return the trace."""
    clients: dict[int, Client] = {}
    lines: list[Line] = []
    pinned = False
    try:
        for number, step in enumerate(script.steps):
            if not pinned and all(client.at_rest for client in clients.values()):
                await adversary.before(step)
            pinned = pinned or (isinstance(step, Say) and step.pins)
            replies = await _take(step, clients, connect, admin)
            lines += _line(number, step, clients, replies)
        for index in sorted(clients):
            replies = await goodbye(clients[index])
            del clients[index]
            lines.append(Line(len(script.steps), index, normalised(replies), ()))
    finally:
        with trio.CancelScope(shield=True):
            await adversary.close()
        for client in clients.values():
            client.close()
    return tuple(lines)


def _line(number: int, step: Step, clients: dict[int, Client], replies: list[Reply]) -> list[Line]:
    if isinstance(step, Await | Meanwhile):
        return [Line(number, -1, normalised(replies), ())]
    if not isinstance(step, Say | Join):
        return []
    client = clients.get(step.client)
    parameters = () if client is None else tuple(sorted(client.parameters.items()))
    return [Line(number, step.client, normalised(replies), parameters)]


async def _take(
    step: Step, clients: dict[int, Client], connect: Connect, admin: Client
) -> list[Reply]:
    match step:
        case Say(index, data, until):
            if index not in clients:
                refused = await _join(index, {}, clients, connect)
                if refused:
                    return refused
            return await clients[index].ask(data, until)
        case Join(index, parameters):
            return await _join(index, dict(parameters), clients, connect)
        case Leave(index, reset):
            leaver = clients.pop(index, None)
            if leaver is not None:
                leaver.reset() if reset else leaver.close()
        case Cancel(index):
            if index in clients:
                await clients[index].cancel()
        case Meanwhile(sql):
            return await admin.ask(query(sql))
        case Await(sql):
            return await _await(sql, admin)
    return []


async def _join(
    index: int, parameters: dict[str, str], clients: dict[int, Client], connect: Connect
) -> list[Reply]:
    """Connect a client (again); what it was told when it was refused."""
    if index in clients:
        clients.pop(index).close()
    try:
        clients[index] = await connect(parameters)
    except Refused as refusal:
        return [("refused", refusal.sqlstate, str(refusal))]
    return []


async def _await(sql: str, admin: Client) -> list[Reply]:
    deadline = trio.current_time() + AWAIT_SECONDS
    while await admin.rows(sql) != [("t",)]:
        if trio.current_time() > deadline:
            return [("never",)]
    return [("true",)]
