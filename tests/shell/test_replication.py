"""Replication through the pool, with PostgreSQL's own programs and psycopg2: a walsender each."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from protocol import frontend
from tests.conftest import unavailable
from tests.support.certificates import certificate
from tests.support.console import OPERATOR, Operated, serving
from tests.support.raw import RawClient
from trio_pool.embedded import LocalServer, local_postgres
from trio_pool.wire import UNSENT_BYTES_MAX

pytestmark = pytest.mark.postgres

# Watchdogs, not measurements.
PATIENCE_SECONDS = 60.0
SETTINGS = {"wal_level": "logical", "max_wal_senders": 10, "max_replication_slots": 10}


@pytest.fixture(scope="module")
def source() -> Iterator[LocalServer]:
    """A server that others may replicate from, with a table and a slot's worth of room."""
    with local_postgres(settings=SETTINGS) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("create table noted (n int)")
        yield server


@pytest.fixture
def operated(tmp_path: Path, source: LocalServer) -> Operated:
    return Operated(tmp_path, source)


def program(running: Operated, name: str, *words: str, database: str = "replication") -> str:
    """Run one of PostgreSQL's programs against the pool; what it printed."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"{name} is not on PATH")
    done = subprocess.run(
        [path, "--dbname", running.url(database), "--no-password", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw(running: Operated, kind: str, database: str = "postgres", **more: str) -> RawClient:
    assert running.serving is not None
    address = next(a for a in running.serving.addresses if isinstance(a, tuple))
    return RawClient(
        address,
        user=running.postgres.user,
        database=database,
        password=running.postgres.password,
        parameters={"replication": kind, **more},
        patience=PATIENCE_SECONDS,
    )


def scalar(running: Operated, sql: str) -> str:
    """The first value that the server itself answers; what it wrote has been flushed then."""
    flushed = "-c synchronous_commit=on"
    with psycopg.connect(running.postgres.url(), autocommit=True, options=flushed) as direct:
        row = direct.execute(sql).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return str(row[0])


@pytest.mark.hard_case(180)
@pytest.mark.parametrize("kind", ["true", "1", "on", "yes"])
def test_a_physical_walsender_speaks_its_own_language(operated: Operated, kind: str) -> None:
    with serving(operated) as running, raw(running, kind) as client:
        (row,) = client.rows("IDENTIFY_SYSTEM")

        assert row[0] == scalar(running, "select system_identifier from pg_control_system()")
        assert client.rows("SHOW wal_level") == [("logical",)]
        # What a server refuses is refused in its own words, and the connection lives.
        errors = [r for r in client.ask(frontend.query(b"select 1")) if r[0] == "E"]
        assert "cannot execute SQL commands in WAL sender for physical replication" in str(errors)
        assert client.status == "I"


@pytest.mark.hard_case(180)
def test_a_logical_walsender_runs_sql_too_with_the_settings_of_its_client(
    operated: Operated,
) -> None:
    settings = {"application_name": "scribe", "options": "-c work_mem=777kB"}
    with serving(operated) as running, raw(running, "database", **settings) as client:
        assert client.rows("SHOW work_mem") == [("777kB",)]
        assert client.parameters["application_name"] == "scribe"
        assert client.rows("select current_database()") == [("postgres",)]
        client.rows("CREATE_REPLICATION_SLOT spare TEMPORARY LOGICAL test_decoding")


def test_a_word_that_is_no_kind_of_replication_is_refused_as_by_the_server(
    operated: Operated,
) -> None:
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(running.url("postgres") + "&replication=maybe")

    assert 'invalid value for parameter "replication": "maybe"' in str(refused.value)


def test_a_base_backup_with_its_wal_is_whole(operated: Operated) -> None:
    target = operated.path / "backup"
    with serving(operated) as running:
        program(
            *(running, "pg_basebackup", "--pgdata", str(target), "--wal-method=stream"),
            *("--checkpoint=fast", "--no-sync"),
        )
        verify = shutil.which("pg_verifybackup")
        if verify is None:
            unavailable("pg_verifybackup is not on PATH")
        done = subprocess.run([verify, str(target)], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr
        gone(running)


def test_pg_receivewal_receives_what_is_written(operated: Operated) -> None:
    target = operated.path / "wal"
    target.mkdir()
    with serving(operated) as running:
        program(running, "pg_receivewal", "--create-slot", "--slot=streamed")
        # It begins with the present segment, and stops at the first record beyond this place.
        end = scalar(running, "select pg_current_wal_flush_lsn()")
        scalar(running, "insert into noted select generate_series(1, 1000) returning n")
        program(
            *(running, "pg_receivewal", "--directory", str(target), "--slot=streamed"),
            *("--endpos", end, "--no-loop", "--no-sync"),
        )
        program(running, "pg_receivewal", "--drop-slot", "--slot=streamed")

        assert [file.name for file in target.iterdir() if len(file.stem) == 24]


def test_pg_recvlogical_receives_every_change(operated: Operated) -> None:
    out = operated.path / "changes"
    slot = ("--slot=decoded",)
    with serving(operated) as running:
        create = ("--create-slot", "--plugin=test_decoding")
        program(running, "pg_recvlogical", *slot, *create, database="postgres")
        scalar(running, "insert into noted values (4711) returning n")
        end = scalar(running, "select pg_current_wal_flush_lsn()")
        start = ("--start", "--endpos", end, "--file", str(out), "--no-loop")
        program(running, "pg_recvlogical", *slot, *start, database="postgres")
        program(running, "pg_recvlogical", *slot, "--drop-slot", database="postgres")

    assert "table public.noted: INSERT: n[integer]:4711" in out.read_text()


@pytest.mark.hard_case(146)
def test_psycopg2_streams_and_confirms_what_it_has_read(operated: Operated) -> None:
    with serving(operated) as running:
        client = psycopg2.connect(
            running.url("postgres"), connection_factory=psycopg2.extras.LogicalReplicationConnection
        )
        cursor = client.cursor()
        cursor.create_replication_slot("followed", output_plugin="test_decoding")
        cursor.start_replication(slot_name="followed", decode=True)
        scalar(running, "insert into noted values (815) returning n")
        heard: list[str] = []

        def consume(message: psycopg2.extras.ReplicationMessage) -> None:
            heard.append(message.payload)
            message.cursor.send_feedback(flush_lsn=message.data_start, force=True)
            if message.payload.startswith("COMMIT"):
                raise psycopg2.extras.StopReplication

        with pytest.raises(psycopg2.extras.StopReplication):
            cursor.consume_stream(consume)
        assert any("n[integer]:815" in text for text in heard)
        client.close()
        gone(running)
        scalar(running, "select pg_drop_replication_slot('followed')")


def replicating(running: Operated) -> list[dict[str, object]]:
    return [row for row in running.show("CLIENTS") if row["replication"] != "none"]


def gone(running: Operated) -> None:
    """Wait until the server has noticed that its walsenders' clients have left."""
    with psycopg.connect(running.postgres.url(), autocommit=True) as direct:
        for _ in range(2_000):
            (row,) = direct.execute("select count(*) from pg_stat_replication").fetchall()
            if row == (0,):
                return
            direct.execute("select pg_sleep(0.02)")
    raise AssertionError("a walsender outlived its client")


