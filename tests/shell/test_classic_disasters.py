"""What goes wrong with session state in transaction pooling, by the names people know it under.

Each of these is somebody's night. All of them share few backends on purpose; all compare with
what a private connection would have shown.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.words import SYNC, once
from trio_pool.embedded import LocalServer
from trio_pool.pinned import pinned

TENANT_TURNS = 200
TENANT_TRANSACTIONS = 10_000


def query(text: str) -> bytes:
    return frontend.query(text.encode())


def value(client: RawClient, sql: str) -> str | None:
    return client.rows(sql)[0][0]


@pytest.fixture
def tables(postgres: LocalServer) -> Iterator[None]:
    """Tables of the public schema, and a role that row-level security binds."""
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute(
            "create table orders (tenant int, note text);"
            " insert into orders select n % 2, 'of ' || n % 2 from generate_series(1, 10) n;"
            " alter table orders enable row level security;"
            " create policy own on orders"
            " using (tenant = nullif(current_setting('app.tenant', true), '')::int);"
            " create role shopper; grant select on orders to shopper;"
            " create schema tenant1; create table tenant1.orders (note text)"
        )
        yield
        root.execute("drop schema tenant1 cascade; drop table orders; drop role shopper")


@pytest.mark.usefixtures("tables")
def test_pg_dump_empties_the_search_path_of_nobody_else(
    pool: StartPool, postgres: LocalServer
) -> None:
    running = pool(default_pool_size=1)
    dump = subprocess.run(
        ["pg_dump", "--schema-only", running.url()], capture_output=True, text=True, check=False
    )
    assert "CREATE TABLE public.orders" in dump.stdout, dump.stderr

    with client_of(running) as client:
        assert value(client, "select count(*) from orders") == "10"
        assert value(client, "show search_path") == '"$user", public'


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    "announce",
    [
        "set app.tenant = {}",
        "select set_config('app.tenant', '{}', false)",
        "begin; set app.tenant = {}; commit",
    ],
)
def test_row_level_security_shows_each_tenant_its_own_rows(pool: StartPool, announce: str) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as even, client_of(running) as odd:
        for tenant, client in enumerate((even, odd)):
            client.ask(query("set role shopper"))
            client.ask(query(announce.format(tenant)))
        for turn in range(TENANT_TURNS):
            client, own = ((even, "0"), (odd, "1"))[turn % 2]
            assert client.rows("select distinct tenant from orders") == [(own,)]

        with client_of(running) as stranger:
            assert value(stranger, "select current_user") == running.user
            stranger.ask(query("set role shopper"))
            assert stranger.rows("select tenant from orders") == []


@pytest.mark.usefixtures("tables")
def test_ten_thousand_transactions_of_two_tenants_show_no_row_of_the_other(
    pool: StartPool,
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as even, client_of(running) as odd:
        tenants = ((even, b"0"), (odd, b"1"))
        for client, own in tenants:
            client.ask(query(f"set role shopper; set app.tenant = {own.decode()}"))
        said = query("select distinct tenant from orders")
        for _ in range(TENANT_TRANSACTIONS // len(tenants)):
            # Both at once: whoever is second waits for the one backend.
            for client, _own in tenants:
                client.send(said)
            for client, own in tenants:
                rows = [reply for reply in client.receive() if reply[0] == "D"]
                assert rows == [("D", own)]
        (pool_of_both,) = running.serving.server.pools.values()
        assert len(pool_of_both.backends) == 1


@pytest.mark.usefixtures("tables")
def test_setschema_and_setreadonly_of_jdbc_bind_one_connection_only(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as first, client_of(running) as second:
        first.ask(once("SET SESSION search_path TO 'tenant1'") + SYNC)
        first.ask(once("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY") + SYNC)

        assert value(second, "select count(*) from orders") == "10"
        second.ask(query("insert into orders values (2, 'written')"))
        assert value(second, "select count(*) from orders") == "11"
        assert value(first, "select count(*) from orders") == "0"
        assert "25006" in str(first.ask(query("insert into orders values ('no')")))


def test_time_zones_of_django_and_sqlalchemy_stay_apart(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    noon = "select '2024-06-01 12:00+00'::timestamptz"
    with client_of(running) as django, client_of(running, timezone="Asia/Tokyo") as other:
        django.ask(query("SELECT set_config('TimeZone', 'America/New_York', false)"))
        for _ in range(3):
            assert value(django, noon) == "2024-06-01 08:00:00-04"
            assert value(other, noon) == "2024-06-01 21:00:00+09"


def test_a_time_zone_set_when_sqlalchemy_connects_outlives_the_rollbacks_of_its_pool(
    pool: StartPool,
) -> None:
    """An event sets it on connecting; every return to SQLAlchemy's own pool is a ROLLBACK."""
    running = pool(default_pool_size=1)
    noon = "select '2024-06-01 12:00+00'::timestamptz"
    with client_of(running) as paris, client_of(running) as tokyo:
        for client, zone in ((paris, "Europe/Paris"), (tokyo, "Asia/Tokyo")):
            client.ask(query("BEGIN"))
            client.ask(once(f"SET TIME ZONE '{zone}'") + SYNC)
            client.ask(query("COMMIT"))
        for _ in range(3):
            for client, shown in (
                (paris, "2024-06-01 14:00:00+02"),
                (tokyo, "2024-06-01 21:00:00+09"),
            ):
                client.ask(query("BEGIN"))
                assert value(client, noon) == shown
                client.ask(query("ROLLBACK"))


