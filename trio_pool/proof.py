"""The visible proof: many clients' prepared statements on a few shared backends.

Every client prepares statements under the same names as all the others and with texts of its
own, then executes them in transactions that land on whichever backend is free. Each answer
says which client and statement it belongs to, so that a mix-up cannot pass unseen; it also
says on which backend it was given.
"""

from __future__ import annotations

import random
from typing import Final

import attrs
import trio

from trio_pool.probe import Answer, open_probe

CLIENTS: Final = 8
STATEMENTS_EACH: Final = 5
EXECUTIONS_EACH: Final = 100


@attrs.frozen(kw_only=True)
class Door:
    """Where clients connect to, and who they are.

    `host` may be a directory of unix sockets; `sslmode` and `sslrootcert` are libpq's.
    """

    host: str
    port: int
    user: str
    password: str | None = attrs.field(repr=False)
    database: str
    sslmode: str = "disable"
    sslrootcert: str = ""


@attrs.define
class Tally:
    """What all clients together have seen."""

    prepared: int = 0
    executions: int = 0
    wrong_answers: int = 0
    errors: list[str] = attrs.field(factory=list)
    backends: set[bytes] = attrs.field(factory=set)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every statement was prepared and every answer was the right one."""
        expected = (CLIENTS * STATEMENTS_EACH, CLIENTS * EXECUTIONS_EACH)
        flawless = not self.errors and not self.wrong_answers
        return flawless and (self.prepared, self.executions) == expected


async def prove(door: Door) -> Tally:
    """Let all clients work at once. Raises OSError when the pool cannot be reached."""
    tally = Tally()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for client in range(CLIENTS):
            nursery.start_soon(_client, door, client, tally)
    tally.seconds = trio.current_time() - began
    return tally


async def _client(door: Door, client: int, tally: Tally) -> None:
    # Why seeded: every run asks the same questions, whatever order the backends come in.
    choice = random.Random(client)
    async with open_probe(
        door.host, door.port, user=door.user, password=door.password, database=door.database
    ) as probe:
        for statement in range(STATEMENTS_EACH):
            name, text = f"s{statement}", _text(client, statement)
            _note_error(await probe.prepare(name, text), tally)
            tally.prepared += 1
        for turn in range(EXECUTIONS_EACH):
            statement = choice.randrange(STATEMENTS_EACH)
            answer = await probe.execute(f"s{statement}", [str(turn)])
            _check(answer, f"{client}/{statement}/{turn}", tally)


def _text(client: int, statement: int) -> str:
    return f"select '{client}/{statement}/' || $1::text, pg_backend_pid()"


def _check(answer: Answer, expected: str, tally: Tally) -> None:
    _note_error(answer, tally)
    tally.executions += 1
    match answer.rows:
        case ((said, bytes() as backend),) if said == expected.encode():
            tally.backends.add(backend)
        case _:
            tally.wrong_answers += 1


def _note_error(answer: Answer, tally: Tally) -> None:
    if answer.error is not None:
        message = answer.error.get("M") or b"an error without a message"
        tally.errors.append(message.decode(errors="replace"))
