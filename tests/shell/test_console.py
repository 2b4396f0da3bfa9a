"""The operator's console on a running pool: who may enter, what is shown, and what orders do."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from protocol import frontend
from tests.support.console import OPERATOR, STRANGER, WATCHER, Operated, serving
from tests.support.raw import RawClient
from trio_pool.console import TABLES
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres
PATIENCE_SECONDS = 20
# Tables that have nothing to show of a pool at rest.
EMPTY = {
    *("ACTIVE_SOCKETS", "CHANNELS", "DNS_HOSTS", "DNS_ZONES", "PEERS", "PEER_POOLS"),
    *("PINS", "PREPARED"),
}


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    """A pool that is described and not yet started."""
    return Operated(tmp_path, postgres)


@pytest.fixture
def served(operated: Operated) -> Iterator[Operated]:
    """A pool with the settings that most tests want."""
    with serving(operated):
        yield operated


def refusal(operated: Operated, command: str, user: str = OPERATOR) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as refused:
        operated.tell(command, user)
    return refused.value


class InBackground:
    """One command of the console that may take a while, in a thread of its own."""

    def __init__(self, operated: Operated, command: str) -> None:
        self.outcome: str | psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, args=(operated, command), daemon=True)
        self._thread.start()

    def _run(self, operated: Operated, command: str) -> None:
        try:
            self.outcome = operated.tell(command)
        except psycopg.Error as error:
            self.outcome = error

    def result(self) -> str | psycopg.Error | None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the command did not come to an end"
        return self.outcome


def wait_until(operated: Operated, table: str, **values: object) -> None:
    """Ask the console until a row says so; every question is a round trip."""
    for _ in range(1_000):
        if any(values.items() <= row.items() for row in operated.show(table)):
            return
    pytest.fail(f"SHOW {table} never said {values}")


# Who may enter.


def test_who_is_in_neither_list_is_not_let_in(served: Operated) -> None:
    with pytest.raises(psycopg.OperationalError, match="not allowed"):
        served.client("pgbouncer", STRANGER)


def test_a_stats_user_may_look_and_nothing_else(served: Operated) -> None:
    assert served.show("VERSION", WATCHER) == [{"version": "PgBouncer 1.25.2"}]
    for command in ("PAUSE", "RELOAD", "SHUTDOWN", "SET query_timeout = 1", "SHOW FDS"):
        refused = refusal(served, command, WATCHER)
        assert refused.sqlstate == "42501"
        assert "admin access needed" in str(refused)


def test_a_wrong_password_is_refused_at_the_console_too(served: Operated) -> None:
    url = served.url("pgbouncer", OPERATOR).replace(":at%20", ":at%20not%20")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_our_own_account_enters_without_a_password_over_the_unix_socket(
    operated: Operated, tmp_path: Path
) -> None:
    operated.settings |= {"unix_socket_dir": str(tmp_path)}
    with serving(operated) as running:
        assert running.serving is not None
        path = next(a for a in running.serving.addresses if isinstance(a, str))
        port = path.rpartition(".")[2]
        place = f"host={tmp_path} port={port} dbname=pgbouncer"
        with psycopg.connect(f"{place} user=pgbouncer", autocommit=True) as console:
            assert console.execute("RELOAD").statusmessage == "RELOAD"
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"{place} user={OPERATOR}")


def test_max_client_conn_keeps_nobody_from_the_console(operated: Operated) -> None:
    operated.settings |= {"max_client_conn": "1"}
    with serving(operated) as running, running.client() as client:
        client.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="max_client_conn"):
            running.client()

        assert running.row("POOLS", database="postgres")["cl_active"] == 1


# What is shown.


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("binary", [False, True])
def test_every_table_is_shown_in_both_protocols(served: Operated, table: str, binary: bool) -> None:
    with served.client() as client, served.client("pgbouncer", OPERATOR) as console:
        client.execute("select 1", prepare=True)
        cursor = console.execute(f"SHOW {table}", binary=binary, prepare=binary)
        rows = cursor.fetchall()

        assert cursor.description is not None
        assert [column.name for column in cursor.description] == [
            column.name.decode() for column in TABLES[table]
        ]
        assert cursor.statusmessage == "SHOW"
        assert rows or table in EMPTY


def test_clients_and_servers_are_shown_with_who_holds_whom(served: Operated) -> None:
    with served.client() as busy, served.client() as idle:
        busy.execute("begin")
        busy.execute("select set_config('application_name', 'tills', false)")
        idle.execute("select 1")
        rows = {row["state"]: row for row in served.show("CLIENTS")}
        server = served.row("SERVERS", state="active")

        assert set(rows) == {"active", "idle"}
        assert rows["active"]["link"] == server["ptr"]
        assert server["link"] == rows["active"]["ptr"]
        assert server["remote_pid"] == busy.execute("select pg_backend_pid()").fetchone()[0]  # type: ignore[index]
        assert (rows["active"]["user"], rows["active"]["addr"]) == (
            served.postgres.user,
            "127.0.0.1",
        )


def test_a_client_that_waits_is_shown_waiting(operated: Operated) -> None:
    operated.settings |= {"default_pool_size": "1"}
    with serving(operated) as running, running.client() as first:
        first.execute("begin")
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        user = running.postgres
        with RawClient(address, user=user.user, password=user.password) as second:
            second.send(frontend.query(b"select 1"))
            wait_until(running, "CLIENTS", state="waiting")

            pool = running.row("POOLS", database="postgres")
            assert (pool["cl_active"], pool["cl_waiting"]) == (1, 1)
            assert (pool["sv_active"], pool["sv_idle"]) == (1, 0)
            first.execute("commit")
            assert second.receive()[-1] == ("Z", "I")


def test_the_figures_of_a_database_grow_with_what_its_clients_do(served: Operated) -> None:
    with served.client() as client:
        before = {"xact_count": 0, "query_count": 0, "server_assignment_count": 0}
        for row in served.show("STATS_TOTALS"):
            if row["database"] == "postgres":
                before = {name: row[name] for name in before}  # type: ignore[misc]
        for _ in range(5):
            client.execute("select 1")
        with client.transaction():
            client.execute("select 2")
            client.execute("select 3")
        after = served.row("STATS_TOTALS", database="postgres")

    grown = {name: after[name] - before[name] for name in before}  # type: ignore[operator]
    assert grown == {"xact_count": 6, "query_count": 9, "server_assignment_count": 6}
    assert after["bytes_received"] > 0  # type: ignore[operator]
    assert after["bytes_sent"] > after["bytes_received"]  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_time_between_statements_is_the_transactions_and_no_querys(
    operated: Operated, mode: str
) -> None:
    operated.settings |= {"pool_mode": mode}
    with (
        serving(operated) as running,
        running.client("template1") as client,
        running.client() as other,
    ):
        client.execute("select 1")
        other.execute("select pg_sleep(0.4)")
        client.execute("begin")
        client.execute("select pg_sleep(0.2)")
        other.execute("select pg_sleep(0.3)")
        client.execute("commit")
        shown = running.row("STATS_TOTALS", database="template1")
    between = int(str(shown["xact_time"])) - int(str(shown["query_time"]))

    assert int(str(shown["query_time"])) >= 200_000
    assert between >= 300_000
    # Nor does the time between transactions count, whoever keeps a backend meanwhile.
    assert (shown["xact_count"], shown["query_count"]) == (2, 4)


def test_a_prepared_statement_is_shown_where_it_is_prepared(served: Operated) -> None:
    with served.client() as client:
        client.execute("select %s::int + 41", (1,), prepare=True)
        shown = served.row("PREPARED", database="postgres")

        assert shown["statement"] == "select $1::int + 41"
        assert shown["uses"] == 1


def test_a_pinned_client_is_shown_with_its_reason(served: Operated) -> None:
    with served.client() as client:
        client.execute("create temporary table basket (n int)")

        row = served.row("PINS")
        assert row["reason"] == "temporary objects"
        assert row["statement"] == "create temporary table basket (n int)"


def test_the_configuration_is_shown_as_it_is(served: Operated) -> None:
    shown = {row["key"]: row for row in served.show("CONFIG")}

    assert shown["default_pool_size"]["value"] == "2"
    assert shown["default_pool_size"]["default"] == "20"
    assert shown["listen_addr"]["changeable"] == "no"
    assert shown["query_timeout"]["changeable"] == "yes"


def test_help_is_a_notice(served: Operated) -> None:
    with served.client("pgbouncer", OPERATOR) as console:
        notices: list[str] = []
        console.add_notice_handler(lambda notice: notices.append(notice.message_detail or ""))
        assert console.execute("SHOW HELP").statusmessage == "SHOW"

    assert "SHOW PEERS|PEER_POOLS" in notices[0]


# Drivers.


def test_psql_works_on_the_console(served: Operated) -> None:
    done = subprocess.run(
        ["psql", "-X", "-At", served.url("pgbouncer", OPERATOR)],
        input="show version;\n-- a comment\n;\nbegin; show state; commit;\nfly;\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )

    assert done.stdout.splitlines() == [
        *("PgBouncer 1.25.2", "BEGIN", "active|yes", "paused|no", "suspended|no", "COMMIT"),
    ]
    assert "invalid command 'fly', use SHOW HELP;" in done.stderr


def test_psycopg_works_on_the_console_in_a_transaction(served: Operated) -> None:
    with psycopg.connect(served.url("pgbouncer", OPERATOR)) as console, console.transaction():
        assert console.execute("SHOW VERSION", prepare=True).fetchone() == ("PgBouncer 1.25.2",)


async def _with_asyncpg(url: str) -> tuple[object, ...]:
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    try:
        async with pool.acquire() as console:
            await console.fetch("SHOW STATS")
        async with pool.acquire() as console, console.transaction():
            lists = await console.fetch("SHOW LISTS")
            return lists[0]["list"], await console.fetchval("SHOW VERSION")
    finally:
        await pool.close()


def test_asyncpg_works_on_the_console(served: Operated) -> None:
    import asyncio

    found = asyncio.run(_with_asyncpg(served.url("pgbouncer", OPERATOR)))

    assert found == ("databases", "PgBouncer 1.25.2")


# Orders.


def test_pause_waits_for_the_transaction_and_holds_up_what_follows(served: Operated) -> None:
    with served.client() as busy, served.client() as other:
        other.execute("select 1")
        busy.execute("begin")
        pause = InBackground(served, "PAUSE")
        wait_until(served, "STATE", key="paused", value="yes")
        late = RawClient(
            next(a for a in served.serving.addresses if isinstance(a, tuple)),  # type: ignore[union-attr]
            user=served.postgres.user,
            password=served.postgres.password,
        )
        late.send(frontend.query(b"select 7"))
        busy.execute("select 1")
        busy.execute("commit")

        assert pause.result() == "PAUSE"
        assert served.show("SERVERS") == []
        assert served.tell("RESUME") == "RESUME"
        assert ("D", b"7") in late.receive()
        assert busy.execute("select 8").fetchone() == (8,)
        late.close()


def test_resume_ends_a_pause_that_still_waits(served: Operated) -> None:
    with served.client() as busy:
        busy.execute("begin")
        pause = InBackground(served, "PAUSE")
        wait_until(served, "STATE", key="paused", value="yes")
        assert served.tell("RESUME") == "RESUME"

        outcome = pause.result()
        assert isinstance(outcome, psycopg.Error)
        assert "ended by RESUME" in str(outcome)
        assert busy.execute("select 1").fetchone() == (1,)


def test_a_pause_that_is_broken_off_is_taken_back(served: Operated) -> None:
    with served.client() as busy, served.client("pgbouncer", OPERATOR) as console:
        busy.execute("begin")
        pause = threading.Thread(target=lambda: interrupted.append(outcome_of(console, "PAUSE")))
        interrupted: list[str] = []
        pause.start()
        wait_until(served, "STATE", key="paused", value="yes")
        console.cancel_safe(timeout=PATIENCE_SECONDS)
        pause.join(PATIENCE_SECONDS)

        assert interrupted == ["57014"]
        assert served.row("STATE", key="paused")["value"] == "no"
        assert busy.execute("select 1").fetchone() == (1,)


def outcome_of(console: psycopg.Connection, command: str) -> str:
    """The tag of a command, or the SQLSTATE of its error."""
    try:
        return console.execute(command).statusmessage or ""
    except psycopg.Error as error:
        return error.sqlstate or ""


def test_pause_of_one_database_leaves_the_others_alone(served: Operated) -> None:
    with served.client("postgres") as one, served.client("template1") as other:
        one.execute("select 1")
        assert served.tell("PAUSE postgres") == "PAUSE"

        assert served.row("DATABASES", name="postgres")["paused"] == 1
        assert other.execute("select 1").fetchone() == (1,)
        assert served.tell("RESUME postgres") == "RESUME"
        assert one.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("command", "says", "sqlstate"),
    [
        ("RESUME", "pooler is not paused/suspended", "55000"),
        ("RESUME postgres", "database postgres is not paused", "55000"),
        ("PAUSE pgbouncer", "cannot pause admin db: pgbouncer", "55000"),
        ("DISABLE", "a database is required", "42601"),
        ("KILL_CLIENT 999", "client not found", "42704"),
        ("KILL_CLIENT x", "invalid client pointer supplied", "22023"),
        ("SET no_such = 1", "SET failed: unknown setting 'no_such'", "F0000"),
        ("SET query_timeout = soon", "SET failed", "F0000"),
        ("SET listen_port = 1", "cannot be changed while the pooler runs", "F0000"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    served: Operated, command: str, says: str, sqlstate: str
) -> None:
    refused = refusal(served, command)

    assert says in str(refused)
    assert refused.sqlstate == sqlstate


def test_an_unknown_database_is_refused(operated: Operated) -> None:
    operated.databases = {"shop": operated.databases["*"] + " dbname=postgres"}
    with serving(operated) as running:
        for verb in ("PAUSE", "RESUME", "KILL", "RECONNECT", "DISABLE", "ENABLE", "WAIT_CLOSE"):
            refused = refusal(running, f"{verb} nowhere")
            assert "no such database: nowhere" in str(refused)
            assert refused.sqlstate == "3D000"


def test_kill_ends_clients_at_once_and_new_ones_wait_for_resume(served: Operated) -> None:
    with served.client() as victim:
        victim.execute("begin")
        assert served.tell("KILL postgres") == "KILL"
        with pytest.raises(psycopg.OperationalError, match="admin forced disconnect") as told:
            victim.execute("select 1")

        assert told.value.sqlstate == "57P01"
        assert served.row("DATABASES", name="postgres")["paused"] == 1
        assert served.tell("RESUME postgres") == "RESUME"
        with served.client() as next_one:
            assert next_one.execute("select 1").fetchone() == (1,)


def test_kill_client_ends_that_client_alone(served: Operated) -> None:
    with served.client() as victim, served.client() as other:
        victim.execute("select set_config('application_name', 'victim', false)")
        number = served.row("CLIENTS", application_name="victim")["id"]
        assert served.tell(f"KILL_CLIENT {number}") == "KILL_CLIENT"

        with pytest.raises(psycopg.OperationalError, match="admin forced disconnect"):
            victim.execute("select 1")
        assert other.execute("select 1").fetchone() == (1,)


def test_reconnect_replaces_every_backend_and_no_client_notices(served: Operated) -> None:
    with served.client() as busy, served.client() as idle:
        before = idle.execute("select pg_backend_pid()").fetchone()
        busy.execute("begin")
        held = busy.execute("select pg_backend_pid()").fetchone()
        assert served.tell("RECONNECT") == "RECONNECT"
        assert served.row("SERVERS", state="active")["close_needed"] == 1
        close = InBackground(served, "WAIT_CLOSE")
        assert busy.execute("select pg_backend_pid()").fetchone() == held
        busy.execute("commit")

        assert close.result() == "WAIT_CLOSE"
        pids = {client.execute("select pg_backend_pid()").fetchone() for client in (busy, idle)}
        assert not pids & {before, held}


def test_a_disabled_database_takes_no_new_clients_until_it_is_enabled(served: Operated) -> None:
    with served.client() as present:
        assert served.tell("DISABLE postgres") == "DISABLE"
        with pytest.raises(psycopg.OperationalError, match='database "postgres" is disabled'):
            served.client()
        assert present.execute("select 1").fetchone() == (1,)

        assert served.tell("ENABLE postgres") == "ENABLE"
        with served.client() as new:
            assert new.execute("select 1").fetchone() == (1,)


def test_suspend_holds_everything_still_and_resume_loses_nothing(served: Operated) -> None:
    with served.client("pgbouncer", OPERATOR) as console, served.client() as client:
        client.execute("select 1")
        assert console.execute("SUSPEND").statusmessage == "SUSPEND"
        address = next(a for a in served.serving.addresses if isinstance(a, tuple))  # type: ignore[union-attr]
        later = RawClient(address, log_in=False)
        later.send(frontend.query(b"not even read"))
        assert ("suspended", "yes") in console.execute("SHOW STATE").fetchall()
        assert later.receive_until_quiet() == []

        assert console.execute("RESUME").statusmessage == "RESUME"
        assert client.execute("select 2").fetchone() == (2,)
        later.close()


def test_nobody_is_late_for_what_was_held_up_by_suspend(served: Operated) -> None:
    """What came meanwhile is read first; only then does anybody look at the clock again."""
    assert served.tell("SET idle_transaction_timeout = 2") == "SET idle_transaction_timeout=2"
    address = next(a for a in served.serving.addresses if isinstance(a, tuple))  # type: ignore[union-attr]
    server = served.postgres
    with (
        served.client("pgbouncer", OPERATOR) as console,
        psycopg.connect(server.url(), autocommit=True) as direct,
        RawClient(address, user=server.user, password=server.password) as client,
    ):
        assert client.ask(frontend.query(b"begin"))[-1] == ("Z", "T")
        assert console.execute("SUSPEND").statusmessage == "SUSPEND"
        client.send(frontend.query(b"select 'in time'"))
        # Longer than the timeout, and some rounds of the janitor.
        direct.execute("select pg_sleep(2.3)")

        assert console.execute("RESUME").statusmessage == "RESUME"
        assert ("D", b"in time") in client.receive()


def test_all_goes_on_when_the_last_console_leaves_in_suspension(served: Operated) -> None:
    with served.client() as client:
        assert served.tell("SUSPEND") == "SUSPEND"

        assert client.execute("select 2").fetchone() == (2,)


def test_set_takes_effect_at_once_for_those_who_are_there(served: Operated) -> None:
    with served.client() as client:
        assert served.tell("SET query_timeout = 0.2") == "SET query_timeout=0.2"
        with pytest.raises(psycopg.OperationalError, match="query_timeout"):
            client.execute("select pg_sleep(2)")


@pytest.mark.parametrize("how", ["WAIT_FOR_SERVERS", "WAIT_FOR_CLIENTS", ""])
def test_shutdown_ends_the_pool_in_its_own_way(served: Operated, how: str) -> None:
    with served.client() as client:
        client.execute("begin")
        if not how:
            with pytest.raises(psycopg.OperationalError):
                served.tell("SHUTDOWN")
            with pytest.raises(psycopg.OperationalError):
                client.execute("select 1")
            return
        assert served.tell(f"SHUTDOWN {how}") == "SHUTDOWN"
        with pytest.raises(psycopg.OperationalError):
            served.client()
        assert client.execute("select 1").fetchone() == (1,)
        client.execute("commit")
        if how == "WAIT_FOR_CLIENTS":
            assert client.execute("select 2").fetchone() == (2,)
        else:
            with pytest.raises(psycopg.OperationalError):
                client.execute("select 2")
