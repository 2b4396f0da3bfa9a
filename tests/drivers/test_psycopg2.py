"""psycopg2: it prepares nothing by itself, so people PREPARE and EXECUTE by hand, in SQL."""

from __future__ import annotations

import io
from collections.abc import Iterator

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import errors

pytestmark = pytest.mark.drivers

WORKERS = 6
TURNS = 8


@pytest.fixture
def clients(url: str) -> Iterator[list[psycopg2.extensions.connection]]:
    connected = [psycopg2.connect(url, connect_timeout=20) for _ in range(WORKERS)]
    yield connected
    for client in connected:
        client.close()


def one(client: psycopg2.extensions.connection, query: str, *values: object) -> object:
    """The only row of a query, as a tuple."""
    with client.cursor() as cursor:
        cursor.execute(query, values or None)
        (row,) = cursor.fetchall()
        return row


def run(client: psycopg2.extensions.connection, query: str) -> str:
    with client.cursor() as cursor:
        cursor.execute(query)
        return cursor.statusmessage


def test_a_statement_prepared_by_hand_serves_every_later_transaction(clients, crowd) -> None:
    for worker, client in enumerate(clients):
        # One name, six meanings: names belong to the client.
        prepare = f"prepare same_name (int, text) as select $1 + {worker}, $2 || ' {worker}'"
        assert run(client, prepare) == "PREPARE"
        client.commit()

    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        assert one(client, "execute same_name(%s, %s)", turn, "x") == (turn + worker, f"x {worker}")
        client.commit()
        assert one(client, 'EXECUTE "same_name" (1 + 1, $$its$$)')[0] == 2 + worker
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_a_statement_prepared_in_a_transaction_that_is_rolled_back_stays(clients, crowd) -> None:
    for worker, client in enumerate(clients):
        run(client, f"prepare kept as select {worker}")
        client.rollback()

    def errand(worker: int, turn: int) -> None:
        assert one(clients[worker], "execute kept") == (worker,)
        clients[worker].rollback()

    crowd(WORKERS, TURNS, errand)


def test_a_deallocated_statement_is_gone_for_this_client_and_its_name_is_free(
    clients, crowd
) -> None:
    for client in clients:
        client.autocommit = True

    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        run(client, f"prepare brief as select {worker * 100 + turn}")
        with pytest.raises(errors.DuplicatePreparedStatement, match='"brief" already exists'):
            run(client, "prepare brief as select 0")
        assert one(client, "execute brief") == (worker * 100 + turn,)
        assert run(client, "deallocate brief") == "DEALLOCATE"
        with pytest.raises(errors.InvalidSqlStatementName, match='"brief" does not exist'):
            run(client, "execute brief")
        with pytest.raises(errors.InvalidSqlStatementName, match='"brief" does not exist'):
            run(client, "deallocate brief")

    crowd(WORKERS, TURNS, errand)


def test_several_statements_in_one_query_prepare_execute_and_forget(clients, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        whole = f"prepare s as select {worker} + {turn}; execute s"
        assert one(client, whole) == (worker + turn,)
        client.commit()
        assert one(client, "execute s") == (worker + turn,)
        assert run(client, "deallocate all") == "DEALLOCATE ALL"
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_ordinary_queries_cursors_copy_and_batches(clients, errands: str, crowd, rows_of) -> None:
    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        first = turn * 20
        with client.cursor() as cursor:
            many = [(worker, first + n, "values") for n in range(10)]
            psycopg2.extras.execute_values(cursor, f"insert into {errands} values %s", many)
            lines = "".join(f"{worker}\t{first + n}\tcopied\n" for n in range(10, 20))
            cursor.copy_expert(f"copy {errands} from stdin", io.StringIO(lines))
        with client.cursor(name="pieces") as cursor:
            cursor.itersize = 7
            cursor.execute(
                f"select turn from {errands} where worker = %s and turn >= %s order by turn",
                (worker, first),
            )
            assert [turn for (turn,) in cursor] == list(range(first, first + 20))
        client.commit()

    crowd(WORKERS, TURNS, errand)

    assert len(rows_of(errands)) == WORKERS * TURNS * 20


def test_an_error_aborts_the_transaction_until_it_is_rolled_back(clients, errands, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        client = clients[worker]
        run(client, f"insert into {errands} values ({worker}, {turn}, 'lost')")
        with pytest.raises(errors.DivisionByZero):
            one(client, "select 1 / 0")
        with pytest.raises(errors.InFailedSqlTransaction):
            one(client, "select 1")
        client.rollback()
        assert one(client, f"select count(*) from {errands} where worker = {worker}") == (0,)
        client.commit()

    crowd(WORKERS, TURNS, errand)
