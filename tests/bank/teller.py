"""A client of the bank: transfers within its tenant, looks at what it can see, is killed."""

from __future__ import annotations

import random
from typing import Final

import attrs
import trio

from tests.bank.books import ACCOUNTS_EACH
from trio_pool.conform.client import Client, Refused
from trio_pool.conform.replies import CLOSED, Reply, field
from trio_pool.conform.words import SYNC, parse, query, run
from trio_pool.proof import Door

PATIENCE_SECONDS: Final = 120.0
# One transfer in so many ends with the client's death, within so many seconds of its beginning.
_DEATHS: Final = 40
_LIFE_SECONDS: Final = 0.05

# What a teller may be told by a server that is being killed; everything else is a finding.
_EXPECTED: Final = frozenset({"57P01", "57P02", "57P03", "08006", "40P01", "57014"})

_STATEMENTS: Final = (
    parse("take", "update accounts set balance = balance - $1::bigint where id = $2::int")
    + parse("give", "update accounts set balance = balance + $1::bigint where id = $2::int")
    + parse(
        "note", "insert into transfers values ($1::bigint, $2::int, $3::int, $4::int, $5::bigint)"
    )
    + parse("look", "select distinct tenant from accounts union select tenant from transfers")
    + SYNC
)


class Lost(Exception):
    """The client's connection is over, one way or another."""


@attrs.define
class Ledger:
    """What all tellers together have seen."""

    acknowledged: set[int] = attrs.field(factory=set)
    begun: int = 0
    looks: int = 0
    deaths: int = 0
    losses: int = 0
    findings: list[str] = attrs.field(factory=list)

    def number(self) -> int:
        """A number for one more transfer."""
        self.begun += 1
        return self.begun


@attrs.define
class Teller:
    """One client, again and again connected, until the bank closes."""

    door: Door
    tenant: int
    ledger: Ledger
    choice: random.Random
    closing: trio.Event
    _client: Client | None = None

    async def work(self) -> None:
        """Until the bank closes."""
        while not self.closing.is_set():
            try:
                client = self._client or await self._enter()
                self._client = client
                await self._serve(client)
            except (Lost, Refused, OSError) as lost:
                self._note_refusal(lost)
                self.ledger.losses += 1
                self._leave()
                await trio.lowlevel.checkpoint()
        if self._client is not None:
            await self._client.say_goodbye()

    def _note_refusal(self, lost: Exception) -> None:
        if isinstance(lost, Refused) and lost.sqlstate not in {"", *_EXPECTED}:
            self.ledger.findings.append(f"refused: {lost.sqlstate} {lost}")

    async def _enter(self) -> Client:
        client = await Client.open(self.door, patience=PATIENCE_SECONDS)
        try:
            await self._ask(client, query(f"set app.tenant = '{self.tenant}'"))
            await self._ask(client, _STATEMENTS)
        except BaseException:
            client.close()
            raise
        return client

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.reset()

    async def _serve(self, client: Client) -> None:
        if self.choice.randrange(_DEATHS) == 0:
            with trio.move_on_after(self.choice.random() * _LIFE_SECONDS):
                await self._transfer(client)
            self.ledger.deaths += 1
            self._leave()
        elif self.choice.randrange(4) == 0:
            await self._look(client)
        else:
            await self._transfer(client)

    async def _look(self, client: Client) -> None:
        replies = await self._ask(client, run("look") + SYNC)
        seen = {reply[1] for reply in replies if reply[0] == "D"}
        if seen - {b"%d" % self.tenant}:
            self.ledger.findings.append(f"tenant {self.tenant} saw rows of {seen}")
        self.ledger.looks += 1

    async def _transfer(self, client: Client) -> None:
        first = self.tenant * ACCOUNTS_EACH
        # In one order, so that tellers do not wait for each other in a circle.
        low, high = sorted(self.choice.sample(range(first, first + ACCOUNTS_EACH), 2))
        amount = self.choice.randint(-9, 9)
        number = self.ledger.number()
        one, two, sum_ = str(low), str(high), str(amount)
        await self._ask(client, query("begin"))
        replies = await self._ask(client, run("take", sum_, one) + run("give", sum_, two) + SYNC)
        note = run("note", str(number), str(self.tenant), one, two, sum_) + SYNC
        replies += await self._ask(client, note)
        tags = [reply[1] for reply in replies if reply[0] == "C"]
        done = tags == ["UPDATE 1", "UPDATE 1", "INSERT 0 1"]
        last = await self._ask(client, query("commit"))
        if ("C", "COMMIT") in last:
            if not done:
                self.ledger.findings.append(f"transfer {number} of {self.tenant}: {replies}")
            self.ledger.acknowledged.add(number)

    async def _ask(self, client: Client, said: bytes) -> list[Reply]:
        """Raises Lost."""
        replies = await client.ask(said)
        for reply in replies:
            if reply[0] == "E" and field(reply, "C") not in {*_EXPECTED, "25P02"}:
                self.ledger.findings.append(f"tenant {self.tenant} was told {reply}")
        if replies[-1] == CLOSED:
            raise Lost
        if replies[-1][0] != "Z":
            self.ledger.findings.append(f"tenant {self.tenant} waited in vain: {replies}")
            raise Lost
        return replies
