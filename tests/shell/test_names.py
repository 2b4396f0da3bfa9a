"""Names of servers: how long an answer holds, and what happens when a name leads elsewhere.

What the system's resolver says is put into its mouth by the hook that Trio has for that.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from tests.support.pooler import config_for
from trio_pool import server
from trio_pool.config import Database, settings_from
from trio_pool.embedded import LocalServer
from trio_pool.pool import closing
from trio_pool.probe import open_probe
from trio_pool.resolver import Resolver

NAME = "db.example"
Found = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]]


class Directory(trio.abc.HostnameResolver):
    """Says one answer after the other, the last one for ever; an empty one is an error."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Found:
        self.asked += 1
        await trio.sleep(1)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]

    async def getnameinfo(self, sockaddr: tuple[str, int], flags: int) -> tuple[str, str]:
        raise NotImplementedError


@pytest.fixture
def directory() -> Iterator[Directory]:
    """Begins with one address for every name."""
    yield Directory(("127.0.0.1",))


async def test_an_answer_holds_for_its_time_and_is_asked_for_once(
    autojump_clock: trio.testing.MockClock, directory: Directory
) -> None:
    trio.socket.set_custom_hostname_resolver(directory)
    resolver, settings = Resolver(), settings_from(dns_max_ttl=15)
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(resolver.addresses, NAME, settings)
    assert directory.asked == 1

    await trio.sleep(14)
    assert await resolver.addresses(NAME, settings) == ("127.0.0.1",)
    assert directory.asked == 1
    await trio.sleep(1)
    await resolver.addresses(NAME, settings)
    assert directory.asked == 2


async def test_that_there_is_no_such_name_holds_for_a_time_of_its_own(
    autojump_clock: trio.testing.MockClock, directory: Directory
) -> None:
    directory.answers = [(), ("127.0.0.1",)]
    trio.socket.set_custom_hostname_resolver(directory)
    resolver, settings = Resolver(), settings_from(dns_nxdomain_ttl=3)
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await resolver.addresses(NAME, settings)
    assert directory.asked == 1

    await trio.sleep(3)
    assert await resolver.addresses(NAME, settings) == ("127.0.0.1",)


async def test_whoever_asks_is_not_held_up_by_one_who_gave_up(
    autojump_clock: trio.testing.MockClock, directory: Directory
) -> None:
    trio.socket.set_custom_hostname_resolver(directory)
    resolver, settings = Resolver(), settings_from()

    async def gives_up() -> None:
        with trio.move_on_after(0.5):
            await resolver.addresses(NAME, settings)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gives_up)
        await trio.testing.wait_all_tasks_blocked()
        assert await resolver.addresses(NAME, settings) == ("127.0.0.1",)


async def test_addresses_are_no_names_and_names_are_not_kept_for_ever(
    autojump_clock: trio.testing.MockClock, directory: Directory
) -> None:
    trio.socket.set_custom_hostname_resolver(directory)
    resolver, settings = Resolver(), settings_from()
    assert await resolver.addresses("::1", settings) == ("::1",)
    assert directory.asked == 0
    for number in range(1_005):
        await resolver.addresses(f"{number}.example", settings)

    assert len(resolver.known) == 1_000


@pytest.mark.postgres
async def test_backends_are_replaced_when_the_name_of_their_server_leads_elsewhere(
    postgres: LocalServer, directory: Directory
) -> None:
    """Both addresses are told at first, which is no reason to move; then the other alone."""
    trio.socket.set_custom_hostname_resolver(directory)
    named = Database(name="shop", host=NAME, port=postgres.port, dbname=postgres.database)
    config = config_for(
        postgres, databases={"shop": named}, default_pool_size=2, dns_max_ttl=0, pool_mode="session"
    )
    login = {"user": postgres.user, "password": postgres.password, "database": "shop"}
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(server.serve, config)
        host, port = next(a for a in serving.addresses if isinstance(a, tuple))
        async with open_probe(host, port, **login) as one:
            ask = "select pg_backend_pid()"
            first = (await one.query(ask)).rows
            directory.answers = [("127.0.0.2", "127.0.0.1"), ("127.0.0.2",), ("127.0.0.1",)]
            (pool,) = serving.server.pools.values()
            await serving.server.resolver.addresses(NAME, config.settings)
            assert not closing.outdated(pool)
            await serving.server.resolver.addresses(NAME, config.settings)

            assert closing.outdated(pool)
            assert (await one.query(ask)).rows == first
        async with open_probe(host, port, **login) as other:
            assert (await other.query(ask)).rows != first
        nursery.cancel_scope.cancel()
