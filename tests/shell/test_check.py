"""`trio-pool check` and `trio-pool migrate`: what is said of a file that is not served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.console import Operated
from trio_pool import cli
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    made = Operated(tmp_path, postgres)
    made.databases["shop"] = f"{made.databases['*']} dbname=postgres"
    return made


def test_a_good_file_is_good(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(operated.write())]) == 0
    assert "it can be served" in capsys.readouterr().out


def test_connecting_says_what_is_there(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "--connect", "--json", str(operated.write())]) == 0
    report = json.loads(capsys.readouterr().out)
    (shop,) = [found for found in report["databases"] if found["name"] == "shop"]

    assert report["ok"] is True
    assert shop["reached"] is True
    assert "PostgreSQL" in shop["says"]
    assert operated.postgres.password not in json.dumps(report)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("host=127.0.0.1 port=1", "cannot log in as"),
        ("dbname=no_such_database_at_all", "does not exist"),
        ("user=somebody password=wrong", "authentication failed"),
    ],
)
def test_connecting_says_what_is_not(
    operated: Operated, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    operated.databases["shop"] = f"{operated.databases['*']} {line}"

    assert cli.main(["check", "--connect", str(operated.write())]) == 1
    said = capsys.readouterr().out
    assert "NOT REACHED" in said
    assert says in said


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"pool_mod": "session"}, "did you mean 'pool_mode'?"),
        ({"client_tls_sslmode": "require"}, "client_tls_cert_file"),
        ({"auth_type": "hba", "auth_hba_file": "/nowhere"}, "/nowhere: cannot be read"),
    ],
)
def test_a_mistake_is_explained_with_its_place(
    operated: Operated, capsys: pytest.CaptureFixture[str], broken: dict[str, str], says: str
) -> None:
    operated.settings |= broken
    file = operated.write()

    assert cli.main(["check", str(file)]) == 1
    said = capsys.readouterr().out
    assert says in said
    assert "it cannot be served" in said
    assert cli.main(["check", "--json", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_migrate_sorts_the_settings(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    operated.settings |= {"pkt_buf": "8192", "ignore_startup_parameters": "extra_float_digits"}
    file = operated.write()
    lines = file.read_text().splitlines()

    assert cli.main(["migrate", str(file)]) == 0
    said = capsys.readouterr().out
    effective, ignored, needless = (
        said.index(title)
        for title in (
            "in effect: ",
            "ignored, and can be deleted: 1",
            "in effect, but not needed here: 1",
        )
    )
    assert effective < said.index("pool_mode = transaction") < ignored
    place = f"{file}:{lines.index('pkt_buf = 8192') + 1}"
    assert ignored < said.index(f"{place}: pkt_buf = 8192: what was received is passed on")
    assert needless < said.index("no startup parameter is refused here")


def test_migrate_shows_no_password(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2-secret"
    operated.settings["auth_ldap_options"] = f"ldapserver=x ldapbindpasswd={secret}"
    file = str(operated.write())

    assert (cli.main(["migrate", file]), cli.main(["migrate", "--json", file])) == (0, 0)
    said = capsys.readouterr().out
    assert "ldapbindpasswd=***" in said
    assert secret not in said


def test_migrate_explains_a_file_that_cannot_be_served(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.settings["pool_mod"] = "session"

    assert cli.main(["migrate", str(operated.write())]) == 1
    assert "did you mean 'pool_mode'?" in capsys.readouterr().err