def test_the_console_shows_both_ends_as_pgbouncer_does(operated: Operated) -> None:
    with serving(operated) as running, raw(running, "true", application_name="copy") as physical:
        with raw(running, "database") as logical:
            clients, servers = running.show("CLIENTS"), running.show("SERVERS")
            kinds = sorted(str(row["replication"]) for row in clients if row["type"] == "C")
            assert kinds == ["logical", "physical"]
            (client,) = [row for row in clients if row["replication"] == "physical"]
            (server,) = [row for row in servers if row["replication"] == "physical"]
            assert (client["link"], server["link"]) == (server["ptr"], client["ptr"])
            assert client["application_name"] == server["application_name"] == "copy"
            assert client["state"] == server["state"] == "active"
            pids = scalar(
                running,
                "select array_agg(pid) from pg_stat_activity where backend_type = 'walsender'",
            )
            assert str(server["remote_pid"]) in pids
            assert running.row("POOLS", database="postgres")["cl_active"] == 2
            assert running.row("DATABASES", name="postgres")["current_connections"] == 2
            logical.close()
        physical.close()
        gone(running)


def test_it_counts_in_the_limits_and_takes_the_place_of_an_idle_backend(
    operated: Operated,
) -> None:
    operated.settings |= {"max_db_connections": "1", "query_wait_timeout": "1"}
    with serving(operated) as running:
        with running.client() as ordinary:
            assert ordinary.execute("select 1").fetchone() == (1,)
        with raw(running, "true") as client:
            assert client.rows("SHOW wal_level") == [("logical",)]
            with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
                psycopg.connect(running.url("postgres") + "&replication=true")
            client.say_goodbye()
        with running.client() as ordinary:
            assert ordinary.execute("select 1").fetchone() == (1,)


