"""Custom settings (app.tenant): a client finds those it made itself, and no trace of others'."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from protocol import frontend
from tests.conftest import StartPool
from tests.support.pooler import client_of
from tests.support.raw import RawClient
from trio_pool.conform.replies import Reply, field, letters
from trio_pool.conform.words import SYNC, execute, once, parse
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


def query(text: str) -> bytes:
    return frontend.query(text.encode())


def value(client: RawClient, sql: str) -> str | None:
    return client.rows(sql)[0][0]


def error(replies: list[Reply]) -> tuple[str | None, str | None]:
    (told,) = [reply for reply in replies if reply[0] == "E"]
    return field(told, "S"), field(told, "C")


READ = "select current_setting('app.tenant', true)"
PID = "select pg_backend_pid()"
TENANT = "11111111-1111-1111-1111-111111111111"

MAKERS = {
    "session": query(f"set app.tenant = '{TENANT}'"),
    "local": query(f"begin; set local app.tenant = '{TENANT}'; commit"),
    "config": query(f"select set_config('app.tenant', '{TENANT}', false)"),
    "local config": query(f"select set_config('app.tenant', '{TENANT}', true)"),
    "parameter": once("select set_config($1, $2, true)", "app.tenant", TENANT) + SYNC,
    "session parameter": once("select set_config($1, $2, false)", "app.tenant", TENANT) + SYNC,
    "extended": once(f"set app.tenant = '{TENANT}'") + SYNC,
    "extended local": once("begin")
    + once(f"set local app.tenant = '{TENANT}'")
    + once("end")
    + SYNC,
    "prepared": query(
        f"prepare p as select set_config('app.tenant', '{TENANT}', true); execute p; deallocate p"
    ),
    "rolled back": query(f"begin; set app.tenant = '{TENANT}'; rollback"),
    "block": query("do $$begin perform set_config('app.tenant', 'x', false); end$$"),
    "quoted": query(f"""set "app"."tenant" = '{TENANT}'"""),
    "capitals": query(f"SET APP.Tenant TO '{TENANT}'; RESET ALL"),
    "discarded": query(f"set app.tenant = '{TENANT}'") + query("discard all"),
}


@pytest.fixture
def guarded(postgres: LocalServer) -> Iterator[None]:
    """A table whose policy fails for an empty tenant, and passes for none."""
    with psycopg.connect(postgres.url(), autocommit=True) as root:
        root.execute(
            "create table guarded (tenant uuid); alter table guarded enable row level security;"
            " create policy own on guarded"
            " using (tenant = current_setting('app.tenant', true)::uuid);"
            f" insert into guarded values ('{TENANT}');"
            " create role reader; grant select on guarded to reader"
        )
        yield
        root.execute("drop table guarded; drop role reader")


@pytest.mark.usefixtures("guarded")
@pytest.mark.hard_case(135)
@pytest.mark.parametrize("made", MAKERS.values(), ids=MAKERS)
def test_a_policy_reads_null_where_its_client_has_set_nothing(pool: StartPool, made: bytes) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as tenant, client_of(running) as stranger:
        stranger.ask(query("set role reader"))
        tenant.ask(made, "ZZ" if made.count(b"discard all") else "Z")
        assert value(tenant, READ) in (TENANT, "x", "")
        assert value(stranger, READ) is None
        # Not 22P02, which an empty text would be.
        assert stranger.rows("select tenant from guarded") == []
        assert "42704" in str(stranger.ask(query("show app.tenant")))
        assert value(tenant, READ) in (TENANT, "x", "")


def test_clients_that_set_the_same_names_share_their_backends(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as first, client_of(running) as second:
        pid = value(first, PID)
        for turn in range(3):
            for client in (first, second):
                client.ask(query(f"set app.tenant = '{turn}'"))
                assert (value(client, PID), value(client, READ)) == (pid, str(turn))
        for opening in (
            "select set_config('app.tenant', 'new', true)",
            "begin; set local app.tenant = 'new'; commit",
            "set app.tenant to new",
        ):
            # Who says so first may have a backend that knows the name, even unknown.
            with client_of(running) as newcomer:
                newcomer.ask(query(opening))
                assert value(newcomer, PID) == pid
        with client_of(running) as newcomer:
            newcomer.ask(once("select set_config('app.tenant', $1, true)", "new") + SYNC)
            assert value(newcomer, PID) == pid


def test_a_name_that_was_given_up_is_still_there_on_the_next_backend(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("set app.tenant = 'x'"))
        client.ask(query("reset app.tenant"))
        other.ask(query("select 1"))
        assert value(client, READ) == ""
        assert value(client, "show app.tenant") == ""
        assert value(other, READ) is None


def test_nobody_is_passed_over_for_those_who_know_the_names(pool: StartPool) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as first, client_of(running) as second, client_of(running) as stranger:
        for client in (first, second):
            client.ask(query("set app.tenant = 'x'"))
        first.ask(query("begin"))
        stranger.send(query(READ))
        second.send(query("begin"))
        first.ask(query("commit"))
        assert ("D", None) in stranger.receive()
        second.receive()
        stranger.send(query(READ))
        second.ask(query("commit"))
        assert ("D", None) in stranger.receive()
        for _ in range(5):
            assert (value(first, READ), value(stranger, READ)) == ("x", None)


def test_the_names_may_be_shared_instead(pool: StartPool) -> None:
    running = pool(default_pool_size=1, share_custom_setting_names=1)
    with client_of(running) as tenant, client_of(running) as stranger:
        pid = value(tenant, PID)
        tenant.ask(query("set app.tenant = 'x'"))
        assert (value(stranger, PID), value(stranger, READ)) == (pid, "")
        assert value(tenant, READ) == "x"


def test_session_pooling_leaves_no_names_behind(pool: StartPool) -> None:
    running = pool(default_pool_size=1, pool_mode="session")
    with client_of(running) as tenant:
        tenant.ask(query("set app.tenant = 'x'"))
        assert value(tenant, READ) == "x"
        tenant.say_goodbye()
    with client_of(running) as stranger:
        assert value(stranger, READ) is None


def test_hundreds_of_names_follow_their_client(pool: StartPool) -> None:
    """The pool once looked after the first two hundred names only."""
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as other:
        client.ask(query("; ".join(f"set app.n{number} = '{number}'" for number in range(500))))
        assert value(other, "select current_setting('app.n499', true)") is None
        for number in (0, 250, 499):
            assert value(client, f"show app.n{number}") == str(number)


LIMITS = {
    "max_client_settings": ({"max_client_settings": 20}, "set app.n{0} = 'x'"),
    "max_client_settings_bytes": (
        {"max_client_settings_bytes": 500},
        "set app.n{0} = '" + "x" * 50 + "'",
    ),
    "local": ({"max_client_settings": 20}, "select set_config('app.n{0}', 'x', true)"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_client_that_sets_too_much_is_told_and_nothing_is_lost(
    pool: StartPool, limit: str
) -> None:
    settings, text = LIMITS[limit]
    running = pool(default_pool_size=1, **settings)
    with client_of(running) as other:
        other.ask(query("create table if not exists kept (a int); truncate kept"))
        answered = 0
        with client_of(running) as client:
            for number in range(30):
                replies = client.ask(query(f"insert into kept values ({number})"))
                if replies[-1][0] == "closed":
                    break
                answered += 1
                assert letters(client.ask(query(text.format(number)))).endswith("C Z")
            assert error(replies) == ("FATAL", "53400")
            assert next(iter(settings)) in str(replies)
        assert value(other, "select count(*) from kept") == str(answered)
        assert 5 < answered < 25
        assert value(other, "select current_setting('app.n1', true)") is None
        other.ask(query("drop table kept"))


def test_a_client_that_brings_too_much_is_not_let_in(pool: StartPool) -> None:
    running = pool(default_pool_size=1, max_client_settings=2)
    with pytest.raises(psycopg.OperationalError, match="max_client_settings"):
        psycopg.connect(running.url(), options="-c a.b=1 -c a.c=1 -c a.d=1")
    with client_of(running, **{"a.b": "1"}) as client:
        assert value(client, "show a.b") == "1"


@pytest.mark.parametrize("formats", [(), (1, 1)], ids=["text", "binary"])
def test_a_prepared_statement_names_the_setting_anew_each_time(
    pool: StartPool, formats: tuple[int, ...]
) -> None:
    running = pool(default_pool_size=1)
    with client_of(running) as client, client_of(running) as stranger:
        client.ask(parse("s", "select set_config($1, $2, true)") + SYNC)
        for name in ("app.one", "App.Two"):
            said = frontend.bind(b"", b"s", formats, (name.encode(), b"x"), ())
            client.ask(said + execute() + SYNC)
        for name in ("app.one", "app.two"):
            read = f"select current_setting('{name}', true)"
            assert (value(stranger, read), value(client, read)) == (None, "")
