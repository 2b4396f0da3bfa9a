"""auth_type = hba on a running pool: each line's method is the one that is asked for."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.console import Operated, serving
from trio_pool.config import ConfigError
from trio_pool.embedded import LocalServer
from trio_pool.interfaces import own_interfaces

pytestmark = pytest.mark.postgres


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    made = Operated(tmp_path, postgres)
    made.settings |= {
        "auth_type": "hba",
        "auth_hba_file": str(tmp_path / "hba"),
        "auth_ident_file": str(tmp_path / "ident"),
        "unix_socket_dir": str(tmp_path),
    }
    (tmp_path / "ident").write_text(f"here {pwd.getpwuid(os.getuid()).pw_name} {postgres.user}\n")
    return made


def allow(operated: Operated, *lines: str) -> None:
    (operated.path / "hba").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("method", ["trust", "password", "md5", "scram-sha-256"])
def test_a_line_asks_for_its_method(operated: Operated, method: str) -> None:
    allow(operated, f"host all all 127.0.0.1/32 {method}")
    with serving(operated) as running:
        with running.client() as client:
            assert client.execute("select 1").fetchone() == (1,)
        wrong = running.url("postgres").replace(f":{running.postgres.password}@", ":wrong@")
        if method != "trust":
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(wrong)


@pytest.mark.parametrize("lines", [["host all all all reject"], ["host other all all trust"], []])
def test_who_is_rejected_or_not_mentioned_does_not_come_in(
    operated: Operated, lines: list[str]
) -> None:
    allow(operated, *lines)
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
        running.client()

    assert "login rejected" in str(refused.value)


@pytest.mark.parametrize("keyword", ["samehost", "samenet"])
def test_who_is_on_this_machine_is_near(operated: Operated, keyword: str) -> None:
    allow(operated, f"host all all {keyword} trust")
    with serving(operated) as running, running.client() as client:
        assert client.execute("select 1").fetchone() == (1,)


def test_this_machines_addresses_are_those_that_it_uses() -> None:
    """Whoever connects from here to an address of this machine comes from that address."""
    found = own_interfaces()
    assert ipaddress.ip_interface("127.0.0.1/8") in found
    for address in [str(interface.ip) for interface in found if interface.version == 4]:
        with (
            socket.create_server((address, 0)) as listener,
            socket.create_connection(listener.getsockname()) as client,
        ):
            assert client.getsockname()[0] == address


@pytest.mark.parametrize(("option", "welcome"), [("map=here", True), ("", False)])
def test_peer_takes_the_account_at_the_other_end(
    operated: Operated, option: str, welcome: bool
) -> None:
    allow(operated, f"local all all peer {option}")
    user = operated.postgres.user
    if pwd.getpwuid(os.getuid()).pw_name == user:
        pytest.skip("this account is called like the superuser")
    with serving(operated) as running:
        assert running.serving is not None
        path = next(a for a in running.serving.addresses if isinstance(a, str))
        place = f"host={operated.path} port={path.rpartition('.')[2]} user={user} dbname=postgres"
        if welcome:
            with psycopg.connect(place) as client:
                assert client.execute("select 1").fetchone() == (1,)
        else:
            with pytest.raises(psycopg.OperationalError, match="peer authentication failed"):
                psycopg.connect(place)


@pytest.fixture
def grouped(operated: Operated) -> Iterator[Operated]:
    """Roles whose groups the server knows: a chief is staff by way of the chiefs."""
    with psycopg.connect(operated.postgres.url(), autocommit=True) as server:
        for statement in (
            "create role hba_staff",
            "create role hba_chiefs in role hba_staff",
            "create role hba_clerk login password 'x' in role hba_staff",
            "create role hba_chief login password 'x' in role hba_chiefs",
            "create role hba_guest login password 'x'",
        ):
            server.execute(statement)
        operated.secrets |= dict.fromkeys(["hba_clerk", "hba_chief", "hba_guest"], "x")
        operated.settings |= {"auth_user": operated.postgres.user}
        yield operated
        for role in ("clerk", "chief", "guest", "chiefs", "staff"):
            server.execute(f"drop role hba_{role}")


def test_a_group_is_asked_of_the_server(grouped: Operated) -> None:
    allow(grouped, "host all +hba_staff all scram-sha-256")
    with serving(grouped) as running:
        for member in ("hba_clerk", "hba_chief"):
            with running.client(user=member) as client:
                assert client.execute("select current_user").fetchone() == (member,)
        # As at a server, a superuser is a member of what it was made a member of.
        for stranger in ("hba_guest", running.postgres.user):
            with pytest.raises(psycopg.OperationalError, match="login rejected"):
                running.client(user=stranger)


def test_samerole_lets_members_into_the_database_of_that_name(grouped: Operated) -> None:
    place = f"host={grouped.postgres.host} port={grouped.postgres.port} dbname=postgres"
    grouped.databases |= {"hba_staff": place}
    allow(grouped, "host samerole all all scram-sha-256")
    with serving(grouped) as running:
        running.client("hba_staff", "hba_chief").close()
        for database, user in (("hba_staff", "hba_guest"), ("postgres", "hba_clerk")):
            with pytest.raises(psycopg.OperationalError, match="login rejected"):
                running.client(database, user)


def test_a_group_that_nobody_can_be_asked_about_lets_nobody_past_its_line(
    grouped: Operated,
) -> None:
    """To pass over the line would let in whom it was to keep out."""
    grouped.databases |= {"elsewhere": "host=127.0.0.1 port=1 dbname=postgres"}
    allow(grouped, "host all +hba_staff all reject", "host all all all trust")
    with serving(grouped) as running:
        running.client(user="hba_guest").close()
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            running.client(user="hba_clerk")
        with pytest.raises(psycopg.OperationalError, match="bouncer config error"):
            running.client("elsewhere", "hba_guest")


def test_a_group_without_anybody_to_ask_is_an_error_of_the_file(operated: Operated) -> None:
    allow(operated, "host all +staff all trust")
    with pytest.raises(ConfigError, match="set auth_user"), serving(operated):
        pass


def test_without_its_file_hba_lets_nobody_in(operated: Operated) -> None:
    operated.settings |= {"auth_type": "trust"}
    with serving(operated) as running:
        running.client().close()
        running.tell("SET auth_type = hba")
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            running.client()


def test_a_reload_reads_the_file_again_and_refuses_a_broken_one(operated: Operated) -> None:
    allow(operated, "host all all all scram-sha-256")
    with serving(operated) as running:
        allow(operated, "host pgbouncer all all md5", "host all all all reject")
        running.tell("RELOAD")
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            running.client()
        allow(operated, "host all all all kerberos")
        with pytest.raises(psycopg.Error, match="method 'kerberos' is not supported"):
            running.tell("RELOAD")
        with pytest.raises(psycopg.OperationalError, match="login rejected"):
            running.client()
