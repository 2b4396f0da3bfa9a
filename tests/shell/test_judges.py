"""auth_type pam and ldap, with the PAM of this system and a directory of our own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import unavailable
from tests.support.console import OPERATOR, Operated, serving
from tests.support.directory import ADMIN, ADMIN_PASSWORD, BASE, PEOPLE, Directory, directory, slapd
from trio_pool import judges, pam
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

PEOPLE_BASE = f"ou=people,{BASE}"


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Iterator[Operated]:
    """A pool whose server has the same people, with the same passwords."""
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        for name, password in PEOPLE.items():
            server.execute(f"create role {name} login password '{password}'")
        made = Operated(tmp_path, postgres)
        made.settings |= {"auth_type": "hba", "auth_hba_file": str(tmp_path / "hba")}
        yield made
        for name in PEOPLE:
            server.execute(f"drop role {name}")


def allow(operated: Operated, line: str) -> None:
    console = "host pgbouncer all all scram-sha-256"
    (operated.path / "hba").write_text(f"{console}\n{line}\n")


def log_in(running: Operated, user: str, password: str) -> str:
    """Who the server says that this client is; the user list knows nobody of them."""
    host = running.url("postgres").rpartition("@")[2]
    with psycopg.connect(f"postgresql://{user}:{password}@{host}") as client:
        (row,) = client.execute("select current_user").fetchall()
        return str(row[0])


def refused(running: Operated, user: str, password: str, who: str) -> None:
    says = f'{who} authentication failed for user "{user}"'
    with pytest.raises(psycopg.OperationalError, match=says):
        log_in(running, user, password)


# PAM.


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """A service that asks two programs: one about the password, one about the account."""
    if os.geteuid() != 0 or not pam.is_available():
        unavailable("a service of PAM can be made by root only, where there is PAM")
    name = f"trio-pool-test-{secrets.token_hex(6)}"
    check, account = tmp_path / "check", tmp_path / "account"
    known = " ".join(f'"{user}:{password}") exit 0;;' for user, password in PEOPLE.items())
    check.write_text(
        f'#!/bin/sh\ngiven=$(tr -d "\\0")\ncase "$PAM_USER:$given" in {known} esac\nexit 1\n'
    )
    account.write_text('#!/bin/sh\n[ "$PAM_USER" != twice ] && [ -n "$PAM_RHOST" ]\n')
    for script in (check, account):
        script.chmod(0o755)
    file = Path("/etc/pam.d") / name
    file.write_text(
        f"auth required pam_exec.so quiet expose_authtok {check}\n"
        f"account required pam_exec.so quiet {account}\n"
    )
    yield name
    file.unlink()


def test_pam_lets_in_who_knows_the_password(operated: Operated, service: str) -> None:
    allow(operated, f"host all all all pam pamservice={service}")
    with serving(operated) as running:
        assert log_in(running, "ursula", "sesame") == "ursula"
        refused(running, "ursula", "wrong", "PAM")
        refused(running, "nobody", "sesame", "PAM")


def test_pam_is_asked_about_the_account_as_well(operated: Operated, service: str) -> None:
    allow(operated, f"host all all all pam pamservice={service}")
    with serving(operated) as running:
        refused(running, "twice", "double", "PAM")


def test_auth_type_pam_asks_for_everybody(
    operated: Operated, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "PAM_SERVICE", service)
    operated.settings |= {"auth_type": "pam", "admin_users": "ursula"}
    with serving(operated) as running:
        assert log_in(running, "ursula", "sesame") == "ursula"
        host = running.url("pgbouncer", OPERATOR).rpartition("@")[2]
        with psycopg.connect(f"postgresql://ursula:sesame@{host}", autocommit=True) as console:
            assert console.execute("SHOW VERSION").fetchone() == ("PgBouncer 1.25.2",)
        refused(running, "ursula", "wrong", "PAM")


# LDAP.


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    program = slapd()
    if program is None:
        unavailable("slapd is not installed")
    with directory(program, tmp_path_factory.mktemp("ldap")) as running:
        yield running


def found_by_search(people: Directory) -> str:
    return (
        f'ldapserver=127.0.0.1 ldapport={people.port} ldapbasedn="{PEOPLE_BASE}"'
        f' ldapbinddn="{ADMIN}" ldapbindpasswd="{ADMIN_PASSWORD}"'
    )


@pytest.mark.parametrize("way", ["name", "search", "filter", "url"])
def test_ldap_lets_in_who_knows_the_password(
    operated: Operated, people: Directory, way: str
) -> None:
    place = f"ldapserver=127.0.0.1 ldapport={people.port}"
    bind = f'ldapbinddn="{ADMIN}" ldapbindpasswd="{ADMIN_PASSWORD}"'
    options = {
        "name": f'{place} ldapprefix="uid=" ldapsuffix=",{PEOPLE_BASE}"',
        "search": found_by_search(people),
        "filter": f'{found_by_search(people)} ldapsearchfilter="(&(sn=$username)(uid=$username))"',
        "url": f'ldapurl="ldap://127.0.0.1:{people.port}/{PEOPLE_BASE}?uid?sub" {bind}',
    }[way]
    allow(operated, f"host all all all ldap {options}")
    with serving(operated) as running:
        assert log_in(running, "ursula", "sesame") == "ursula"
        refused(running, "ursula", "wrong", "LDAP")
        refused(running, "nobody", "sesame", "LDAP")


@pytest.mark.parametrize("user", ["twice", "*", "ursula)(uid=*", "uid=ursula,ou=people"])
def test_ldap_takes_no_name_for_another(operated: Operated, people: Directory, user: str) -> None:
    """Neither one that two entries have, nor one that would change the question."""
    allow(operated, f"host all all all ldap {found_by_search(people)}")
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as no:
        host = running.url("postgres").rpartition("@")[2].partition("/")[0]
        psycopg.connect(
            f"postgresql://{host}/postgres", user=user, password=PEOPLE.get(user, "sesame")
        )

    assert "LDAP authentication failed" in str(no.value)


def test_ldap_is_not_fooled_by_an_empty_password(operated: Operated, people: Directory) -> None:
    """A directory lets whoever has no password in, as nobody."""
    allow(operated, f"host all all all ldap {found_by_search(people)}")
    with serving(operated) as running, pytest.raises(psycopg.OperationalError):
        log_in(running, "ursula", "")


@pytest.mark.parametrize("trusted", [True, False])
def test_ldap_is_asked_by_tls_only_where_the_certificate_is_trusted(
    operated: Operated, people: Directory, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(people.certificate))
    options = found_by_search(people).replace("127.0.0.1", "localhost")
    allow(operated, f"host all all all ldap {options} ldaptls=1")
    with serving(operated) as running:
        if trusted:
            assert log_in(running, "ursula", "sesame") == "ursula"
        else:
            refused(running, "ursula", "sesame", "LDAP")


def test_a_directory_that_does_not_answer_lets_nobody_in(operated: Operated) -> None:
    allow(operated, f"host all all all ldap ldapserver=127.0.0.1 ldapport=1 ldapbasedn={BASE[:10]}")
    with serving(operated) as running:
        refused(running, "ursula", "sesame", "LDAP")


def test_auth_type_ldap_has_its_options_and_hides_the_password(
    operated: Operated, people: Directory
) -> None:
    operated.settings |= {"auth_type": "ldap", "auth_ldap_options": found_by_search(people)}
    operated.settings |= {"stats_users": "ursula"}
    with serving(operated) as running:
        assert log_in(running, "ursula", "sesame") == "ursula"
        refused(running, "ursula", "wrong", "LDAP")
        host = running.url("pgbouncer").rpartition("@")[2]
        with psycopg.connect(f"postgresql://ursula:sesame@{host}", autocommit=True) as console:
            shown = {row[0]: row[1] for row in console.execute("SHOW CONFIG").fetchall()}
        assert "ldapbindpasswd=***" in shown["auth_ldap_options"]
        assert ADMIN_PASSWORD not in str(shown)
