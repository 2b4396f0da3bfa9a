"""Backends that go, and clients that keep theirs for ever: one client is concerned at most."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.config import Database
from trio_pool.conform.replies import Reply, field
from trio_pool.conform.words import FLUSH, SYNC, bind, close, describe, parse, query, run
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

MANY = 20_000


@pytest.fixture
def root(postgres: LocalServer) -> Iterator[RawClient]:
    """A superuser on the server itself."""
    address = postgres.host, postgres.port
    with RawClient(address, user=postgres.user, password=postgres.password) as client:
        yield client


@pytest.fixture
def database(root: RawClient) -> Iterator[str]:
    """The name of a database of this test's own."""
    name = f"lost_{uuid4().hex[:12]}"
    root.rows(f"create database {name}")
    yield name
    root.rows(f"drop database {name} with (force)")


def until_no_backend(root: RawClient, database: str) -> None:
    gone = f"select count(*) from pg_stat_activity where datname = '{database}'"
    for _ in range(100_000):
        if root.rows(gone) == [("0",)]:
            return
    raise AssertionError("the backends are still there")


READY = b"Z\0\0\0\5I"


class FatalWelcome:
    """Stands before a server; its first backend there is ended before anybody hears of it."""

    def __init__(self, postgres: LocalServer, root: RawClient, database: str) -> None:
        self._server = postgres.host, postgres.port
        self._root = root
        self._database = database
        self._welcomed = False
        self._stack = contextlib.ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._stack.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for call in (self._upwards, self._downwards):
                    threading.Thread(target=call, args=(client, server), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _downwards(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), client, server:
            while data := server.recv(65536):
                if data.endswith(READY) and not self._welcomed:
                    self._welcomed = True
                    data += self._last_words(server)
                client.sendall(data)

    def _last_words(self, server: socket.socket) -> bytes:
        self._root.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{self._database}'"
        )
        return b"".join(iter(lambda: server.recv(65536), b""))


@pytest.fixture
def welcome(postgres: LocalServer, root: RawClient, database: str) -> Iterator[FatalWelcome]:
    standing = FatalWelcome(postgres, root, database)
    yield standing
    standing.close()


def test_a_backend_that_is_ended_as_soon_as_it_is_there_is_replaced_unseen(
    pool: StartPool, welcome: FatalWelcome, database: str
) -> None:
    there = Database(name=database, host="127.0.0.1", port=welcome.port, dbname=database)
    running = pool(default_pool_size=1, databases={database: there})

    with client_of(running, database) as client:
        assert client.rows("select 1") == [("1",)]


def error_in(replies: list[Reply]) -> tuple[str | None, str | None]:
    """Severity and SQLSTATE of the only error in there."""
    [error] = [reply for reply in replies if reply[0] == "E"]
    return field(error, "S"), field(error, "C")


@pytest.mark.hard_case(11)
def test_a_client_that_flushes_and_then_rests_loses_its_backend(pool: StartPool) -> None:
    running = pool(default_pool_size=1, idle_transaction_timeout=0.2)

    with client_of(running) as client, client_of(running) as other:
        client.send(parse("", "select 1") + bind("") + FLUSH)
        client.receive("2")
        other.send(query("select 'served'"))

        assert error_in(client.receive("closed")) == ("FATAL", "25P03")
        assert ("D", b"served") in other.receive()


