"""Clients that prepare, ask for the answers by Flush, and say no Sync."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.normalise import normalised
from trio_pool.conform.replies import Reply, field
from trio_pool.conform.words import (
    FLUSH,
    SYNC,
    bind,
    close,
    close_portal,
    describe,
    execute,
    once,
    parse,
    query,
    run,
)
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


# What is said, and up to which replies is read, before somebody else wants the backend.
Step = tuple[bytes, str]

GOES_ON: dict[str, list[Step]] = {
    "a named statement": [
        (parse("s", "select $1::int as n") + describe("s") + FLUSH, "T"),
        (run("s", "1") + SYNC, "Z"),
        (run("s", "2") + SYNC, "Z"),
    ],
    "the unnamed statement": [
        (parse("", "select $1::int as n") + describe("") + FLUSH, "T"),
        (run("", "1") + SYNC, "Z"),
        (run("", "2") + SYNC, "Z"),
    ],
    "nothing but a Sync behind": [
        (parse("s", "select 1") + describe("s") + FLUSH, "T"),
        (SYNC, "Z"),
        (SYNC + SYNC, "ZZ"),
    ],
    "one Flush after another": [
        (parse("a", "select 'a'") + FLUSH, "1"),
        (parse("b", "select 'b'") + FLUSH, "1"),
        (describe("a") + FLUSH, "T"),
        (close("b") + FLUSH, "3"),
        (parse("b", "select 'c'") + FLUSH, "1"),
        (run("b") + run("a") + SYNC, "Z"),
    ],
    "a portal that is closed": [
        (close_portal("c") + FLUSH, "3"),
        (parse("s", "select 1") + close_portal() + FLUSH, "13"),
        (run("s") + SYNC, "Z"),
    ],
    "the unnamed statement closed": [
        (parse("", "select 1") + SYNC, "Z"),
        (close("") + FLUSH, "3"),
        (run("") + SYNC, "EZ"),
    ],
    "a Query behind": [
        (parse("s", "select 1") + FLUSH, "1"),
        (query("begin"), "Z"),
        (run("s") + SYNC, "Z"),
        (query("rollback"), "Z"),
    ],
    "work begun behind and undone": [
        (parse("s", "insert into pg_temp.t values (1)") + parse("s", "") + FLUSH, "E"),
        (SYNC, "Z"),
        (parse("s", "select 1/$1::int") + FLUSH, "1"),
        (run("s", "0") + FLUSH, "E"),
        (run("s", "1") + SYNC, "Z"),
    ],
}


@contextlib.contextmanager
def two_clients(server: LocalServer, **parameters: str) -> Iterator[tuple[RawClient, RawClient]]:
    with client_of(server, **parameters) as client, client_of(server) as other:
        yield client, other


def conversation(server: LocalServer, steps: Sequence[Step]) -> list[tuple[Reply, ...]]:
    """What a client is told, and another one that works between its steps."""
    told = []
    with two_clients(server) as (client, other):
        for said, until in steps:
            told.append(normalised(client.ask(said, until)))
            # Behind an error without a Sync, and in a block, it keeps its backend.
            if client.status == "I" and until[-1] != "E":
                told.append(normalised(other.ask(parse("", "select 'served'") + run("") + SYNC)))
        assert client.ask(SYNC)[-1] == ("Z", client.status)
    return told


@pytest.mark.hard_case(10, 11)
@pytest.mark.parametrize("steps", GOES_ON.values(), ids=GOES_ON.keys())
def test_a_client_that_has_prepared_and_is_silent_lets_others_work(
    pool: StartPool, postgres: LocalServer, steps: Sequence[Step]
) -> None:
    running = pool(default_pool_size=1)

    assert conversation(running, steps) == conversation(postgres, steps)


KEEPS: dict[str, list[Step]] = {
    "something is bound": [(parse("", "select 1") + bind("") + FLUSH, "2"), (execute(), "")],
    "something was done": [(once("insert into kept values (1)") + FLUSH, "C")],
    "it prepares behind what was done": [
        (once("insert into kept values (1)") + FLUSH, "C"),
        (parse("s", "select 1") + FLUSH, "1"),
    ],
    "in a transaction block": [(query("begin"), "Z"), (parse("s", "select 1") + FLUSH, "1")],
}


@pytest.fixture
def kept(postgres: LocalServer) -> Iterator[None]:
    with client_of(postgres) as root:
        root.rows("create table kept (n int)")
        yield
        root.rows("drop table kept")


@pytest.mark.hard_case(10)
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("steps", KEEPS.values(), ids=KEEPS.keys())
def test_a_client_that_has_more_to_lose_keeps_its_backend(
    pool: StartPool, postgres: LocalServer, steps: Sequence[Step]
) -> None:
    # Several rounds of the janitor, which is who would take the backend away.
    running = pool(default_pool_size=1, query_wait_timeout=1)

    with two_clients(running) as (client, other), client_of(postgres) as root:
        for said, until in steps:
            client.ask(said, until)
        [error] = [r for r in other.ask(query("select 1"), "closed") if r[0] == "E"]

        assert field(error, "M") == "query_wait_timeout"
        assert root.rows("select count(*) from kept") == [("0",)]
        client.ask(SYNC + query("commit"), "ZZ")
        assert client.status == "I"


@pytest.mark.hard_case(19)
@pytest.mark.usefixtures("kept")
def test_a_snapshot_that_a_parse_has_taken_is_kept(pool: StartPool, postgres: LocalServer) -> None:
    running = pool(default_pool_size=1, query_wait_timeout=1)
    isolation = {"default_transaction_isolation": "repeatable read"}

    with two_clients(running, **isolation) as (client, other), client_of(postgres) as root:
        client.ask(parse("s", "select count(*) from kept") + describe("s") + FLUSH, "T")
        root.rows("insert into kept values (1)")
        other.ask(query("select 1"), "closed")

        assert ("D", b"0") in client.ask(run("s") + SYNC)
        assert ("D", b"1") in client.ask(run("s") + SYNC)
