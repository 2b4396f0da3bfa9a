"""A table of every setting and every command: what is done with it, and where it is seen.

Each function of `seen` is handed a pool in which the setting has been SET, a database of its own
(so pools do not mix), and looks. What other files show already is named in SHOWN_IN; a setting
without meaning has its reason in the configuration's table. Whatever is missing fails.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from protocol import frontend, startup
from tests.support.console import OPERATOR, PATIENCE_SECONDS, STRANGER, Operated, serving
from tests.support.raw import RawClient
from trio_pool.config import SETTINGS
from trio_pool.config.databases import KEYS
from trio_pool.config.users import USER_KEYS
from trio_pool.conform.replies import field
from trio_pool.console import TABLES
from trio_pool.console.command import VERBS
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres
HERE: Final = Path(__file__).parent

Look = Callable[[Operated, str], None]
TABLE: Final[dict[str, tuple[dict[str, str], Look]]] = {}
# What cannot be SET while the pool runs, so the shared one starts with it.
AT_THE_START: Final = {"listen_backlog": "77"}


def seen(name: str, value: str, **others: str) -> Callable[[Look], Look]:
    """`name` is SET to `value` (and `others` to theirs) when the function looks."""

    def note(look: Look) -> Look:
        TABLE[name] = ({name: value, **others}, look)
        return look

    return note


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, postgres: LocalServer) -> Iterator[Operated]:
    """The one pool, with a database for each row."""
    operated = Operated(tmp_path_factory.mktemp("settings"), postgres)
    place = f"host={postgres.host} port={postgres.port} dbname=postgres"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        operated.settings |= AT_THE_START
        operated.databases |= {f"for_{name}": place for name in TABLE}
        operated.databases |= {
            "silent": f"host=127.0.0.1 port={port}",
            "named": f"host=localhost port={postgres.port} dbname=postgres",
            "nowhere": f"host=no..where port={postgres.port}",
            "forced": f"{place} user={postgres.user} password={postgres.password}",
            "late": f"host={postgres.host} port={postgres.port} dbname=made_later",
        }
        operated.peers = {"2": f"host=127.0.0.1 port={port}"}
        with serving(operated) as running:
            yield running


def eventually(operated: Operated, holds: Callable[[], bool]) -> None:
    """Look again and again, a round trip to the console apart."""
    for _ in range(5_000):
        if holds():
            return
        operated.show("VERSION")
    pytest.fail("it never came true")


def address(operated: Operated) -> tuple[str, int]:
    assert operated.serving is not None
    return next(a for a in operated.serving.addresses if isinstance(a, tuple))


def raw(operated: Operated, database: str, **parameters: str) -> RawClient:
    server = operated.postgres
    return RawClient(
        address(operated),
        user=server.user,
        password=server.password,
        database=database,
        parameters=parameters,
        patience=PATIENCE_SECONDS,
    )


def asked(client: RawClient, sql: str) -> str:
    """The message of the error that a query is answered with."""
    client.send(frontend.query(sql.encode()))
    return str(field(client.receive("E")[-1], "M"))


def waits(operated: Operated, database: str) -> None:
    """Somebody else's query finds no backend in this database, until it is given one."""
    with raw(operated, database) as late:
        late.send(frontend.query(b"select 7"))
        eventually(operated, lambda: operated.row("POOLS", database=database)["cl_waiting"] == 1)


def pid(client: psycopg.Connection) -> int:
    (row,) = client.execute("select pg_backend_pid()").fetchall()
    return int(row[0])


# Clients and backends.


@seen("pool_mode", "session")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        client.execute("select 1")
        assert running.row("SERVERS", database=database)["state"] == "active"


@seen("max_client_conn", "1")
def _(running: Operated, database: str) -> None:
    with (
        running.client(database),
        pytest.raises(psycopg.OperationalError, match=r"\(max_client_conn\)"),
    ):
        running.client(database)


