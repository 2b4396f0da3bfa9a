"""A client that leaves at once is served like one that waits: what it said is carried out."""

from __future__ import annotations

import time

import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of
from tests.support.raw import RawClient
from trio_pool.conform.normalise import normalised
from trio_pool.conform.words import (
    SYNC,
    bind,
    close,
    describe,
    once,
    parse,
    query,
    run,
)
from trio_pool.embedded import LocalServer
from trio_pool.pool import closing


@pytest.fixture
def small(pool: StartPool) -> RunningPool:
    return pool(default_pool_size=1)


@pytest.fixture
def table(small: RunningPool) -> str:
    with client_of(small) as maker:
        maker.ask(frontend.query(b"drop table if exists departed; create table departed (n int)"))
    return "departed"


def holding_the_backend(running: RunningPool) -> RawClient:
    holder = client_of(running)
    assert holder.ask(frontend.query(b"begin"))[-1] == ("Z", "T")
    return holder


def test_a_write_is_carried_out_although_its_client_closed_in_the_queue(
    small: RunningPool, table: str
) -> None:
    with holding_the_backend(small) as holder:
        leaver = client_of(small)
        leaver.send(frontend.query(f"insert into {table} values (1)".encode()))
        leaver.close()
        holder.ask(frontend.query(b"commit"))

        assert holder.rows(f"select n from {table}") == [("1",)]


def test_half_a_segment_whose_client_closed_in_the_queue_keeps_no_backend(
    small: RunningPool,
) -> None:
    """It was lent the backend, and nothing ever came that would have ended the lease."""
    with holding_the_backend(small) as holder:
        leaver = client_of(small)
        leaver.send(frontend.parse(b"", b"select 1"))
        leaver.close()
        holder.ask(frontend.query(b"commit"))

        assert holder.rows("select 'served'") == [("served",)]


def test_the_answer_to_a_client_that_was_reset_is_nobody_elses(small: RunningPool) -> None:
    with client_of(small) as other:
        other.rows("select 1")
        (pool,) = small.serving.server.pools.values()
        leaver = client_of(small)
        leaver.send(frontend.query(b"select 'of the leaver' from pg_sleep(1)"))
        deadline = time.monotonic() + 30
        while pool.idle:
            assert time.monotonic() < deadline
        leaver.reset()

        for number in range(3):
            assert other.rows(f"select 'own {number}'") == [(f"own {number}",)]


def test_a_goodbye_in_the_same_breath_is_heard_after_the_answer(
    small: RunningPool, table: str
) -> None:
    with client_of(small) as leaver:
        leaver.send(frontend.query(b"select 1") + frontend.terminate())

        assert [reply[0] for reply in leaver.receive_until_quiet()] == [
            "T",
            "D",
            "C",
            "Z",
            "closed",
        ]


def test_a_transaction_left_open_is_rolled_back(small: RunningPool, table: str) -> None:
    leaver = client_of(small)
    leaver.send(frontend.query(f"begin; insert into {table} values (1)".encode()))
    leaver.close()

    with client_of(small) as other:
        assert other.rows(f"select n from {table}") == []


def test_half_a_copy_is_not_committed(small: RunningPool, table: str) -> None:
    leaver = client_of(small)
    leaver.ask(frontend.query(f"copy {table} from stdin".encode()), "G")
    leaver.send(frontend.copy_data(b"1\n"))
    leaver.close()

    with client_of(small) as other:
        assert other.rows(f"select n from {table}") == []


LAST_WORDS = {
    "a Parse that fails": parse("", "selec"),
    "a Parse that fails behind one that does not": parse("s", "select 1") + parse("", "selec"),
    "a Parse that does not fail": parse("s", "select 1") + describe("s"),
    "a Bind that fails": parse("s", "select 1") + bind("s", "too many"),
    "a Bind that does not": parse("s", "select 1") + bind("s"),
    "a Close behind an error": bind("nobody") + close("nobody"),
    "a Parse that fails behind a Sync": once("select 1") + SYNC + parse("", "selec"),
    "a Parse that fails behind a Query": query("begin") + parse("", "select nobody"),
    "a Parse that fails in a failed transaction": query("begin; select 1/0")
    + parse("", "select 1")
    + parse("", "rollback"),
    "more behind an error": bind("nobody") + parse("s", "select 1") + describe("s"),
    "nothing": b"",
}


@pytest.mark.hard_case(13, 9)
@pytest.mark.parametrize("half", [False, True], ids=["Terminate", "half closed"])
@pytest.mark.parametrize("words", LAST_WORDS.values(), ids=LAST_WORDS.keys())
def test_what_a_client_says_last_is_answered_as_by_a_server(
    small: RunningPool, postgres: LocalServer, words: bytes, half: bool
) -> None:
    told = []
    for server in (postgres, small):
        with client_of(server) as leaver:
            leaver.send(words if half else words + frontend.terminate())
            if half:
                leaver.finish_sending()
            told.append(normalised(leaver.receive("closed")))
    with client_of(small) as other:
        assert other.rows("select 'served'") == [("served",)]

    assert told[1] == told[0]


def test_what_must_be_prepared_again_first_is_carried_out_although_its_client_has_left(
    small: RunningPool, table: str
) -> None:
    async def lose_the_backend() -> None:
        (pool,) = small.serving.server.pools.values()
        closing.renew(pool)

    insert = parse("s", f"insert into {table} values (1) returning n") + SYNC
    with client_of(small) as leaver:
        leaver.ask(insert)
        small.serving.run(lose_the_backend)
        leaver.send(run("s") + SYNC)
        leaver.finish_sending()

        assert [reply[0] for reply in leaver.receive("closed")] == ["2", "D", "C", "Z", "closed"]
