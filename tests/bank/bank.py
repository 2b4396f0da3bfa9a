"""Tellers, killers and an auditor over one pool and one server of our own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from typing import Final

import attrs
import trio

from tests.bank.books import SUM, TELLER, TENANTS, open_books, recorded, total, wrong_balances
from tests.bank.teller import PATIENCE_SECONDS, Ledger, Teller
from tests.support.pooler import RunningPool, config_for, running_pool
from trio_pool.conform.client import Client, QueryFailed, Refused
from trio_pool.embedded import LocalServer, local_postgres
from trio_pool.proof import Door

PASSWORD: Final = "in the vault"
# What is lost with the server's memory must not have been acknowledged.
_DURABLE: Final[dict[str, str | int]] = {"synchronous_commit": "on", "max_connections": 60}
_BACKEND_KILL_SECONDS: Final = 0.3
_SERVER_KILLS: Final = 4

_ONE_BACKEND: Final = (
    f"select pid from pg_stat_activity where usename = '{TELLER}' order by random() limit 1"
)
_CHECKPOINTER: Final = "select pid from pg_stat_activity where backend_type = 'checkpointer'"


@attrs.frozen
class Plan:
    """How big, how long, and which seed."""

    seconds: float
    clients: int = 200
    backends: int = 10
    seed: int = 1


@attrs.define
class Report:
    """What came of it."""

    ledger: Ledger
    backends_killed: int = 0
    servers_killed: int = 0
    audits: int = 0
    recorded: int = 0

    @property
    def findings(self) -> list[str]:
        """What must not be."""
        return self.ledger.findings

    def __str__(self) -> str:
        ledger = self.ledger
        return (
            f"{ledger.begun} transfers begun, {len(ledger.acknowledged)} acknowledged,"
            f" {self.recorded} recorded, {ledger.looks} looks, {self.audits} audits;"
            f" killed: {self.backends_killed} backends, {ledger.deaths} clients,"
            f" {self.servers_killed} times the server; {ledger.losses} connections lost;"
            f" {len(self.findings)} findings"
        )


def play(plan: Plan) -> Report:
    """All of it, with a server and a pool that are gone afterwards."""
    with local_postgres(settings=_DURABLE) as postgres:
        config = config_for(
            postgres,
            users={TELLER: PASSWORD},
            pool_mode="transaction",
            default_pool_size=plan.backends,
            # After a crash the server is back within a second or two.
            server_login_retry=1,
        )
        with running_pool(config, postgres) as running:
            return trio.run(_Bank(plan, postgres, running).open)


@attrs.define
class _Bank:
    plan: Plan
    postgres: LocalServer
    running: RunningPool
    report: Report = attrs.field(factory=lambda: Report(Ledger()))
    closing: trio.Event = attrs.field(factory=trio.Event)

    async def open(self) -> Report:
        root = await self._root()
        await open_books(root, PASSWORD)
        await root.say_goodbye()
        choice = random.Random(self.plan.seed)
        async with trio.open_nursery() as nursery:
            for number in range(self.plan.clients):
                own = random.Random(choice.random())
                door = attrs.evolve(
                    self._door,
                    host=self.running.host,
                    port=self.running.port,
                    user=TELLER,
                    password=PASSWORD,
                )
                teller = Teller(door, number % TENANTS, self.report.ledger, own, self.closing)
                nursery.start_soon(teller.work)
            with trio.move_on_after(self.plan.seconds):
                await self._kill_and_audit(choice)
            self.closing.set()
        await self._close()
        return self.report

    @property
    def _door(self) -> Door:
        server = self.postgres
        return Door(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=server.database,
        )

    async def _root(self) -> Client:
        while True:
            with contextlib.suppress(Refused):
                return await Client.open(self._door, patience=PATIENCE_SECONDS)
            await trio.lowlevel.checkpoint()

    async def _kill_and_audit(self, choice: random.Random) -> None:
        """Until cancelled; the server is killed some times, evenly spread."""
        next_crash = trio.current_time() + self.plan.seconds / (_SERVER_KILLS + 1)
        while True:
            root = await self._root()
            try:
                # The server may be gone at any moment, also by our own hand.
                with contextlib.suppress(QueryFailed, ValueError, ProcessLookupError):
                    await self._audit(root)
                    while trio.current_time() < next_crash:
                        await trio.sleep(choice.random() * 2 * _BACKEND_KILL_SECONDS)
                        await self._kill_backend(root)
                        await self._audit(root)
                    next_crash += self.plan.seconds / (_SERVER_KILLS + 1)
                    ((pid,),) = await root.rows(choice.choice((_CHECKPOINTER, _ONE_BACKEND)))
                    os.kill(int(pid or 0), signal.SIGKILL)
                    self.report.servers_killed += 1
            finally:
                root.close()

    async def _kill_backend(self, root: Client) -> None:
        found = await root.rows(f"select pg_terminate_backend(pid) from ({_ONE_BACKEND}) s")
        self.report.backends_killed += len(found)

    async def _audit(self, root: Client) -> None:
        found = await total(root)
        self.report.audits += 1
        if found != SUM:
            self.report.findings.append(f"the sum is {found} instead of {SUM}")

    async def _close(self) -> None:
        """Compare the books with what was acknowledged, and look at the pool."""
        root, report = await self._root(), self.report
        await self._audit(root)
        kept = await recorded(root)
        report.recorded = len(kept)
        missing = report.ledger.acknowledged - kept
        if missing:
            report.findings.append(f"acknowledged and lost: {sorted(missing)[:9]}")
        if wrong := await wrong_balances(root):
            report.findings.append(f"{wrong} balances are not what the transfers say")
        await root.say_goodbye()
        with trio.move_on_after(PATIENCE_SECONDS) as patience:
            while left := self._left_in_the_pool():
                await trio.lowlevel.checkpoint()
        if patience.cancelled_caught:
            report.findings.append(f"left in the pool: {left}")

    def _left_in_the_pool(self) -> list[str]:
        server = self.running.serving.server
        left = [f"{len(server.clients)} clients"] if server.clients else []
        left += [f"{len(server.sessions)} sessions"] if server.sessions else []
        for pool in server.pools.values():
            busy = len(pool.backends) - len(pool.idle) - len(pool.unchecked)
            if busy or pool.waiting or pool.opening:
                left.append(f"{busy} busy, {len(pool.waiting)} waiting, {pool.opening} opening")
            counted = server.caps.by_user.get(pool.user, 0)
            if counted != len(pool.backends):
                left.append(f"{counted} backends counted, {len(pool.backends)} there")
        return left
