"""Session state, case by case: what is said x how it ends x in which protocol x who comes next.

Every case is a conversation of clients of their own, played on direct connections and through one
pool with few backends, which outlives all cases: what one leaves behind the next one would meet.
The expectation is what the server answers directly; nothing of it is written here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import attrs
import psycopg
import pytest

from protocol import frontend
from tests.support.pooler import RunningPool, config_for, running_pool
from tests.support.raw import RawClient
from trio_pool.conform.normalise import normalised
from trio_pool.conform.replies import Reply
from trio_pool.conform.words import SYNC, once
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

SHOW_MEMORY: Final = "select current_setting('work_mem')"
READ_TENANT: Final = "select current_setting('table.tenant', true)"
WHO: Final = "select current_user, session_user"


@attrs.frozen
class Said:
    """A statement, what somebody else says of the same kind, and what shows its effect."""

    text: str
    rival: str
    reads: str


SAID: Final = {
    "SET": Said("set work_mem = '5MB'", "set work_mem = '6MB'", SHOW_MEMORY),
    "SET LOCAL": Said("set local work_mem = '5MB'", "set work_mem = '6MB'", SHOW_MEMORY),
    "SET to default": Said("set work_mem to default", "set work_mem = '6MB'", SHOW_MEMORY),
    "SET reported": Said(
        "set datestyle = german", "set datestyle = sql", "select date '2024-02-01'"
    ),
    "SET TIME ZONE": Said(
        "set time zone 'Asia/Tokyo'",
        "set timezone = 'UTC'",
        "select timestamptz '2024-06-01 12:00+00'",
    ),
    "SET search_path": Said(
        "set search_path = table_one", "set search_path = table_two", "select name from named"
    ),
    "SET application_name": Said(
        "set application_name = 'one'", "set application_name = 'two'", "show application_name"
    ),
    "set_config": Said(
        "select set_config('work_mem', '5MB', false)",
        "select set_config('work_mem', '6MB', true)",
        SHOW_MEMORY,
    ),
    "UPDATE pg_settings": Said(
        "update pg_settings set setting = '5120' where name = 'work_mem'",
        "set work_mem = '6MB'",
        SHOW_MEMORY,
    ),
    "in a DO block": Said(
        "do $$begin perform set_config('work_mem', '5MB', false); end$$",
        "reset work_mem",
        SHOW_MEMORY,
    ),
    "in a function": Said("select table_sets('5MB')", "select table_sets('6MB')", SHOW_MEMORY),
    "in a procedure": Said("call table_sets_too('5MB')", "set work_mem = '6MB'", SHOW_MEMORY),
    "RESET ALL": Said("reset all", "set work_mem = '6MB'", SHOW_MEMORY),
    "DISCARD ALL": Said("discard all", "set work_mem = '6MB'", SHOW_MEMORY),
    "custom SET": Said("set table.tenant = '1'", "set table.tenant = '2'", READ_TENANT),
    "custom SET LOCAL": Said("set local table.tenant = '1'", "select 1", READ_TENANT),
    "custom set_config": Said(
        "select set_config('table.tenant', '1', false)", "reset table.tenant", READ_TENANT
    ),
    "custom local set_config": Said(
        "select set_config('table.tenant', '1', true)",
        "select set_config('table.tenant', '2', false)",
        READ_TENANT,
    ),
    "SET ROLE": Said("set role table_role", "set role pg_monitor", WHO),
    "SET SESSION AUTHORIZATION": Said(
        "set session authorization table_role", "set role table_role", WHO
    ),
    "characteristics": Said(
        "set session characteristics as transaction isolation level serializable, read only",
        "set session characteristics as transaction isolation level repeatable read",
        "select current_setting('transaction_isolation'), current_setting('transaction_read_only')",
    ),
    "SET TRANSACTION": Said(
        "set transaction isolation level serializable",
        "set default_transaction_read_only = on",
        "show transaction_isolation",
    ),
    "PREPARE": Said("prepare ps as select 1", "prepare ps as select 2", "execute ps"),
    "CREATE TEMP": Said(
        "create temp table tt as select 1 as a", "create temp table tt (b int)", "select * from tt"
    ),
    "SELECT INTO TEMP": Said("select 5 as a into temp tt", "discard temp", "select a from tt"),
    "WITH HOLD": Said(
        "declare c cursor with hold for select 7",
        "close all",
        "select count(*) from pg_cursors where name = 'c'",
    ),
    "advisory lock": Said(
        "select pg_advisory_lock_shared(4713)",
        "select pg_try_advisory_lock(4713)",
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 4713"
        " and pid = pg_backend_pid()",
    ),
}

ENDINGS: Final = {
    "alone": "{}",
    "committed": "begin;{};commit",
    "rolled back": "begin;{};rollback",
    "savepoint": "begin;savepoint p;{};rollback to p;commit",
    "released": "begin;savepoint p;{};release p;commit",
    "failed": "begin;{};select 1/0;commit",
}

PROTOCOLS: Final = ("queries", "script", "extended")


class Scene:
    """The clients of one case, and what each of them was told."""

    def __init__(self, connect: Callable[[], RawClient]) -> None:
        self._connect = connect
        self._clients: dict[str, RawClient] = {}
        self.told: list[tuple[str, tuple[Reply, ...]]] = []

    def says(self, who: str, data: bytes) -> None:
        if who not in self._clients:
            self._clients[who] = self._connect()
        replies = self._clients[who].ask(data)
        self.told.append((who, normalised(replies)))

    def asks(self, who: str, text: str) -> None:
        self.says(who, frontend.query(text.encode()))

    def parameters(self, who: str) -> dict[str, str]:
        return self._clients[who].parameters

    def leaves(self, who: str) -> None:
        self._clients.pop(who).say_goodbye()

    def ends(self) -> None:
        for who in list(self._clients):
            self.leaves(who)


def itself(scene: Scene, said: Said) -> None:
    for _ in range(2):
        scene.asks("first", said.reads)


def another(scene: Scene, said: Said) -> None:
    for who in ("other", "first", "other"):
        scene.asks(who, said.reads)


def rival(scene: Scene, said: Said) -> None:
    scene.asks("other", said.rival)
    for who in ("first", "other", "first"):
        scene.asks(who, said.reads)


def newcomer(scene: Scene, said: Said) -> None:
    scene.leaves("first")
    scene.asks("newcomer", said.reads)


NEXT: Final = (itself, another, rival, newcomer)

# Every statement with every ending and every protocol; those who come next take turns.
CASES: Final = [
    pytest.param(said, ending, protocol, NEXT[turn % len(NEXT)], id=f"{name}-{end}-{protocol}")
    for turn, ((name, said), (end, ending), protocol) in enumerate(
        itertools.product(SAID.items(), ENDINGS.items(), PROTOCOLS)
    )
]


def words(text: str, protocol: str) -> list[bytes]:
    if protocol == "script":
        return [frontend.query(text.encode())]
    parts = text.split(";") if "$$" not in text else _parts(text)
    if protocol == "queries":
        return [frontend.query(part.encode()) for part in parts]
    return [once(part) + SYNC for part in parts]


def _parts(text: str) -> list[str]:
    """The same for a text with one block in dollars, which has semicolons of its own."""
    before, block, after = text.split("$$")
    inner = block.replace(";", "\0")
    return [part.replace("\0", ";") for part in f"{before}$${inner}$${after}".split(";")]


@pytest.fixture(scope="module")
def lasting_pool(postgres: LocalServer) -> Iterator[RunningPool]:
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute(
            "create role table_role; create schema table_one; create schema table_two;"
            " create table table_one.named as select 'one' as name;"
            " create table table_two.named as select 'two' as name;"
            " create function table_sets(value text) returns text language sql as"
            " $$select set_config('work_mem', value, false)$$;"
            " create procedure table_sets_too(value text) language plpgsql as"
            " $$begin perform set_config('work_mem', value, false); end$$"
        )
        config = config_for(postgres, pool_mode="transaction", default_pool_size=3)
        with running_pool(config, postgres) as running:
            yield running
            assert running.what_idle_backends_hide() == []
        root.execute(
            "drop schema table_one, table_two cascade; drop role table_role;"
            " drop function table_sets; drop procedure table_sets_too"
        )


def played(
    connect: Callable[[], RawClient],
    said: Said,
    ending: str,
    protocol: str,
    follows: Callable[[Scene, Said], None],
) -> list[tuple[str, tuple[Reply, ...]]]:
    scene = Scene(connect)
    try:
        for data in words(ending.format(said.text), protocol):
            scene.says("first", data)
        follows(scene, said)
        return scene.told
    finally:
        scene.ends()


@pytest.mark.parametrize(("said", "ending", "protocol", "follows"), CASES)
def test_whoever_comes_next_finds_what_a_private_server_would_have(
    lasting_pool: RunningPool,
    postgres: LocalServer,
    said: Said,
    ending: str,
    protocol: str,
    follows: Callable[[Scene, Said], None],
) -> None:
    def client(host: str, port: int) -> RawClient:
        return RawClient(
            (host, port),
            user=postgres.user,
            password=postgres.password,
            database=postgres.database,
            patience=60,
        )

    expected = played(lambda: client(postgres.host, postgres.port), said, ending, protocol, follows)
    seen = played(
        lambda: client(lasting_pool.host, lasting_pool.port), said, ending, protocol, follows
    )

    assert seen == expected