def test_one_that_cannot_be_used_does_not_count_in_the_limits(operated: Operated) -> None:
    operated.settings |= {"max_db_connections": "1", "query_wait_timeout": "60"}
    with serving(operated) as running:
        # Limit: the system counts to 127 (tcp(7)).
        running.tell("SET tcp_keepcnt = 1000")
        with pytest.raises(psycopg.OperationalError, match="Invalid argument"):
            psycopg.connect(running.url("postgres") + "&replication=true")
        gc.collect()
        running.tell("SET tcp_keepcnt = 0")

        with raw(running, "true") as client:
            assert client.rows("SHOW wal_level") == [("logical",)]


def test_a_cancel_request_reaches_the_walsender(operated: Operated) -> None:
    with serving(operated) as running, raw(running, "database") as client:
        client.send(frontend.query(b"select pg_sleep(60)"))
        # A signal that comes before the server has read its query is lost, as on a private one.
        activity = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'"
        for _ in range(2_000):
            if scalar(running, f"{activity} and state = 'active'") == "1":
                break
        client.cancel()
        (error,) = [reply for reply in client.receive() if reply[0] == "E"]

        assert "canceling statement due to user request" in str(error)
        assert client.rows("select 1") == [("1",)]


def test_the_servers_own_reason_is_told_to_who_may_not_replicate(operated: Operated) -> None:
    with psycopg.connect(operated.postgres.url(), autocommit=True) as direct:
        direct.execute("create role plain login password 'plain'")
        operated.secrets["plain"] = "plain"
        with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(running.url("postgres", "plain") + "&replication=true")
        direct.execute("drop role plain")

    assert "must be superuser or replication role to start walsender" in str(
        refused.value
    ) or "permission denied to start WAL sender" in str(refused.value)


def test_hba_has_a_keyword_for_the_physical_kind_alone(operated: Operated) -> None:
    operated.settings |= {"auth_type": "hba", "auth_hba_file": str(operated.path / "hba")}
    (operated.path / "hba").write_text("host all all all scram-sha-256\n")
    with serving(operated) as running:
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            psycopg.connect(running.url("postgres") + "&replication=true")
        raw(running, "database").close()
        (operated.path / "hba").write_text(
            "host replication all all scram-sha-256\nhost pgbouncer all all scram-sha-256\n"
        )
        running.tell("RELOAD")
        raw(running, "true").close()
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            psycopg.connect(running.url("postgres") + "&replication=database")
        gone(running)


def test_the_console_takes_none(operated: Operated) -> None:
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(running.url("pgbouncer", OPERATOR) + "&replication=true")

    assert "the console takes no replication connections" in str(refused.value)