def test_the_reset_of_asyncpgs_pool_goes_back_to_its_own_connections_settings(
    pool: StartPool,
) -> None:
    reset = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"
    running = pool(default_pool_size=1)
    with client_of(running, statement_timeout="77s") as client, client_of(running) as other:
        client.ask(query("set statement_timeout = '5s'; set work_mem = '5MB'"))
        client.ask(query(reset))
        assert value(client, "show statement_timeout") == "77s"
        assert value(client, "show work_mem") == "4MB"
        assert value(other, "show statement_timeout") == "0"
    assert running.serving.counters.pins == 0


def test_rails_quiets_its_own_notices_only(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    notice = query("do $$begin raise warning 'seen'; end$$")
    with client_of(running) as rails, client_of(running) as other:
        rails.ask(query("SET client_min_messages TO 'error'"))
        assert "seen" not in str(rails.ask(notice))
        assert "seen" in str(other.ask(notice))
        assert "seen" not in str(rails.ask(notice))


def test_a_statement_timeout_kills_nobody_elses_query(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as hasty, client_of(running) as patient:
        hasty.ask(query("set statement_timeout = '50ms'"))
        assert "57014" in str(hasty.ask(query("select pg_sleep(1)")))
        assert patient.rows("select pg_sleep(0.2)") == [("",)]


def test_a_timeout_that_stops_the_pools_own_questions_is_its_clients_business(
    pool: StartPool,
) -> None:
    """The pool once told the client of its own question's failure, and forgot the settings."""
    running = pool(default_pool_size=2)
    with client_of(running) as hasty, client_of(running) as other:
        hasty.ask(query("set work_mem = '7MB'; set statement_timeout = '1ms'"))
        for _ in range(20):
            assert value(other, "show statement_timeout") == "0"
            assert value(other, "show work_mem") == "4MB"
        hasty.ask(query("set statement_timeout = 0"))
        assert value(hasty, "show work_mem") == "7MB"


def test_a_migration_keeps_its_lock_until_it_gives_it_back(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as migration, client_of(running) as rival:
        migration.ask(query("select pg_advisory_lock(4242)"))
        for table in ("one", "two"):
            migration.ask(query(f"begin; create table {table} (a int); commit"))
            assert value(rival, "select pg_try_advisory_lock(4242)") == "f"
            assert value(rival, "select pg_advisory_unlock(4242)") == "f"
        migration.ask(query("drop table one, two"))
        assert value(migration, "select pg_advisory_unlock(4242)") == "t"
        for _ in range(2):
            # What is asked behind a request is settled before the next one is answered.
            migration.ask(query("select 1"))
        assert pinned(list(running.serving.server.sessions.values())) == []
        assert value(rival, "select pg_try_advisory_lock(4242)") == "t"


def test_a_temporary_table_is_there_in_the_next_transaction_and_only_for_its_client(
    pool: StartPool,
) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as report, client_of(running) as other:
        report.ask(query("create temp table totals as select 7 as n"))
        for _ in range(3):
            assert "42P01" in str(other.ask(query("select n from totals")))
            assert value(report, "select n from totals") == "7"
        report.say_goodbye()
    with client_of(running) as next_one, client_of(running) as another:
        assert "42P01" in str(next_one.ask(query("begin; select n from totals")))
        assert "42P01" in str(another.ask(query("select n from totals")))


def test_lastval_is_ones_own_or_an_error_and_never_anothers(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as first, client_of(running) as second:
        first.ask(query("create sequence ticket"))
        first.ask(query("begin; select nextval('ticket')"))
        assert value(first, "select lastval()") == "1"
        first.ask(query("commit"))
        assert "55000" in str(second.ask(query("begin; select lastval()")))
        second.ask(query("rollback; drop sequence ticket"))


def test_a_listener_hears_while_fifty_clients_share_the_other_backends(pool: StartPool) -> None:
    running = pool(default_pool_size=3)
    crowd = [client_of(running) for _ in range(50)]
    with client_of(running) as listener:
        listener.ask(query("listen orders_changed"))
        for number, client in enumerate(crowd):
            client.ask(query(f"notify orders_changed, '{number}'"))
        heard = listener.receive("A" * len(crowd))
        assert [reply[2] for reply in heard] == [str(number) for number in range(50)]
    for client in crowd:
        client.say_goodbye()