@seen("default_pool_size", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as holder:
        holder.execute("begin")
        waits(running, database)


@seen("min_pool_size", "2")
def _(running: Operated, database: str) -> None:
    with running.client(database):
        eventually(running, lambda: running.row("POOLS", database=database)["sv_idle"] == 2)


@seen("reserve_pool_timeout", "0.1", default_pool_size="1", reserve_pool_size="1")
@seen("reserve_pool_size", "1", default_pool_size="1", reserve_pool_timeout="0.1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as holder, running.client(database) as other:
        holder.execute("begin")
        assert other.execute("select 1").fetchone() == (1,)


@seen("max_db_connections", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as holder:
        holder.execute("begin")
        assert running.row("DATABASES", name=database)["max_connections"] == 1
        waits(running, database)


@seen("max_user_connections", "1")
def _(running: Operated, database: str) -> None:
    # Whoever is first has to wait for a backend to be told of the server.
    running.client("postgres").close()
    running.tell("RECONNECT")
    with running.client(database) as holder:
        holder.execute("begin")
        waits(running, "postgres")


@seen("max_db_client_connections", "1")
def _(running: Operated, database: str) -> None:
    with (
        running.client(database),
        pytest.raises(psycopg.OperationalError, match=r"\(max_db_client_connections\)"),
    ):
        running.client(database)


@seen("max_user_client_connections", "1")
def _(running: Operated, database: str) -> None:
    with (
        running.client(database),
        pytest.raises(psycopg.OperationalError, match=r"\(max_user_client_connections\)"),
    ):
        running.client(database)


@seen("server_round_robin", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as one, running.client(database) as other:
        one.execute("begin")
        other.execute("begin")
        one.execute("commit")
        other.execute("commit")
        turns = [pid(one) for _ in range(4)]

        assert turns[0] != turns[1]
        assert turns[:2] == turns[2:]
        running.tell("SET server_round_robin = 0")
        assert len({pid(one) for _ in range(4)}) == 1


@seen("ignore_startup_parameters", "no_such_parameter")
def _(running: Operated, database: str) -> None:
    with raw(running, database, no_such_parameter="1") as client:
        assert client.rows("select 1") == [("1",)]


@seen("application_name_add_host", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        (shown,) = client.execute("show application_name").fetchall()
        assert shown[0].startswith("app - 127.0.0.1:")


@seen("disable_pqexec", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        assert client.execute("select %s::int", (3,)).fetchone() == (3,)
    with raw(running, database) as client:
        assert asked(client, "select 1") == "PQexec disallowed"


@seen("max_packet_size", "2000")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        assert client.rows("select 1") == [("1",)]
        assert "(max_packet_size)" in asked(client, f"select '{'x' * 2_000}'")


@seen("max_prepared_statements", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        for number in range(3):
            client.execute(f"select %s::int + {number}", (1,), prepare=True)
        assert len([row for row in running.show("PREPARED") if row["database"] == database]) == 1


@seen("max_client_prepared_bytes", "1000")
def _(running: Operated, database: str) -> None:
    with (
        running.client(database) as client,
        pytest.raises(psycopg.OperationalError, match=r"\(max_client_prepared_bytes\)"),
    ):
        client.execute(f"select %s::int, '{'x' * 1_000}'", (1,), prepare=True)


@seen("max_client_notification_bytes", "1000")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as deaf, running.client(database) as mouth:
        deaf.ask(frontend.query(b"listen news"))
        assert running.serving is not None
        session = running.serving.server.sessions[deaf.pid]
        while not session.ended.is_set():
            mouth.execute(
                "select pg_notify('news', repeat('x', 7000) || n) from generate_series(1, 100) n"
            )


@seen("pin_policy", "temp:refuse")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client, pytest.raises(psycopg.Error, match="temporary"):
        client.execute("create temporary table basket (n int)")


@seen("peer_id", "5")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        assert client.pid >> 17 == 5


# Who may come in.


@seen("auth_type", "trust")
def _(running: Operated, database: str) -> None:
    with RawClient(address(running), user=running.postgres.user, database=database) as client:
        assert client.rows("select 1") == [("1",)]


@seen("scram_iterations", "5000")
def _(running: Operated, database: str) -> None:
    running.tell("SET auth_type = 'scram-sha-256'")
    with RawClient(address(running), log_in=False, patience=PATIENCE_SECONDS) as client:
        names = [(b"user", STRANGER.encode()), (b"database", database.encode())]
        client.ask(startup.startup_message(names), "R")
        client.send(frontend.sasl_initial(b"SCRAM-SHA-256", b"n,,n=,r=abcdefgh"))
        assert "i=5000" in str(client.receive("R"))


@seen("auth_user", "postgres", auth_query="select $1::text, 'secret of nobody'::text")
@seen("auth_query", "select $1::text, 'secret of nobody'::text", auth_user="postgres")
def _(running: Operated, database: str) -> None:
    with RawClient(
        address(running), user="nobody", password="secret of nobody", database="forced"
    ) as client:
        assert client.rows("select current_user") == [(running.postgres.user,)]


@seen(
    "auth_dbname",
    "template1",
    auth_user="postgres",
    auth_query="select $1::text, current_database()::text",
)
def _(running: Operated, database: str) -> None:
    with RawClient(
        address(running), user="nobody", password="template1", database="forced"
    ) as client:
        assert client.rows("select 1") == [("1",)]


@seen("admin_users", f"{OPERATOR}, {STRANGER}")
def _(running: Operated, database: str) -> None:
    assert running.tell("SET query_timeout = 0", STRANGER) == "SET query_timeout=0"


@seen("stats_users", STRANGER)
def _(running: Operated, database: str) -> None:
    assert running.show("VERSION", STRANGER)
    with pytest.raises(psycopg.Error, match="admin access needed"):
        running.tell("RELOAD", STRANGER)


@seen("max_login_failures", "2")
def _(running: Operated, database: str) -> None:
    url = running.url(database)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url, password="wrong")
    with pytest.raises(psycopg.OperationalError, match=r"\(max_login_failures\)"):
        psycopg.connect(url)
    with socket.create_connection(address(running), PATIENCE_SECONDS, ("127.0.0.2", 0)) as other:
        other.sendall(startup.startup_message([(b"user", running.postgres.user.encode())]))
        assert other.recv(1) == b"R"


# Time.


@seen("query_timeout", "0.2")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        assert asked(client, "select pg_sleep(2)") == "query_timeout"


@seen("query_wait_timeout", "0.2", default_pool_size="1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as holder, raw(running, database) as client:
        holder.execute("begin")
        assert asked(client, "select 1") == "query_wait_timeout"


@seen("query_wait_notify", "0.2", default_pool_size="1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as holder, raw(running, database) as client:
        holder.execute("begin")
        client.send(frontend.query(b"select 1"))
        assert "being queued" in str(field(client.receive("N")[-1], "M"))


@seen("client_idle_timeout", "0.2")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        assert field(client.receive("E")[-1], "M") == "client_idle_timeout"


@seen("idle_transaction_timeout", "0.2")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        client.ask(frontend.query(b"begin"))
        assert field(client.receive("E")[-1], "M") == "idle_transaction_timeout"


@seen("transaction_timeout", "0.3")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        client.ask(frontend.query(b"begin"))
        assert field(client.receive("E")[-1], "M") == "transaction_timeout"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_transaction_timeout_counts_from_the_begin_in_every_mode(
    shared: Operated, mode: str
) -> None:
    """A client that keeps its backend is not ended for what it did before its transaction."""
    shared.tell(f"SET pool_mode = {mode}")
    shared.tell("SET transaction_timeout = 0.5")
    with raw(shared, "for_transaction_timeout") as client:
        client.ask(frontend.query(b"create temporary table kept (n int)"))
        for _ in range(4):
            assert client.rows("select 1 from pg_sleep(0.3)") == [("1",)]
        client.ask(frontend.query(b"begin"))
        assert field(client.receive("E")[-1], "M") == "transaction_timeout"
    shared.tell("RELOAD")


@seen("client_login_timeout", "0.2")
def _(running: Operated, database: str) -> None:
    with RawClient(address(running), log_in=False, patience=PATIENCE_SECONDS) as client:
        assert field(client.receive("E")[-1], "M") == "client_login_timeout"


@seen("server_idle_timeout", "0.2")
@seen("server_lifetime", "0.2")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        client.execute("select 1")
        eventually(running, lambda: running.row("POOLS", database=database)["sv_idle"] == 0)


@seen("server_check_delay", "0", server_check_query="select 1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        client.execute("select 1")
        eventually(running, lambda: running.row("POOLS", database=database)["sv_used"] == 1)


@seen("server_check_query", "select 'are you there'", server_check_delay="0")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        client.execute("select 1")
        eventually(running, lambda: running.row("POOLS", database=database)["sv_used"] == 1)
        with psycopg.connect(running.postgres.url(), autocommit=True) as server:
            number = pid(client)
            # What was asked before this very client's question.
            assert _last_query(server, number) == "select pg_backend_pid()"


def _last_query(server: psycopg.Connection, number: int) -> str:
    (row,) = server.execute(
        "select query from pg_stat_activity where pid = %s", (number,)
    ).fetchall()
    return str(row[0])


@seen("server_reset_query", "select 'wiped'", pool_mode="session")
@seen("server_reset_query_always", "1", server_reset_query="select 'wiped'")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:
        number = pid(client)
    with psycopg.connect(running.postgres.url(), autocommit=True) as server:
        eventually(running, lambda: _last_query(server, number) == "select 'wiped'")


@seen("server_fast_close", "1", pool_mode="session")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as client:
        client.rows("select 1")
        running.tell(f"RECONNECT {database}")
        assert "(server_fast_close)" in str(field(client.receive("E")[-1], "M"))


@seen("server_connect_timeout", "0.2")
def _(running: Operated, database: str) -> None:
    """The server takes connections and says nothing: there is one attempt after the other."""
    assert running.serving is not None
    with RawClient(address(running), log_in=False, patience=PATIENCE_SECONDS) as client:
        client.send(_login(running, "silent"))
        pools = running.serving.server.pools

        def gave_up() -> bool:
            pool = pools.get(("silent", running.postgres.user))
            return pool is not None and "(server_connect_timeout)" in str(pool.failure)

        eventually(running, gave_up)
        running.tell("SET client_login_timeout = 0.1")
        client.receive("E")


def _login(running: Operated, database: str) -> bytes:
    """All that a client says whose user needs no password (auth_type = trust)."""
    running.tell("SET auth_type = trust")
    names = [(b"user", running.postgres.user.encode()), (b"database", database.encode())]
    return startup.startup_message(names)


@seen("server_login_retry", "1000")
def _(running: Operated, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        running.client("late")
    with psycopg.connect(running.postgres.url(), autocommit=True) as server:
        server.execute("create database made_later")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            running.client("late")
        running.tell("SET server_login_retry = 0")
        running.client("late").close()
        running.tell("RECONNECT late")
        running.tell("WAIT_CLOSE late")
        server.execute("drop database made_later with (force)")


@seen("autodb_idle_timeout", "0.1", server_idle_timeout="0.1")
def _(running: Operated, database: str) -> None:
    running.client("template1").close()
    eventually(
        running, lambda: "template1" not in {row["name"] for row in running.show("DATABASES")}
    )


@seen("cancel_wait_timeout", "0.2", peer_id="1")
def _(running: Operated, database: str) -> None:
    with socket.create_connection(address(running), PATIENCE_SECONDS) as stranger:
        stranger.sendall(startup.cancel_request(2 << 17 | 5, b"1234"))
        # The peer is silent for ever.
        assert stranger.recv(1) == b""


@seen("suspend_timeout", "0")
def _(running: Operated, database: str) -> None:
    with raw(running, database) as deaf, running.client("pgbouncer", OPERATOR) as console:
        deaf.send(frontend.query(b"select repeat('x', 1000000) from generate_series(1, 50)"))
        eventually(running, lambda: bool(running.show("ACTIVE_SOCKETS")))
        assert console.execute("SUSPEND").statusmessage == "SUSPEND"
        assert console.execute("SHOW ACTIVE_SOCKETS").fetchall()
        assert console.execute("RESUME").statusmessage == "RESUME"


@seen("dns_max_ttl", "1234")
def _(running: Operated, database: str) -> None:
    with running.client("named") as client:
        client.execute("select 1")
    row = running.row("DNS_HOSTS", hostname="localhost")

    assert 1_000 < int(str(row["ttl"])) <= 1_234
    assert "127.0.0.1" in str(row["addrs"]).split(",")
    assert running.row("LISTS", list="dns_names")["items"] != 0


@seen("dns_nxdomain_ttl", "777")
def _(running: Operated, database: str) -> None:
    with RawClient(address(running), log_in=False) as client:
        client.send(_login(running, "nowhere"))
        eventually(
            running, lambda: any(r["ttl"] for r in running.show("DNS_HOSTS") if not r["addrs"])
        )
        running.tell("SET client_login_timeout = 0.1")
        client.receive("E")
    row = running.row("DNS_HOSTS", hostname="no..where")

    assert 500 < int(str(row["ttl"])) <= 777


@seen("stats_period", "1")
def _(running: Operated, database: str) -> None:
    with running.client(database) as client:

        def average() -> bool:
            client.execute("select 1")
            rows = [r for r in running.show("STATS_AVERAGES") if r["database"] == database]
            return bool(rows and rows[0]["query_count"])

        eventually(running, average)


# The system.


@seen("listen_backlog", AT_THE_START["listen_backlog"])
def _(running: Operated, database: str) -> None:
    assert running.serving is not None
    (listener,) = running.serving.server.entrances.listeners
    # tcp_info of a listening socket: tcpi_sacked is its backlog (tcp_get_info, net/ipv4/tcp.c).
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert struct.unpack_from("=8x6I", info)[5] == 77


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_setting_is_seen_in_effect(shared: Operated, name: str) -> None:
    settings, look = TABLE[name]
    look_with(shared, f"for_{name}", look, settings)


def look_with(running: Operated, database: str, look: Look, settings: dict[str, str]) -> None:
    """Look at the file as it is described now, with these settings besides."""
    assert running.serving is not None
    server = running.serving.server
    running.write()
    with running.client("pgbouncer", OPERATOR) as console:
        eventually(running, lambda: not server.clients)
        console.execute("RELOAD")
        # Idle backends of other rows would count in limits over all databases.
        console.execute("RECONNECT")
        try:
            for key, value in settings.items():
                if key not in AT_THE_START:
                    text = value.replace("'", "''")
                    console.execute(f"SET {key} = '{text}'")  # type: ignore[call-overload]
            look(running, database)
        finally:
            console.execute("RELOAD")


# Lines of [databases] and [users].

LINES: Final[dict[str, tuple[str, str]]] = {
    # What is shown by SHOW on a backend that was opened by such a line.
    "dbname": ("dbname=template1", "select current_database() = 'template1'"),
    "user": ("user=postgres password={password}", "select current_user = 'postgres'"),
    "client_encoding": ("client_encoding=LATIN1", "select current_setting('client_encoding')"),
    "connect_query": (
        "connect_query='set statement_timeout = 4321'",
        "select current_setting('statement_timeout') = '4321ms'",
    ),
    "datestyle": ("datestyle=German", "select current_setting('datestyle') ~ 'German'"),
    "timezone": ("timezone=Asia/Tokyo", "select current_setting('timezone') = 'Asia/Tokyo'"),
    "application_name": (
        "application_name=till",
        "select current_setting('application_name') = 'till'",
    ),
}
# What the same look sees as of the setting, by its key here: setting, value, other settings.
LIKE_SETTINGS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "pool_size": ("default_pool_size", "1", {}),
    "min_pool_size": ("min_pool_size", "2", {}),
    "reserve_pool_size": ("reserve_pool_size", "1", TABLE["reserve_pool_timeout"][0]),
    "pool_mode": ("pool_mode", "session", {}),
    "max_db_connections": ("max_db_connections", "1", {}),
    "max_db_client_connections": ("max_db_client_connections", "1", {}),
    "max_user_connections": ("max_user_connections", "1", {}),
    "max_user_client_connections": ("max_user_client_connections", "1", {}),
    "server_lifetime": ("server_lifetime", "0.2", {}),
    "query_timeout": ("query_timeout", "0.2", {}),
    "query_wait_timeout": ("query_wait_timeout", "0.2", {"default_pool_size": "1"}),
    "client_idle_timeout": ("client_idle_timeout", "0.2", {}),
    "idle_transaction_timeout": ("idle_transaction_timeout", "0.2", {}),
    "transaction_timeout": ("transaction_timeout", "0.3", {}),
}


@pytest.mark.parametrize("key", sorted(LINES))
def test_a_key_of_a_database_is_seen_in_effect(shared: Operated, key: str) -> None:
    line, query = LINES[key]
    place = shared.databases["for_pool_mode"]
    line = line.format(password=shared.postgres.password)
    shared.databases["lined"] = f"{place} {line}"
    shared.write()
    shared.tell("RELOAD")
    with raw(shared, "lined") as client:
        assert client.rows(query) in ([("t",)], [("LATIN1",)])


@pytest.mark.parametrize("key", sorted(LIKE_SETTINGS.keys() & KEYS))
def test_a_database_has_limits_of_its_own(shared: Operated, key: str) -> None:
    setting, value, others = LIKE_SETTINGS[key]
    name = f"own_{key}"
    shared.databases[name] = f"{shared.databases['for_pool_mode']} {key}={value}"
    look_with(shared, name, TABLE[setting][1], {k: v for k, v in others.items() if k != key})
    del shared.databases[name]


@pytest.mark.parametrize("key", sorted(LIKE_SETTINGS.keys() & USER_KEYS))
def test_a_user_has_limits_of_its_own(shared: Operated, key: str) -> None:
    setting, value, others = LIKE_SETTINGS[key]
    shared.users = {shared.postgres.user: f"{key}={value}"}
    name = f"for_{setting}"
    look_with(shared, name, TABLE[setting][1], {k: v for k, v in others.items() if k != key})
    shared.users = {}


# Nothing is missing.

# What other files show: their test, and the settings that it is about.
SHOWN_IN: Final = {
    "test_custom_settings.py": {
        "test_a_client_that_sets_too_much_is_told_and_nothing_is_lost": (
            "max_client_settings max_client_settings_bytes"
        ),
        "test_the_names_may_be_shared_instead": "share_custom_setting_names",
    },
    "../embedding/test_adversarial.py": {
        "test_each_planted_bug_fails_and_is_named_and_nothing_else_is": "adversarial",
        "test_what_is_to_be_kept_can_be_chosen": "adversarial_keeps",
    },
    "test_auth_query.py": {
        "test_auth_user_and_auth_query_of_a_database_win": "auth_user auth_query auth_dbname",
    },
    "test_cli.py": {
        "test_an_ini_file_is_served_and_its_notices_are_logged": (
            "pidfile listen_addr listen_port auth_file host port"
        ),
    },
    "test_hba.py": {"test_a_line_asks_for_its_method": "auth_hba_file auth_ident_file"},
    "test_judges.py": {
        "test_auth_type_ldap_has_its_options_and_hides_the_password": "auth_ldap_options",
    },
    "test_logs.py": {
        "test_verbose_shows_more": "verbose",
        "test_syslog_is_sent_each_line_with_its_severity": "syslog syslog_ident syslog_facility",
    },
    "test_metrics.py": {
        "test_nothing_listens_unless_it_is_asked_for": "http_listen_addr",
        "test_a_successor_takes_the_address_over": "http_listen_port",
        "test_no_more_than_http_max_conn_are_served_at_once": "http_max_conn",
        "test_a_request_that_is_too_large_is_refused": "http_max_request_bytes",
        "test_who_never_finishes_a_request_is_let_go": "http_timeout",
        "test_a_wait_and_the_lease_it_waited_for_are_in_the_histograms": "metrics_resolution",
    },
    "test_process.py": {"test_root_becomes_the_account_for_good": "user"},
    "test_running.py": {"test_a_daemon_serves_once_the_command_has_ended": "logfile"},
    "test_settings.py": {
        "test_several_hosts_are_used_in_turn_or_in_order": "load_balance_hosts",
        "test_two_pools_share_a_port": "so_reuseport",
        "test_the_unix_socket_belongs_to_its_group": (
            "unix_socket_dir unix_socket_mode unix_socket_group"
        ),
        "test_keepalive_may_be_turned_off": "tcp_keepalive tcp_socket_buffer",
        "test_tcp_options_reach_both_sides": (
            "tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_user_timeout"
        ),
        "test_comings_and_goings_are_logged_when_wanted": (
            "log_connections log_disconnections log_pooler_errors"
        ),
        "test_figures_are_logged_every_stats_period_when_wanted": "log_stats",
    },
    "test_tls.py": {
        "test_a_client_comes_in_with_every_sslmode": (
            "client_tls_sslmode client_tls_cert_file client_tls_key_file"
        ),
        "test_a_client_needs_a_certificate_of_the_right_authority": "client_tls_ca_file",
        "test_protocols_and_ciphers_of_clients_are_chosen": (
            "client_tls_protocols client_tls_ciphers"
        ),
        "test_the_curve_of_clients_is_chosen": "client_tls_ecdhcurve",
        "test_what_cannot_be_used_for_the_key_exchange_is_refused_by_name": "client_tls_dheparams",
        "test_servers_are_reached_with_every_sslmode": "server_tls_sslmode server_tls_ca_file",
        "test_protocols_and_ciphers_to_servers_are_chosen": (
            "server_tls_protocols server_tls_ciphers"
        ),
        "test_a_server_is_shown_our_certificate": "server_tls_cert_file server_tls_key_file",
    },
    "test_channel_binding.py": {
        "test_a_server_that_cannot_bind_is_refused_where_it_is_required": "channel_binding",
    },
}
# Another word for the same, or the half of a pair.
ALIASES: Final = {"reserve_pool": "reserve_pool_size", "password": "user"}
COMMANDS: Final = {
    "DISABLE": "test_a_disabled_database_takes_no_new_clients_until_it_is_enabled",
    "ENABLE": "test_a_disabled_database_takes_no_new_clients_until_it_is_enabled",
    "KILL": "test_kill_ends_clients_at_once_and_new_ones_wait_for_resume",
    "KILL_CLIENT": "test_kill_client_ends_that_client_alone",
    "PAUSE": "test_pause_waits_for_the_transaction_and_holds_up_what_follows",
    "RECONNECT": "test_reconnect_replaces_every_backend_and_no_client_notices",
    "RELOAD": "test_our_own_account_enters_without_a_password_over_the_unix_socket",
    "RESUME": "test_resume_ends_a_pause_that_still_waits",
    "SET": "test_set_takes_effect_at_once_for_those_who_are_there",
    "SHOW": "test_every_table_is_shown_in_both_protocols",
    "SHUTDOWN": "test_shutdown_ends_the_pool_in_its_own_way",
    "SUSPEND": "test_suspend_holds_everything_still_and_resume_loses_nothing",
    "WAIT_CLOSE": "test_reconnect_replaces_every_backend_and_no_client_notices",
}


def shown_elsewhere() -> set[str]:
    return {
        name for tests in SHOWN_IN.values() for names in tests.values() for name in names.split()
    }


def test_every_setting_has_a_row_a_test_or_a_reason() -> None:
    with_reason = {name for name, setting in SETTINGS.items() if setting.reason}
    covered = TABLE.keys() | shown_elsewhere() | with_reason

    assert not SETTINGS.keys() - covered
    assert not TABLE.keys() - SETTINGS.keys()
    assert not TABLE.keys() & with_reason


def test_every_key_of_databases_and_users_has_a_row_or_a_test() -> None:
    covered = LINES.keys() | LIKE_SETTINGS.keys() | shown_elsewhere()

    assert not {ALIASES.get(key, key) for key in KEYS | USER_KEYS} - covered


def test_every_command_has_a_test() -> None:
    assert COMMANDS.keys() == VERBS.keys() | {"SET"}
    # The tables are shown by a test that takes them from the same place.
    assert "PINS" in TABLES
    source = (HERE / "test_console.py").read_text()
    for verb, test in COMMANDS.items():
        (body,) = re.findall(rf"^def {test}\(.*?(?=^def |^@|\Z)", source, re.M | re.S)
        assert verb in body, test


@pytest.mark.parametrize("file", SHOWN_IN)
def test_what_is_said_to_be_shown_elsewhere_is(file: str) -> None:
    source = (HERE / file).read_text()
    for test in SHOWN_IN[file]:
        assert f"def {test}(" in source
