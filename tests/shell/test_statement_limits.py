"""Bounds on prepared statements: per backend in number, per client in bytes."""

from __future__ import annotations

import pytest

from protocol import frontend
from protocol.sql.split import STATEMENTS_MAX
from tests.conftest import StartPool
from tests.support.pooler import client_of

STATEMENTS = 5_000
HELD_BY_A_BACKEND = 10


def prepare(number: int) -> bytes:
    return frontend.parse(b"s%d" % number, b"select %d" % number) + frontend.sync()


def use(number: int) -> bytes:
    name = b"s%d" % number
    return frontend.bind(b"", name, (), (), ()) + frontend.execute() + frontend.sync()


def test_a_client_may_prepare_far_more_than_a_backend_holds(pool: StartPool) -> None:
    running = pool(default_pool_size=1, max_prepared_statements=HELD_BY_A_BACKEND)

    with client_of(running) as client:
        for number in range(STATEMENTS):
            assert client.ask(prepare(number))[0] == ("1",)
        for number in (0, 7, STATEMENTS // 2, STATEMENTS - 1, 0):
            assert client.ask(use(number))[1] == ("D", str(number).encode())
        held = client.rows("select count(*) from pg_prepared_statements")

    assert int(held[0][0] or "") <= HELD_BY_A_BACKEND


def test_no_limit_of_zero_takes_prepared_statements_away(pool: StartPool) -> None:
    running = pool(default_pool_size=1, max_prepared_statements=0)

    with client_of(running) as client, client_of(running) as other:
        for number in range(3):
            client.ask(prepare(number))
            other.ask(prepare(number + 100))
        for number in (2, 0, 1):
            assert client.ask(use(number))[1] == ("D", str(number).encode())
            assert other.ask(use(number + 100))[1] == ("D", str(number + 100).encode())


@pytest.mark.hard_case(189)
def test_a_client_that_holds_too_much_text_is_told_which_limit_it_met(pool: StartPool) -> None:
    running = pool(default_pool_size=1, max_client_prepared_bytes=10_000)
    text = b"select '" + b"x" * 6_000 + b"'"

    with client_of(running) as client:
        assert client.ask(frontend.parse(b"a", text) + frontend.sync())[0] == ("1",)
        client.ask(frontend.close_statement(b"a") + frontend.sync())
        assert client.ask(frontend.parse(b"b", text) + frontend.sync())[0] == ("1",)
        client.send(frontend.parse(b"c", text) + frontend.sync())
        told = client.receive("E")[-1]

    assert ("C", "53400") in told
    assert any("max_client_prepared_bytes" in str(field) for field in told)
    with client_of(running) as other:
        assert other.rows("select 1") == [("1",)]


def test_a_script_of_very_many_statements_names_what_its_client_prepared(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    plain = "select 'a;b'; " * (STATEMENTS_MAX // 2)
    script = f"prepare far as select 7; {plain} execute far; {plain} deallocate far; {plain}"
    with client_of(running) as client, client_of(running) as other:
        client.ask(frontend.query(b"prepare near as select 1"))
        replies = client.ask(
            frontend.query(script.encode() + b"execute near; prepare far as select 8")
        )

        tags = [reply[1] for reply in replies if reply[0] == "C"]
        assert len(tags) == 3 * (STATEMENTS_MAX // 2) + 5
        assert replies[-1][0] == "Z"
        for _ in range(3):
            assert "26000" in str(other.ask(frontend.query(b"execute far")))
            assert client.rows("execute far") == [("8",)]
            assert client.rows("execute near") == [("1",)]
