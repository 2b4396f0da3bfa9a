"""psycopg 3: cursors, COPY, executemany, settings of a session, cancelling."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

pytestmark = pytest.mark.drivers

WORKERS = 6  # as many as six_psycopg has
TURNS = 8


def test_a_server_cursor_fetches_in_pieces_within_its_transaction(six_psycopg, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        with (
            six_psycopg[worker].transaction(),
            six_psycopg[worker].cursor(name="same_name") as cursor,
        ):
            cursor.itersize = 10
            cursor.execute(f"select n + {worker} from generate_series(1, %s) as n", (35,))
            assert [row[0] for row in cursor] == list(range(worker + 1, worker + 36))
            cursor.scroll(5, mode="absolute")
            assert cursor.fetchone() == (worker + 6,)

    crowd(WORKERS, TURNS, errand)


def test_copy_in_both_directions_and_after_an_error(
    six_psycopg, errands: str, crowd, rows_of
) -> None:
    into = sql.SQL("copy {} from stdin").format(sql.Identifier(errands))

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        with client.cursor() as cursor:
            with cursor.copy(into) as copy:
                for n in range(20):
                    copy.write_row((worker, turn * 20 + n, "copied"))
            client.commit()
            with pytest.raises(errors.UniqueViolation), cursor.copy(into) as copy:
                copy.write_row((worker, turn * 20, "twice"))
            client.rollback()
            query = f"copy (select turn from {errands} where worker = {worker}) to stdout"
            with cursor.copy(query) as copy:
                assert len(list(copy.rows())) == (turn + 1) * 20
            client.commit()

    crowd(WORKERS, TURNS, errand)

    assert len(rows_of(errands)) == WORKERS * TURNS * 20


def test_executemany_returns_every_row(six_psycopg, errands: str, crowd) -> None:
    insert = f"insert into {errands} values (%s, %s, %s) returning note"

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        many = [(worker, turn * 10 + n, f"{worker}.{turn}.{n}") for n in range(10)]
        with client.cursor() as cursor:
            cursor.executemany(insert, many, returning=True)
            returned = [result.fetchone() for result in cursor.results()]
        assert returned == [(note,) for _, _, note in many]
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_settings_stay_with_the_client_that_made_them(six_psycopg, crowd) -> None:
    zones = ["UTC", "Asia/Tokyo", "Europe/Paris", "America/Lima", "Africa/Cairo", "Asia/Kolkata"]
    for worker, client in enumerate(six_psycopg):
        client.execute("select set_config('timezone', %s, false)", (zones[worker],))
        client.execute(f"set statement_timeout = {61_001 + worker}")
        client.commit()
        client.execute("set statement_timeout = 1")
        client.rollback()

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        assert client.execute("show timezone").fetchone() == (zones[worker],)
        assert client.info.parameter_status("TimeZone") == zones[worker]
        client.commit()
        with client.transaction():
            client.execute("set local statement_timeout = '90s'")
            assert client.execute("show statement_timeout").fetchone() == ("90s",)
        assert client.execute("show statement_timeout").fetchone() == (f"{61_001 + worker}ms",)
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_isolation_level_and_read_only_are_those_of_each_client(six_psycopg, crowd) -> None:
    levels = list(psycopg.IsolationLevel)
    for worker, client in enumerate(six_psycopg):
        client.isolation_level = levels[worker % len(levels)]
        client.read_only = worker % 2 == 0

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        name = levels[worker % len(levels)].name.lower().replace("_", " ")
        assert client.execute("show transaction_isolation").fetchone() == (name,)
        expected = "on" if worker % 2 == 0 else "off"
        assert client.execute("show transaction_read_only").fetchone() == (expected,)
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_a_cancelled_query_leaves_its_connection_usable_and_others_alone(
    six_psycopg, postgres
) -> None:
    mark = f"slow {uuid4()}"
    victim = six_psycopg[0]
    with ThreadPoolExecutor(1) as thread, psycopg.connect(postgres.url()) as witness:
        witness.autocommit = True
        slow = thread.submit(victim.execute, f"select pg_sleep(60) /* {mark} */")
        running = "select count(*) from pg_stat_activity where query like %s and pid <> %s"
        mine = witness.info.backend_pid
        while not slow.done() and witness.execute(running, (f"%{mark}%", mine)).fetchone() == (0,):
            pass
        victim.cancel_safe(timeout=20)
        with pytest.raises(errors.QueryCanceled):
            slow.result()
    victim.rollback()

    for worker, client in enumerate(six_psycopg):
        assert client.execute(f"select %s::int + {worker}", (1,)).fetchone() == (worker + 1,)
        client.commit()
