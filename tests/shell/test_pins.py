"""What an operator decides about, and sees of, clients that keep their backends."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from protocol.sql.split import STATEMENTS_MAX
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, client_of
from trio_pool.conform.replies import Reply, field, letters
from trio_pool.conform.words import SYNC, once, parse, run
from trio_pool.embedded import LocalServer
from trio_pool.pinned import Pinned, pinned

MAKERS = {
    "temp": ("create temp table mine (a int)", "select 1 as a into temp mine"),
    "hold": ("declare c cursor with hold for select 1",),
    "lock": ("select pg_advisory_lock(71)", "select 1 where pg_try_advisory_lock_shared(72)"),
    "listen": ("listen news",),
    "load": ("load 'auto_explain'",),
}
CASES = [(kind, text) for kind, texts in MAKERS.items() for text in texts]


def query(text: str) -> bytes:
    return frontend.query(text.encode())


def refused(replies: list[Reply]) -> bool:
    errors = [reply for reply in replies if reply[0] == "E"]
    return len(errors) == 1 and field(errors[0], "C") == "0A000" and bool(field(errors[0], "H"))


def pins_of(running: RunningPool) -> list[Pinned]:
    return pinned(list(running.serving.server.sessions.values()))


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_what_the_policy_refuses_fails_before_anything_is_done(
    pool: StartPool, kind: str, text: str
) -> None:
    running = pool(default_pool_size=1, pin_policy=f"{kind}:refuse")
    with client_of(running) as client, client_of(running) as other:
        assert refused(client.ask(query(text)))
        assert refused(client.ask(once(text) + SYNC))
        assert refused(client.ask(parse("s", text) + SYNC))
        assert field(client.ask(run("s") + SYNC)[0], "C") == "26000"
        if text.startswith("select"):
            assert refused(client.ask(query(f"prepare s as {text}")))
        # The one backend is everybody's all the same.
        assert other.rows("select 1") == [("1",)]

        client.ask(query("begin"))
        assert refused(client.ask(query(f"select 1; {text}; select 2")))
        assert client.ask(query("select 1"))[-1] == ("Z", "E")
        assert letters(client.ask(query("rollback"))) == "C Z"
        assert other.rows("select 1") == [("1",)]
    assert running.serving.counters.pins == 0


def test_what_the_policy_only_warns_of_is_done_and_pins_nobody(
    pool: StartPool, caplog: pytest.LogCaptureFixture
) -> None:
    running = pool(default_pool_size=1, query_wait_timeout=2, pin_policy="warn, lock:pin")
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("create temp table mine (a int)"))
        # As with a pooler that knows nothing of it: the table is the backend's.
        assert other.rows("select a from mine") == []

    assert "temp:warn" in caplog.text
    assert "create temp table mine" in caplog.text


def test_a_pinned_client_is_listed_with_its_reason_until_the_server_says_it_is_over(
    pool: StartPool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trio_pool.pinned")
    running = pool(default_pool_size=2)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("create temp table\n\tmine (a int)"))
        client.ask(query("select pg_advisory_lock(71)"))
        other.rows("select 1")

        (temp, lock) = pins_of(running)
        assert (temp.reason, temp.statement) == (
            "temporary objects",
            "create temp table mine (a int)",
        )
        assert lock.reason == "session advisory lock"
        assert (temp.session, temp.backend) == (lock.session, lock.backend)
        assert 0 < temp.since <= lock.since

        client.ask(query("drop table mine"))
        client.ask(query("select 1"))
        assert [pin.reason for pin in pins_of(running)] == ["session advisory lock"]
        client.ask(query("select pg_advisory_unlock_all()"))
        for _ in range(2):
            # What is asked behind a request is settled before the next one is answered.
            client.ask(query("select 1"))
        assert pins_of(running) == []

    lines = [record.getMessage() for record in caplog.records]
    begun = [line for line in lines if line.startswith("client pinned")]
    over = [line for line in lines if line.startswith("client no longer pinned")]
    assert len(begun) == len(over) == 2
    counters = running.serving.counters
    assert (counters.pins, counters.pins_temp, counters.pins_lock) == (2, 1, 1)


@pytest.mark.hard_case(136)
def test_a_library_that_was_loaded_goes_with_its_backend(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        pid = client.rows("select pg_backend_pid()")
        client.ask(query("load 'auto_explain'"))
        assert client.rows("select pg_backend_pid()") == pid
        client.say_goodbye()
    with client_of(running) as other:
        assert other.rows("select pg_backend_pid()") != pid


@pytest.fixture
def hiding(postgres: LocalServer) -> Iterator[None]:
    """Functions that leave something in the session of who calls them, and one that does not."""
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute(
            "create function hide_table() returns int language plpgsql as"
            " $$begin create temp table hidden as select 7 as a; return 1; end$$;"
            " create function hide_lock() returns void language sql as"
            " $$select pg_advisory_lock(77)$$;"
            " create function hide_setting() returns text language sql as"
            " $$select set_config('work_mem', '9MB', false)$$;"
            " create function hide_nothing() returns int language sql as $$select 1$$;"
            " create procedure hide_by_call() language plpgsql as"
            " $$begin create temp table hidden as select 7 as a; end$$"
        )
        yield
        root.execute(
            "drop function hide_table, hide_lock, hide_setting, hide_nothing;"
            " drop procedure hide_by_call"
        )


HIDERS = (
    "select hide_table()",
    "select * from public.hide_table()",
    "call hide_by_call()",
    "do $$begin perform hide_table(); end$$",
)


@pytest.mark.usefixtures("hiding")
@pytest.mark.parametrize("text", HIDERS)
@pytest.mark.parametrize("extended", [False, True])
def test_a_table_that_a_function_makes_stays_with_its_client(
    pool: StartPool, text: str, extended: bool
) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as client, client_of(running) as other:
        client.ask(once(text) + SYNC if extended else query(text))
        for _ in range(3):
            assert "42P01" in str(other.ask(query("select a from hidden")))
            assert client.rows("select a from hidden") == [("7",)]
        assert [pin.reason for pin in pins_of(running)] == ["temporary objects"]
        client.ask(query("drop table hidden"))
        for _ in range(2):
            client.ask(query("select 1"))
        assert pins_of(running) == []


@pytest.mark.parametrize(
    "others",
    [
        "set work_mem = '5MB';" * STATEMENTS_MAX,
        f"select 1 where 'a' in ({', '.join(['$$b;$$'] * 100_000)});",
    ],
    ids=["statements", "quotes"],
)
def test_a_table_made_beyond_all_limits_stays_with_its_client(pool: StartPool, others: str) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query(others + "create temp table beyond as select 7 as a"))
        for _ in range(3):
            assert "42P01" in str(other.ask(query("select a from beyond")))
            assert client.rows("select a from beyond") == [("7",)]


@pytest.mark.usefixtures("hiding")
def test_a_lock_and_a_setting_of_a_function_stay_with_its_client(pool: StartPool) -> None:
    running = pool(default_pool_size=2)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("select hide_setting()"))
        assert other.rows("show work_mem") == [("4MB",)]
        assert client.rows("show work_mem") == [("9MB",)]
        client.ask(query("prepare p as select hide_lock()"))
        client.ask(query("execute p"))
        assert other.rows("select pg_try_advisory_lock(77)") == [("f",)]
        assert client.rows("select pg_advisory_unlock(77)") == [("t",)]


@pytest.mark.usefixtures("hiding")
def test_a_function_that_never_leaves_anything_is_not_asked_about_for_ever(
    pool: StartPool,
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client:
        for _ in range(20):
            assert client.rows("select hide_nothing()") == [("1",)]
            client.ask(once("select hide_nothing()") + SYNC)
        # Three times for its settings, three times for everything else.
        assert running.serving.counters.questions == 6
        assert pins_of(running) == []
