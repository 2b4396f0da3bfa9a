"""psycopg 3: prepared at the sixth time or at once, evicted, and in pipelines."""

from __future__ import annotations

import pytest
from psycopg import errors

pytestmark = pytest.mark.drivers

WORKERS = 6  # as many as six_psycopg has
TURNS = 8  # more than psycopg's default prepare_threshold of five
IS_PREPARED = "select count(*) > 0 from pg_prepared_statements where statement = %s"


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_a_query_repeated_beyond_the_threshold_is_prepared_and_answers_alike(
    six_psycopg, errands: str, crowd, rows_of, binary: bool
) -> None:
    insert = f"insert into {errands} values (%s, %s, %s)"

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        own = f"select %s::int * 10 + {worker} as n, array[%s::text, 'worker {worker}'] as who"
        with client.transaction():
            cursor = client.execute(own, (turn, "é"), binary=binary)
            assert cursor.fetchall() == [(turn * 10 + worker, ["é", f"worker {worker}"])]
            client.execute(insert, (worker, turn, f"{worker}.{turn}"), binary=binary)
            # The first five executions are not prepared, the sixth and later ones are.
            text = own.replace("%s::int", "$1::int").replace("%s::text", "$2::text")
            (prepared,) = client.execute(IS_PREPARED, (text,), prepare=False).fetchone()
            assert prepared is (turn >= 5)

    crowd(WORKERS, TURNS, errand)

    assert rows_of(errands) == [(w, t, f"{w}.{t}") for w in range(WORKERS) for t in range(TURNS)]


def test_statements_prepared_at_once_in_autocommit_outlive_their_transactions(
    six_psycopg, crowd
) -> None:
    for client in six_psycopg:
        client.autocommit = True
        client.prepare_threshold = 0

    def errand(worker: int, turn: int) -> None:
        for statement in range(4):
            text = f"select %s::int + {worker * 100 + statement}"
            assert six_psycopg[worker].execute(text, (turn,)).fetchone() == (
                turn + worker * 100 + statement,
            )

    crowd(WORKERS, TURNS, errand)


def test_evicted_statements_are_prepared_again(six_psycopg, crowd) -> None:
    for client in six_psycopg:
        client.prepare_threshold = 0
        client.prepared_max = 3

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        for statement in range(8):
            number = (statement + turn) % 8
            text = f"select %s::text || '{worker}.{number}'"
            assert client.execute(text, ("#",)).fetchone() == (f"#{worker}.{number}",)
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_deallocate_all_makes_only_this_client_forget(six_psycopg, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        text = f"select %s::int - {worker}"
        assert client.execute(text, (turn,), prepare=True).fetchone() == (turn - worker,)
        client.commit()
        if worker == turn:
            assert client.execute("deallocate all").statusmessage == "DEALLOCATE ALL"
            client.commit()

    crowd(WORKERS, TURNS, errand)


def test_a_pipeline_answers_every_query_in_order(six_psycopg, errands: str, crowd, rows_of) -> None:
    insert = f"insert into {errands} values (%s, %s, %s) returning turn"

    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        with client.pipeline():
            cursors = [
                client.execute(f"select %s::int + {worker * 10 + n % 3}", (n,), prepare=True)
                for n in range(9)
            ]
            written = client.execute(insert, (worker, turn, "pipelined"), prepare=True)
            client.commit()
            after = client.execute("select %s::text", (f"{worker}.{turn}",))
        assert [cursor.fetchone()[0] for cursor in cursors] == [
            n + worker * 10 + n % 3 for n in range(9)
        ]
        assert written.fetchone() == (turn,)
        assert after.fetchone() == (f"{worker}.{turn}",)
        client.commit()

    crowd(WORKERS, TURNS, errand)

    assert rows_of(errands) == [(w, t, "pipelined") for w in range(WORKERS) for t in range(TURNS)]


def test_an_error_in_a_pipeline_aborts_what_follows_and_nothing_later(six_psycopg, crowd) -> None:
    def errand(worker: int, turn: int) -> None:
        client = six_psycopg[worker]
        with pytest.raises(errors.DivisionByZero), client.pipeline():
            client.execute("select 1 / %s::int", (0,), prepare=True)
            client.execute(f"select %s::int + {worker}", (turn,), prepare=True)
        client.rollback()
        again = client.execute(f"select %s::int + {worker}", (turn,), prepare=True)
        assert again.fetchone() == (turn + worker,)
        client.commit()

    crowd(WORKERS, TURNS, errand)


def test_a_table_altered_by_another_client_is_reported_as_the_server_does_and_then_seen(
    six_psycopg, errands: str
) -> None:
    everything = f"select * from {errands}"
    six_psycopg[0].execute(f"insert into {errands} values (1, 1, 'x')")
    six_psycopg[0].commit()
    for client in six_psycopg:
        client.prepare_threshold = 0
        assert client.execute(everything).fetchone() == (1, 1, "x")
        client.commit()

    six_psycopg[0].execute(f"alter table {errands} add column extra int default 7")
    six_psycopg[0].commit()

    for client in six_psycopg:
        try:
            assert client.execute(everything).fetchone() == (1, 1, "x", 7)
        except errors.FeatureNotSupported as stale:
            # psycopg never retries and a server of its own would always say this; a pool that
            # prepared the text again for another client may already know the new shape.
            assert "cached plan must not change result type" in str(stale)
        client.rollback()
        assert client.execute(everything, prepare=False).fetchone() == (1, 1, "x", 7)
        client.commit()
