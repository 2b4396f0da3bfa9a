"""A pool inside a program: Trio, blocking code, asyncio; and what such a program can do with it."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import attrs
import psycopg
import pytest
import trio

import trio_pool
from tests.support.pooler import config_for
from trio_pool.embedded import LocalServer
from trio_pool.session import Session

pytestmark = pytest.mark.postgres

# On a busy machine; nothing waits for as long as this unless it is broken.
SECONDS_MAX = 60


def ask(url: str, text: str = "select 6 * 7") -> object:
    with psycopg.connect(url, autocommit=True) as client:
        row = client.execute(text).fetchone()
    return row and row[0]


async def test_a_trio_program_serves_a_pool_for_as_long_as_a_block(postgres: LocalServer) -> None:
    async with trio_pool.open_pool(postgres.url(), default_pool_size=1) as pool:
        assert await trio.to_thread.run_sync(ask, pool.url) == 42
        stats = pool.stats()

    assert (stats.backends, stats.waiting) == (1, 0)
    assert stats.transactions >= 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(pool.addresses[0])


async def test_an_exception_of_the_block_comes_out_as_it_went_in(postgres: LocalServer) -> None:
    with pytest.raises(ZeroDivisionError):
        async with trio_pool.open_pool(postgres.url()):
            _ = 1 / 0


async def test_an_address_in_use_is_the_error_of_the_system(postgres: LocalServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with trio_pool.open_pool(postgres.url(), listen_port=port):
                pass


def test_blocking_code_serves_a_pool_in_a_thread(postgres: LocalServer) -> None:
    with trio_pool.pool_in_thread(postgres.url(), default_pool_size=1) as pool:
        assert ask(pool.url) == 42
        assert pool.stats().queries >= 1

    with pytest.raises(RuntimeError, match="the pool has ended"):
        pool.stats()


def test_an_asyncio_program_has_one_beside_its_loop(postgres: LocalServer) -> None:
    async def program() -> object:
        async with trio_pool.pool_beside_asyncio(postgres.url()) as pool:
            client = await asyncpg.connect(pool.url)
            try:
                await pool.pause()
                answer = asyncio.create_task(client.fetchval("select 6 * 7"))
                while not pool.stats().waiting:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                await pool.resume()
                return await answer
            finally:
                await client.close()

    assert asyncio.run(program()) == 42


def test_a_unix_socket_alone_is_enough(postgres: LocalServer, tmp_path: Path) -> None:
    settings = {"listen_addr": "", "unix_socket_dir": str(tmp_path), "listen_port": 7654}
    with trio_pool.pool_in_thread(postgres.url(), **settings) as pool:
        assert pool.addresses == (f"{tmp_path}/.s.PGSQL.7654",)
        assert ask(pool.url) == 42


def test_a_paused_pool_keeps_its_clients_waiting_until_it_resumes(postgres: LocalServer) -> None:
    answers: list[object] = []
    with trio_pool.pool_in_thread(postgres.url()) as pool:
        ask(pool.url)
        pool.pause()
        assert pool.stats().backends == 0
        client = threading.Thread(target=lambda: answers.append(ask(pool.url)))
        client.start()
        while not pool.stats().waiting:
            pass
        with pytest.raises(trio_pool.OrderRefused):
            pool.pause()
        assert not answers
        pool.resume()
        client.join(SECONDS_MAX)

    assert answers == [42]


def test_settings_win_over_those_of_a_config(postgres: LocalServer) -> None:
    config = config_for(postgres, default_pool_size=7)
    with trio_pool.pool_in_thread(config, default_pool_size=1) as pool:
        assert pool.server.config.settings.default_pool_size == 1
        assert ask(pool.url) == 42
        with (
            pytest.raises(trio_pool.ConfigError, match="pool_mod"),
            trio_pool.pool_in_thread(config, pool_mod="session"),
        ):
            pass


def test_leftovers_name_the_client_and_what_it_left(postgres: LocalServer) -> None:
    with trio_pool.pool_in_thread(postgres.url()) as pool, psycopg.connect(pool.url) as client:
        client.execute("select 1")
        (left,) = pool.leftovers()
        assert (left.kind, left.user, left.pins) == ("open transaction", postgres.user, False)
        client.execute("create temporary table t ()")
        client.commit()
        while not pool.stats().pinned:
            pass
        (left,) = pool.leftovers()
        assert (left.kind, left.pins) == ("temporary objects", True)
        assert left.statement == "create temporary table t ()"
        client.execute("drop table t")
        client.commit()
        while pool.leftovers():
            pass


# Hooks.


@attrs.define
class Witness:
    """Hooks that write down what they are called for."""

    logins: list[str] = attrs.field(factory=list)
    leases: list[int] = attrs.field(factory=list)
    texts: list[str] = attrs.field(factory=list)

    def hooks(self) -> trio_pool.Hooks:
        return trio_pool.Hooks(
            on_authentication=lambda client: self.logins.append(client.user),
            on_lend=lambda client: self.leases.append(client.number),
            on_query=lambda client, text: self.texts.append(text),
        )


def test_hooks_are_called_for_logins_leases_and_texts(postgres: LocalServer) -> None:
    witness = Witness()
    with (
        trio_pool.pool_in_thread(postgres.url(), hooks=witness.hooks()) as pool,
        psycopg.connect(pool.url, prepare_threshold=0) as client,
    ):
        for number in (1, 2):
            client.execute("select %s::int", (number,))
            client.execute("select 'again'")
            client.commit()

    assert witness.logins == [postgres.user]
    assert len(witness.leases) == 2
    assert len(set(witness.leases)) == 1
    # A statement is prepared once, by its text; psycopg says BEGIN and COMMIT itself.
    assert witness.texts.count("select $1::int") == 1
    assert witness.texts.count("COMMIT") == 2


def test_a_hook_that_says_no_at_login_is_heard_by_the_client(postgres: LocalServer) -> None:
    def refuse(client: trio_pool.Client) -> None:
        raise trio_pool.Refused("come back on Monday", "The office is closed.")

    hooks = trio_pool.Hooks(on_authentication=refuse)
    with trio_pool.pool_in_thread(postgres.url(), hooks=hooks) as pool:
        with pytest.raises(psycopg.OperationalError, match="come back on Monday"):
            psycopg.connect(pool.url)
        assert pool.stats().clients == 0


@pytest.mark.parametrize("kind", ["on_lend", "on_query"])
def test_a_hook_that_fails_ends_its_client_and_nobody_else(
    postgres: LocalServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    fails = threading.Event()

    def hook(client: trio_pool.Client, text: str = "") -> None:
        if fails.is_set():
            raise ZeroDivisionError("a bug of the program")

    hooks = trio_pool.Hooks(**{kind: hook})
    with (
        trio_pool.pool_in_thread(postgres.url(), hooks=hooks, default_pool_size=1) as pool,
        psycopg.connect(pool.url, autocommit=True) as guilty,
        psycopg.connect(pool.url, autocommit=True) as bystander,
    ):
        guilty.execute("select 1")
        fails.set()
        with caplog.at_level(logging.ERROR), pytest.raises(psycopg.Error) as told:
            guilty.execute("select 2")
        fails.clear()
        assert bystander.execute("select 3").fetchone() == (3,)

    assert told.value.sqlstate == "XX000"
    assert "a hook of the program" in str(told.value)
    assert "a bug of the program" in caplog.text


def test_without_hooks_nobody_stands_between_a_client_and_its_session(
    postgres: LocalServer,
) -> None:
    with trio_pool.pool_in_thread(postgres.url()) as pool, psycopg.connect(pool.url):
        assert pool.stats().clients == 1
        (session,) = pool.server.sessions.values()
        assert isinstance(session.wire.turn, Session)


# What importing it does.

IMPORTS_EVERYTHING = """
import asyncio, importlib, pkgutil, sys
async def loop(): return type(asyncio.get_running_loop()).__module__
before = asyncio.run(loop())
import trio_pool, protocol
for package in (trio_pool, protocol):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
assert "trio_asyncio" not in sys.modules
assert asyncio.run(loop()) == before, asyncio.run(loop())
"""
IMPORTS_NOTHING = """
import sys, trio_pool
assert "trio" not in sys.modules and "attrs" not in sys.modules, "not lazy"
assert set(trio_pool.__all__) <= set(dir(trio_pool))
trio_pool.Config, trio_pool.Hooks
assert "trio" not in sys.modules, "a configuration needs no Trio"
assert all(getattr(trio_pool, name) for name in trio_pool.__all__)
"""


@pytest.mark.parametrize("program", [IMPORTS_EVERYTHING, IMPORTS_NOTHING])
def test_an_import_changes_nothing_and_loads_no_more_than_is_asked_for(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
