"""auth_query: who is not in the user list is looked up at the server, at every login."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.console import PASSWORD, Operated, serving
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

ROLE = "looked_up"


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Iterator[Operated]:
    """Roles at the server that no user list knows, one per way to keep a password."""
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        for way in ("md5", "scram-sha-256"):
            name = f"{ROLE}_{way[:3]}"
            server.execute("select set_config('password_encryption', %s, false)", (way,))
            server.execute(f"drop role if exists {name}")
            server.execute(f"create role {name} login password '{PASSWORD}'")
        yield asked_of(Operated(tmp_path, postgres))
        for way in ("md5", "scr"):
            server.execute(f"drop owned by {ROLE}_{way}; drop role {ROLE}_{way}")


def asked_of(operated: Operated) -> Operated:
    operated.settings |= {"auth_user": operated.postgres.user}
    return operated


def client(operated: Operated, user: str, password: str, **more: str) -> psycopg.Connection:
    operated.secrets[user] = password
    return psycopg.connect(operated.url("postgres", user), autocommit=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_a_role_of_the_server_logs_in_as_itself(operated: Operated, auth_type: str) -> None:
    operated.settings |= {"auth_type": auth_type}
    with serving(operated) as running, client(running, f"{ROLE}_scr", PASSWORD) as role:
        assert role.execute("select current_user").fetchone() == (f"{ROLE}_scr",)


@pytest.mark.parametrize("user", [f"{ROLE}_scr", f"{ROLE}_md5", "nobody_at_all"])
def test_a_wrong_password_and_an_unknown_role_are_refused_in_the_same_words(
    operated: Operated, user: str
) -> None:
    with (
        serving(operated) as running,
        pytest.raises(psycopg.OperationalError, match="password authentication failed"),
    ):
        client(running, user, "wrong")


def test_a_changed_password_counts_at_the_next_login(operated: Operated) -> None:
    with serving(operated) as running:
        client(running, f"{ROLE}_scr", PASSWORD).close()
        with psycopg.connect(running.postgres.url(), autocommit=True) as server:
            server.execute(f"alter role {ROLE}_scr password 'new one'")

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            client(running, f"{ROLE}_scr", PASSWORD)
        client(running, f"{ROLE}_scr", "new one").close()


def test_a_password_that_has_expired_is_none(operated: Operated) -> None:
    with serving(operated) as running:
        with psycopg.connect(running.postgres.url(), autocommit=True) as server:
            server.execute(f"alter role {ROLE}_scr valid until '2001-01-01'")

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            client(running, f"{ROLE}_scr", PASSWORD)


def test_a_clients_search_path_does_not_decide_which_table_answers(operated: Operated) -> None:
    """The story: a client's startup parameter reached the connection that asks for secrets, and
    a table of the attacker's answered in the place of the server's (CVE-2025-12819).
    """
    view = "secrets as select 'x'::text as n, '{}'::text as p"
    with psycopg.connect(operated.postgres.url(), autocommit=True) as server:
        server.execute("create schema evil; create view evil." + view.format("guessed"))
        server.execute("create view public." + view.format("right"))
        operated.settings |= {"auth_query": "select * from secrets where $1::text is not null"}
        try:
            with (
                serving(operated) as running,
                pytest.raises(psycopg.OperationalError, match="password authentication failed"),
            ):
                client(running, "x", "guessed", options="-c search_path=evil")
        finally:
            server.execute("drop schema evil cascade; drop view public.secrets")


def test_auth_user_and_auth_query_of_a_database_win(operated: Operated) -> None:
    operated.settings |= {"auth_query": "select nonsense"}
    operated.databases = {
        "postgres": operated.databases["*"]
        + " auth_query='select rolname, rolpassword from pg_authid where rolname = $1'"
    }
    with serving(operated) as running:
        client(running, f"{ROLE}_scr", PASSWORD).close()


def test_a_server_that_cannot_be_asked_is_an_error_of_its_own(operated: Operated) -> None:
    operated.settings |= {"auth_query": "select nonsense from $1"}
    with (
        serving(operated) as running,
        pytest.raises(psycopg.OperationalError, match="bouncer config error"),
    ):
        client(running, f"{ROLE}_scr", PASSWORD)


def test_who_is_in_the_user_list_is_never_looked_up(operated: Operated) -> None:
    operated.settings |= {"auth_query": "select nonsense from $1"}
    with serving(operated) as running, running.client() as listed:
        assert listed.execute("select 1").fetchone() == (1,)
