"""pg8000, written in Python alone: named statements on request, a fresh one for any other query."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pg8000.dbapi
import pg8000.native
import pytest

pytestmark = pytest.mark.drivers

WORKERS = 6
TURNS = 8
IS_PREPARED = "select count(*) > 0 from pg_prepared_statements where statement = :text"


def address(url: str) -> dict[str, object]:
    """pg8000 takes no URL: its arguments out of one."""
    parts = urlsplit(url)
    return {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname,
        "port": parts.port,
        "database": parts.path.lstrip("/"),
        "timeout": 60,
    }


@pytest.fixture
def clients(url: str) -> Iterator[list[pg8000.native.Connection]]:
    connected = [pg8000.native.Connection(**address(url)) for _ in range(WORKERS)]
    yield connected
    for client in connected:
        client.close()


def test_a_prepared_statement_serves_every_later_transaction(clients, crowd) -> None:
    texts = [f"select cast(:n as int) + {n} as sum, 'worker {n}' as who" for n in range(WORKERS)]
    prepared = [client.prepare(text) for client, text in zip(clients, texts, strict=True)]

    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        client.run("begin")
        assert prepared[worker].run(n=turn) == [[turn + worker, f"worker {worker}"]]
        text = texts[worker].replace(":n", "$1")
        assert client.run(IS_PREPARED, text=text) == [[True]]
        client.run("commit")
        assert prepared[worker].run(n=-turn) == [[worker - turn, f"worker {worker}"]]
        assert [column["name"] for column in prepared[worker].columns] == ["sum", "who"]

    crowd(WORKERS, TURNS, errand)

    for statement in prepared:
        statement.close()


def test_statements_are_closed_and_prepared_again(clients, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        for number in range(5):
            statement = clients[worker].prepare(f"select cast(:word as text) || '{worker}{number}'")
            assert statement.run(word="w") == [[f"w{worker}{number}"]]
            assert statement.run(word="v") == [[f"v{worker}{number}"]]
            statement.close()

    crowd(WORKERS, TURNS, errand)


def test_queries_with_parameters_errors_and_copy(clients, errands: str, crowd, rows_of) -> None:
    insert = f"insert into {errands} values (:worker, :turn, :note)"

    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        client.run(insert, worker=worker, turn=turn, note=None)
        with pytest.raises(pg8000.native.DatabaseError, match="23505"):
            client.run(insert, worker=worker, turn=turn, note="twice")
        lines = io.StringIO(f"{worker}\t{turn + 1000}\tcopied\n")
        client.run(f"copy {errands} from stdin", stream=lines)
        assert client.run(f"select count(*) from {errands} where worker = :w", w=worker) == [
            [(turn + 1) * 2]
        ]

    crowd(WORKERS, TURNS, errand)

    assert len(rows_of(errands)) == WORKERS * TURNS * 2


def test_the_database_api_commits_and_rolls_back(url: str, errands: str, crowd, rows_of) -> None:
    clients = [pg8000.dbapi.connect(**address(url)) for _ in range(WORKERS)]

    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        cursor = client.cursor()
        rows = [(worker, turn * 2, "kept"), (worker, turn * 2 + 1, "kept")]
        cursor.executemany(f"insert into {errands} values (%s, %s, %s)", rows)
        client.commit()
        cursor.execute(f"delete from {errands} where worker = %s", (worker,))
        client.rollback()
        cursor.execute(f"select count(*) from {errands} where worker = %s", (worker,))
        assert cursor.fetchone() == [(turn + 1) * 2]
        client.rollback()

    crowd(WORKERS, TURNS, errand)

    for client in clients:
        client.close()
    assert len(rows_of(errands)) == WORKERS * TURNS * 2