@pytest.mark.parametrize("order", ["KILL_CLIENT", "KILL"])
def test_an_operator_ends_it_and_the_client_is_told(operated: Operated, order: str) -> None:
    with serving(operated) as running, raw(running, "true") as client:
        (row,) = replicating(running)
        running.tell(f"KILL_CLIENT {row['id']}" if order == "KILL_CLIENT" else "KILL postgres")

        assert "admin forced disconnect" in str(client.receive("closed"))
        gone(running)


def test_who_replicates_does_not_hold_up_the_end(operated: Operated) -> None:
    with serving(operated) as running, raw(running, "true") as client:
        running.tell("SHUTDOWN WAIT_FOR_SERVERS")

        assert "server shutting down" in str(client.receive("closed"))


def test_a_walsender_that_dies_takes_its_client_along(operated: Operated) -> None:
    with serving(operated) as running, raw(running, "true") as client:
        ended = threading.Thread(
            target=scalar,
            args=(running, "select pg_terminate_backend(pid) from pg_stat_replication"),
        )
        ended.start()

        assert "terminating connection due to administrator command" in str(
            client.receive("closed")
        )
        ended.join()
        assert not replicating(running)


def test_who_does_not_read_makes_the_server_wait_and_misses_nothing(operated: Operated) -> None:
    with serving(operated) as running, raw(running, "true") as client:
        client.send(frontend.query(b"BASE_BACKUP (CHECKPOINT 'fast', MANIFEST 'no')"))
        before = -1
        while (unsent := unsent_to(running)) == 0 or unsent != before:
            before = unsent
        # One read beyond the mark at which the server is no longer read from.
        assert unsent <= 2 * UNSENT_BYTES_MAX
        replies = client.receive()

        assert [reply[0] for reply in replies if reply[0] not in "dTD"][-1] == "Z"
        assert sum(len(bytes(reply[1])) for reply in replies if reply[0] == "d") > 5_000_000  # type: ignore[call-overload]


def unsent_to(running: Operated) -> int:
    """Bytes that the pool has for the physical client, after the backend had time to say more."""
    scalar(running, "select pg_sleep(0.1)")
    row = running.row("SOCKETS", type="C", replication="physical")
    return int(str(row["send_avail"]))


def test_a_role_that_is_looked_up_replicates_as_itself(operated: Operated) -> None:
    """The story: another pooler lost the looked-up secret on its way to the walsender."""
    operated.settings |= {"auth_user": operated.postgres.user}
    with psycopg.connect(operated.postgres.url(), autocommit=True) as direct:
        direct.execute("create role standby login replication password 'stand by'")
        operated.secrets["standby"] = "stand by"
        with serving(operated) as running:
            users = operated.path / "users"
            known = users.read_text().splitlines()
            users.write_text("\n".join(x for x in known if not x.startswith('"standby"')) + "\n")
            running.tell("RELOAD")
            url = running.url("postgres", "standby") + "&replication=true"
            assert shown_by_psql(url, "SHOW wal_level") == "logical"
            gone(running)
        direct.execute("drop role standby")


def test_it_comes_encrypted_as_any_other(operated: Operated) -> None:
    chain, key = certificate("rsa", "sha256").write(operated.path, "pool")
    operated.settings |= {
        "client_tls_sslmode": "require",
        "client_tls_cert_file": str(chain),
        "client_tls_key_file": str(key),
    }
    target = operated.path / "backup"
    with serving(operated) as running:
        options = ("--wal-method=stream", "--checkpoint=fast", "--no-sync")
        program(running, "pg_basebackup", "--pgdata", str(target), *options)
        assert (target / "PG_VERSION").is_file()
        gone(running)


def shown_by_psql(url: str, command: str) -> str:
    """What psql shows of a replication command, which no driver sends as it is."""
    path = shutil.which("psql")
    if path is None:
        unavailable("psql is not on PATH")
    done = subprocess.run(
        [path, "-XAtq", "-d", url, "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