@pytest.mark.hard_case(10)
@pytest.mark.parametrize(
    ("said", "answers"),
    [
        # What go-pg and bun say at the end of a statement, and then wait for their program.
        ([parse("s", "select 1") + SYNC, close("s") + FLUSH], ["1Z", "3"]),
        ([parse("s", "select 1") + SYNC + close("s") + FLUSH], ["1Z3"]),
        ([FLUSH + close("s") + FLUSH], ["3"]),
        ([query("begin") + query("commit") + close("s")], ["ZZ3"]),
        ([FLUSH], [""]),
    ],
)
def test_a_client_that_asks_nothing_of_the_server_holds_no_backend(
    pool: StartPool, said: list[bytes], answers: list[str]
) -> None:
    running = pool(default_pool_size=1)

    with client_of(running) as client, client_of(running) as other:
        for words, answer in zip(said, answers, strict=True):
            client.ask(words, answer)
        assert other.rows("select 'served'") == [("served",)]

        again = client.ask(parse("s", "select 2") + run("s") + SYNC)
        assert ("D", b"2") in again
        assert client.ask(SYNC) == [("Z", "I")]


@pytest.mark.hard_case(26)
def test_one_fatal_error_reaches_a_client_that_is_still_writing(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    own_end = query("select pg_terminate_backend(pg_backend_pid())")

    with client_of(running) as client:
        client.send(own_end + query("select 1") * MANY)

        assert error_in(client.receive("closed")) == ("FATAL", "57P01")
    with client_of(running) as other:
        assert other.rows("select 1") == [("1",)]


@pytest.mark.hard_case(79)
def test_a_type_that_is_another_one_after_the_backends_were_lost_is_not_taken_for_it(
    pool: StartPool, root: RawClient, database: str
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running, database) as owner, client_of(running, database) as client:
        owner.ask(query("create type mood as enum ('sad', 'happy')"))
        client.ask(parse("s", "select $1::mood") + SYNC)
        owner.ask(query("drop type mood; create type mood as enum ('happy')"))
        root.rows(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"
        )
        until_no_backend(root, database)

        # What was promised, the type's number in ParameterDescription, cannot be kept.
        assert error_in(client.ask(run("s", "happy") + SYNC))[0] == "ERROR"
        again = client.ask(close("s") + parse("s", "select $1::mood") + run("s", "happy") + SYNC)
        assert ("D", b"happy") in again


@pytest.mark.hard_case(80)
def test_what_one_text_means_in_one_database_is_nothing_to_another(
    pool: StartPool, root: RawClient, database: str
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as here, client_of(running, database) as there:
        here.ask(query("drop table if exists same; create table same (a int)"))
        there.ask(query("create table same (b text); insert into same values ('there')"))
        prepared = parse("s", "select * from same") + describe("s") + SYNC
        shapes = [client.ask(prepared)[2] for client in (here, there)]

        assert [str(shape[1])[:4] for shape in shapes] == ["('a'", "('b'"]
        for _ in range(2):
            assert here.ask(run("s") + SYNC) == [("2",), ("C", "SELECT 0"), ("Z", "I")]
            assert ("D", b"there") in there.ask(run("s") + SYNC)
        here.ask(query("drop table same"))


@pytest.mark.hard_case(111, 151)
def test_backends_that_the_server_ends_at_rest_are_replaced_unseen(
    pool: StartPool, root: RawClient, database: str
) -> None:
    root.rows(f"alter database {database} set idle_session_timeout = '50ms'")
    running = pool(default_pool_size=2)

    with client_of(running, database) as client:
        client.ask(parse("s", "select 'prepared'") + SYNC)
        until_no_backend(root, database)

        assert client.ask(run("s") + SYNC) == [
            ("2",),
            ("D", b"prepared"),
            ("C", "SELECT 1"),
            ("Z", "I"),
        ]


@pytest.mark.hard_case(128)
def test_the_first_client_of_a_pool_is_told_what_the_server_would_have_told_it(
    pool: StartPool, postgres: LocalServer
) -> None:
    wishes = {"timezone": "Asia/Tokyo", "datestyle": "german", "application_name": "first"}
    running = pool(default_pool_size=1)

    def told(address: tuple[str, int]) -> dict[str, str]:
        user, password = postgres.user, postgres.password
        with RawClient(address, user=user, password=password, parameters=wishes) as client:
            return client.parameters

    assert told((running.host, running.port)) == told((postgres.host, postgres.port))
