"""The adversarial mode: what depends on its session fails, and is told why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psycopg
import pytest

import trio_pool
from tests.embedding.sample_application import BUGS, SCHEMA, Client, library, value
from trio_pool.dependence import INSTEAD, report
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def shop(postgres: LocalServer) -> Iterator[LocalServer]:
    """A server with the sample application's schema."""
    with psycopg.connect(postgres.url(), autocommit=True) as client:
        client.execute(SCHEMA)
        yield postgres
        client.execute("drop schema shop cascade; drop role clerk")


@pytest.fixture(scope="module")
def adversary(shop: LocalServer) -> Iterator[trio_pool.ThreadedPool]:
    """An adversarial pool of the usual kind."""
    with trio_pool.pool_in_thread(shop.url(), adversarial=1) as pool:
        yield pool


@contextlib.contextmanager
def client_of(pool: trio_pool.ThreadedPool) -> Iterator[Client]:
    with psycopg.connect(pool.url, autocommit=True) as client:
        yield client


def found_by(
    pool: trio_pool.ThreadedPool, bug: Callable[[Client], bool]
) -> tuple[bool, set[tuple[str, str, str]]]:
    """Whether the application got what it wanted, and what was newly reported."""
    before = pool.dependences()
    with client_of(pool) as client:
        try:
            works = bug(client)
        except psycopg.Error:
            works = False
        # Whatever the last transaction left is known when the next one has been answered.
        client.execute("select 1")
    after = pool.dependences()
    new = {one for one, count in after.items() if count > before.get(one, 0)}
    return works, {(one.kind, one.name, one.statement) for one in new}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_each_planted_bug_fails_and_is_named_and_nothing_else_is(
    adversary: trio_pool.ThreadedPool, bug: Callable[[Client], bool]
) -> None:
    works, found = found_by(adversary, bug)

    kind, name, statement = BUGS[bug]
    assert works is (bug is library)
    assert [(k, n) for k, n, _ in found] == [(kind, name)]
    assert all(text.startswith(statement) for _, _, text in found)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_same_works_through_a_pool_that_is_not_adversarial(
    pool: Callable[..., object], shop: LocalServer, bug: Callable[[Client], bool]
) -> None:
    running = pool(default_pool_size=2)
    with psycopg.connect(running.url(), autocommit=True) as client:  # type: ignore[attr-defined]
        with contextlib.suppress(psycopg.errors.ObjectNotInPrerequisiteState):
            # The first question for a sequence may fail (docs/session_state.md).
            value(client, "select currval('shop.orders_id_seq')")
        assert bug(client)


def test_every_transaction_has_a_backend_of_its_own(adversary: trio_pool.ThreadedPool) -> None:
    with client_of(adversary) as client:
        pids = [value(client, "select pg_backend_pid()") for _ in range(5)]
        with client.transaction():
            within = [value(client, "select pg_backend_pid()") for _ in range(2)]

    assert len({*pids, *within}) == 6
    assert within[0] == within[1]


TIDY = [
    ["begin", "create temporary table t (a int) on commit drop", "select * from t", "commit"],
    ["begin", "create temporary table t (a int)", "drop table t", "commit"],
    ["begin", "set local search_path = shop", "select * from item", "commit"],
    ["select set_config('shop.tenant', 'a', true)"],
    ["begin", "set statement_timeout = 1000", "reset statement_timeout", "commit"],
    ["begin", "set statement_timeout = 1000", "rollback"],
    ["begin", "set timezone = 'UTC'", "commit", "reset timezone"],
    ["select pg_advisory_xact_lock(1)"],
    ["begin", "select pg_advisory_lock(2)", "select pg_advisory_unlock(2)", "commit"],
    ["begin", "declare c cursor for select 1", "fetch c", "commit"],
    ["insert into shop.orders (tenant) values ('b') returning id"],
    ["begin", "insert into shop.orders (tenant) values ('b')", "select lastval()", "commit"],
    ["begin", "listen x", "unlisten x", "commit"],
    ["begin", "prepare p as select 1", "execute p", "deallocate p", "commit"],
    ["notify x", "select 1", "vacuum shop.item"],
]


@pytest.mark.parametrize("texts", TIDY, ids=lambda texts: texts[0] + ", " + texts[-1])
def test_what_ends_with_its_transaction_is_nobody_s_business(
    adversary: trio_pool.ThreadedPool, texts: list[str]
) -> None:
    def tidy(client: Client) -> bool:
        for text in texts:
            client.execute(text)
        return True

    assert found_by(adversary, tidy) == (True, set())


def test_what_the_connection_string_says_and_usual_poolers_carry_stays(
    adversary: trio_pool.ThreadedPool,
) -> None:
    options = {"options": "-c search_path=shop", "autocommit": True}
    before = adversary.dependences()
    with psycopg.connect(adversary.url, **options) as client:
        client.execute("set time zone 'Asia/Tokyo'")
        client.execute("set application_name = 'till'")
        # Prepared by the driver, in its first transaction.
        for number in range(3):
            client.execute("select %s::int", (number,), prepare=True)
        assert value(client, "show search_path") == "shop"
        assert value(client, "show timezone") == "Asia/Tokyo"
        assert value(client, "show application_name") == "till"

    assert adversary.dependences() == before


def test_what_is_to_be_kept_can_be_chosen(shop: LocalServer) -> None:
    def prepares(client: Client) -> bool:
        client.execute("select 1", prepare=True)
        client.execute("select 1", prepare=True)
        return True

    def sets(client: Client) -> bool:
        client.execute("set statement_timeout = 77000")
        client.execute("set time zone 'Asia/Tokyo'")
        return value(client, "show statement_timeout") == "77s"

    keeps = "statement_timeout"
    with trio_pool.pool_in_thread(shop.url(), adversarial=1, adversarial_keeps=keeps) as pool:
        works, found = found_by(pool, prepares)
        assert not works
        assert [(kind, text) for kind, _, text in found] == [("prepared statement", "select 1")]

        works, found = found_by(pool, sets)
        assert works
        assert found == {("setting", "TimeZone", "set time zone 'Asia/Tokyo'")}


def test_clients_at_once_disturb_each_other_in_nothing(shop: LocalServer) -> None:
    """With a single backend at a time, everybody still gets a fresh one."""
    settings = {"adversarial": 1, "default_pool_size": 1, "pool_mode": "session"}
    with (
        trio_pool.pool_in_thread(shop.url(), **settings) as pool,
        client_of(pool) as one,
        client_of(pool) as other,
    ):
        pids = [value(c, "select pg_backend_pid()") for c in (one, other, one, other)]

    assert len(set(pids)) == 4


def test_the_report_says_what_to_do_instead(adversary: trio_pool.ThreadedPool) -> None:
    found_by(adversary, next(iter(BUGS)))

    text = report(adversary.dependences())

    assert "temporary objects   (instead: make and use it in one transaction" in text
    assert "    create temporary table cart (item int)" in text
    assert {kind for kind, _, _ in BUGS.values()} == set(INSTEAD)
