"""RELOAD and SIGHUP: all of the new configuration or nothing of it, and no transaction lost."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.console import OPERATOR, PASSWORD, Operated, serving
from tests.support.program import Program
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def served(tmp_path: Path, postgres: LocalServer) -> Iterator[Operated]:
    with serving(Operated(tmp_path, postgres)) as running:
        yield running


def reload(served: Operated) -> None:
    served.write()
    assert served.tell("RELOAD") == "RELOAD"


def test_limits_take_effect_for_pools_that_are_at_work(served: Operated) -> None:
    with served.client() as client:
        client.execute("select 1")
        served.settings |= {"default_pool_size": "7", "query_timeout": "0.2"}
        reload(served)

        assert served.row("DATABASES", name="postgres")["pool_size"] == 7
        with pytest.raises(psycopg.OperationalError, match="query_timeout"):
            client.execute("select pg_sleep(2)")


def test_a_new_user_may_log_in_and_an_old_one_no_longer(served: Operated) -> None:
    served.secrets |= {"newcomer": PASSWORD}
    del served.secrets["stranger"]
    served.settings |= {"stats_users": "newcomer, stranger"}
    reload(served)

    assert served.show("VERSION", "newcomer")
    served.secrets |= {"stranger": PASSWORD}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        served.client("pgbouncer", "stranger")


def test_who_has_logged_in_before_is_looked_up_anew(served: Operated) -> None:
    old = served.url("postgres")
    psycopg.connect(old).close()
    served.secrets[served.postgres.user] = "another"
    reload(served)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)


def test_a_database_that_moves_gets_new_backends_after_the_transaction(served: Operated) -> None:
    place = served.databases["*"]
    served.databases = {"shop": f"{place} dbname=postgres"}
    reload(served)
    with served.client("shop") as client:
        client.execute("begin")
        held = client.execute("select pg_backend_pid(), current_database()").fetchone()
        served.databases = {"shop": f"{place} dbname=template1"}
        reload(served)

        assert client.execute("select pg_backend_pid(), current_database()").fetchone() == held
        client.execute("commit")
        assert client.execute("select current_database()").fetchone() == ("template1",)


def test_clients_of_a_database_that_is_gone_end_after_their_transaction(served: Operated) -> None:
    place = served.databases["*"]
    served.databases = {name: f"{place} dbname=postgres" for name in ("shop", "stays")}
    reload(served)
    with served.client("shop") as client, served.client("stays") as other:
        client.execute("begin")
        del served.databases["shop"]
        reload(served)

        assert client.execute("select 1").fetchone() == (1,)
        client.execute("commit")
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 1")
        assert other.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="no such database: shop"):
        served.client("shop")


@pytest.mark.parametrize(
    "broken",
    [
        {"query_timeout": "soon"},
        {"no_such_setting": "1"},
        {"auth_file": "/nowhere/users"},
        {"auth_type": "ldap"},
    ],
)
def test_one_broken_line_changes_nothing_and_is_named(
    served: Operated, broken: dict[str, str]
) -> None:
    before = served.show("CONFIG")
    served.settings |= {"default_pool_size": "9"} | broken
    served.write()
    with pytest.raises(psycopg.Error, match="RELOAD failed") as refused:
        served.tell("RELOAD")

    named = next(iter(broken.values() if "auth_file" in broken else broken))
    assert named in str(refused.value)
    assert served.show("CONFIG") == before
    with served.client() as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_what_only_a_restart_changes_stays_as_it_was(served: Operated) -> None:
    served.settings |= {"listen_backlog": "77", "query_timeout": "11"}
    reload(served)
    config = {row["key"]: row["value"] for row in served.show("CONFIG")}

    assert (config["listen_backlog"], config["query_timeout"]) == ("128", "11")


def test_set_lasts_until_the_next_reload(served: Operated) -> None:
    served.tell("SET query_timeout = 5")
    assert {row["key"]: row["value"] for row in served.show("CONFIG")}["query_timeout"] == "5"
    reload(served)

    assert {row["key"]: row["value"] for row in served.show("CONFIG")}["query_timeout"] == "0"


@pytest.fixture
def program(tmp_path: Path, postgres: LocalServer) -> Iterator[Program]:
    with Program(Operated(tmp_path, postgres)) as running:
        yield running


def test_sighup_reads_the_file_again(program: Program) -> None:
    program.operated.settings |= {"query_timeout": "13"}
    program.operated.write()
    program.send(signal.SIGHUP)
    program.wait_for("configuration reloaded")

    with program.client("pgbouncer", OPERATOR) as console:
        assert ("query_timeout", "13", "0", "yes") in console.execute("SHOW CONFIG").fetchall()


def test_sighup_with_a_broken_file_says_where_and_keeps_serving(program: Program) -> None:
    program.operated.settings |= {"query_timeout": "soon"}
    file = program.operated.write()
    program.send(signal.SIGHUP)

    assert f"{file}:" in program.wait_for("the old configuration stays")
    with program.client() as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_usr1_pauses_and_usr2_resumes(program: Program) -> None:
    with program.client() as client, program.client("pgbouncer", OPERATOR) as console:
        client.execute("select 1")
        program.send(signal.SIGUSR1)
        program.wait_for("got SIGUSR1")
        for _ in range(1_000):
            if ("paused", "yes") in console.execute("SHOW STATE").fetchall():
                break
        assert console.execute("SHOW SERVERS").fetchall() == []
        program.send(signal.SIGUSR2)

        assert client.execute("select 2").fetchone() == (2,)


def test_term_waits_for_those_who_are_there_and_a_second_one_does_not(program: Program) -> None:
    with program.client() as client:
        client.execute("select 1")
        program.send(signal.SIGTERM)
        program.wait_for("waiting for those that are here")
        with pytest.raises(psycopg.OperationalError):
            program.client()
        assert client.execute("select 2").fetchone() == (2,)
        program.send(signal.SIGTERM)
        program.wait_for("stopping at once")
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 3")
    assert program.end() == 0


def test_int_lets_a_transaction_end(program: Program) -> None:
    with program.client() as client:
        client.execute("begin")
        program.send(signal.SIGINT)
        program.wait_for("at their next transaction boundary")
        assert client.execute("select 1").fetchone() == (1,)
        client.execute("commit")
        assert program.end() == 0


def test_quit_stops_at_once(program: Program) -> None:
    with program.client() as client:
        client.execute("begin")
        program.send(signal.SIGQUIT)
        assert program.end() == 0
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 1")


@pytest.mark.slow
def test_reload_and_reconnect_under_load_fail_no_transaction(program: Program) -> None:
    script = program.operated.path / "script.sql"
    script.write_text("select 1;\n")
    load = subprocess.Popen(
        [
            *("pgbench", "-n", "-M", "prepared", "-c", "8", "-T", "4"),
            *("-h", "127.0.0.1", "-p", str(program.port)),
            *("-U", program.operated.postgres.user, "-f", str(script), "postgres"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PGPASSWORD": program.operated.postgres.password, "PATH": "/usr/bin:/bin"},
    )
    assert load.stdout is not None
    orders = 0
    with program.client("pgbouncer", OPERATOR) as console:
        while load.poll() is None:
            for command in ("RELOAD", "RECONNECT", "PAUSE", "RESUME"):
                console.execute(command)
            orders += 1
    said = load.stdout.read()
    load.stdout.close()

    assert load.returncode == 0, said
    assert "number of failed transactions: 0 " in said
    assert orders > 3
