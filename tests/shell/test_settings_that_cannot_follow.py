"""A client whose settings cannot be had on its next backend is told, and does nothing there."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.replies import Reply, field
from trio_pool.conform.words import SYNC, once, parse, run
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


def query(text: str) -> bytes:
    return frontend.query(text.encode())


@pytest.fixture
def root(postgres: LocalServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute("create table written (note text)")
        root.execute("create role passing; grant all on written to passing")
        yield root
        root.execute("drop table written; drop role if exists passing")


def written(root: psycopg.Connection) -> list[tuple[object, ...]]:
    return root.execute("select note from written").fetchall()


def errors(replies: list[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply[0] == "E"]


INSERT = "insert into written values ('done')"


@pytest.mark.hard_case(127)
@pytest.mark.parametrize(
    "said",
    [
        query(INSERT),
        query(f"begin; {INSERT}; commit"),
        once(INSERT) + SYNC,
        once(INSERT) + SYNC + once(INSERT) + SYNC,
        parse("named", INSERT) + run("named") + SYNC,
    ],
    ids=["query", "block", "extended", "pipeline", "named"],
)
def test_nothing_is_done_under_settings_that_are_not_the_clients_own(
    pool: StartPool, root: psycopg.Connection, said: bytes
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("set role passing"))
        assert other.rows("select current_user") == [(running.user,)]
        root.execute("revoke all on written from passing; drop role passing")

        replies = client.ask(said, "closed")

        (told,) = errors(replies)
        assert replies[-1] == ("closed",)
        assert (field(told, "S"), field(told, "C")) == ("FATAL", "08006")
        assert 'role "passing" does not exist' in str(field(told, "M"))
        assert "22023" in str(field(told, "H"))
        assert written(root) == []
        # The pool and everybody else go on.
        assert other.rows("select current_user") == [(running.user,)]
        with client_of(running) as again:
            assert again.rows("select current_user") == [(running.user,)]


@pytest.mark.parametrize("extended", [False, True])
def test_a_backend_that_cannot_be_given_the_settings_is_exchanged_for_one_that_can(
    pool: StartPool, extended: bool
) -> None:
    """temp_buffers cannot be set any more where a temporary table was used."""
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(parse("kept", "show temp_buffers") + SYNC)
        client.ask(query("set temp_buffers = '2MB'"))
        other.ask(query("create temp table t (a int); insert into t values (1); drop table t"))
        other.ask(query("select 1"))

        said = parse("", "select 7") + SYNC + run("") + run("kept") + SYNC
        replies = client.ask(said if extended else query("show temp_buffers"), "ZZ"[: 1 + extended])

        assert errors(replies) == []
        assert [reply for reply in replies if reply[0] == "D"][-1] == ("D", b"2MB")
        assert client.rows("show temp_buffers") == [("2MB",)]
        assert other.rows("show temp_buffers") == [("8MB",)]


def test_a_startup_parameter_is_reported_as_the_server_spells_it(
    pool: StartPool, postgres: LocalServer
) -> None:
    given = {"DateStyle": "iso", "TimeZone": "utc", "statement_timeout": "5000"}
    with RawClient(
        (postgres.host, postgres.port),
        user=postgres.user,
        password=postgres.password,
        parameters=given,
    ) as direct:
        expected = {name: direct.parameters[name] for name in ("DateStyle", "TimeZone")}
    running = pool(default_pool_size=1)
    for _ in range(2):
        with client_of(running, **given) as client:
            assert {name: client.parameters[name] for name in expected} == expected
            assert client.rows("show statement_timeout") == [("5s",)]


def test_the_modes_of_a_transaction_are_no_settings_of_the_session(pool: StartPool) -> None:
    """SET TRANSACTION leaves a trace in pg_settings that looks like a setting of the session."""
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("begin; set transaction isolation level serializable; commit"))
        client.ask(query("set transaction isolation level serializable, read only"))
        client.ask(query("set default_transaction_isolation = serializable; set work_mem = '5MB'"))
        for _ in range(3):
            assert other.rows("show transaction_isolation") == [("read committed",)]
            assert client.rows("show transaction_isolation") == [("serializable",)]


def test_settings_that_a_discard_all_cannot_bring_back_end_the_session(
    pool: StartPool, root: psycopg.Connection
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running, role="passing", work_mem="5MB") as client:
        assert client.rows("select current_user, current_setting('work_mem')") == [
            ("passing", "5MB")
        ]
        root.execute("revoke all on written from passing; drop role passing")

        replies = client.ask(query("discard all") + query("show work_mem"), "closed")

        (told,) = errors(replies)
        assert (field(told, "S"), field(told, "C")) == ("FATAL", "08006")
        assert "5MB" not in str(replies)
