"""`trio-pool init`: what it writes can be served at once, and it destroys nothing."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from trio_pool import cli
from trio_pool.config import AuthType, PoolMode, load_config
from trio_pool.embedded import LocalServer

URL = "postgresql://me:hunter2@db.example:5433/shop"
# What ini files, user lists and connection strings each have a meaning for.
ODD = "it's \"odd\" {x} %s ; # = '' \\ ü"


def init(folder: Path, *words: str) -> int:
    return cli.main(["init", "--directory", str(folder), *words])


def test_the_files_say_what_the_url_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "new", URL, "--port", "7000") == 0
    said = capsys.readouterr().out
    config = load_config(tmp_path / "new" / "pgbouncer.ini")

    shop = config.databases["shop"]
    assert (shop.host, shop.port, shop.dbname) == ("db.example", 5433, "shop")
    assert config.secrets == {"me": "hunter2"}
    assert config.settings.admin_users == ("me",)
    assert config.settings.pool_mode is PoolMode.TRANSACTION
    assert (config.settings.listen_addr, config.settings.listen_port) == (("127.0.0.1",), 7000)
    assert not config.notices
    assert "hunter2" not in said
    assert stat.S_IMODE((tmp_path / "new" / "userlist.txt").stat().st_mode) == 0o600


@pytest.mark.postgres
def test_what_it_wrote_is_good_and_its_server_is_reached(
    tmp_path: Path, postgres: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, postgres.url()) == 0

    assert cli.main(["check", "--connect", str(tmp_path / "pgbouncer.ini")]) == 0
    assert "reached: PostgreSQL" in capsys.readouterr().out


def test_names_and_passwords_may_have_any_character(tmp_path: Path) -> None:
    odd = quote(ODD, safe="")
    assert init(tmp_path, f"postgresql://{odd}:{odd}@h/{odd}?application_name={odd}") == 0
    config = load_config(tmp_path / "pgbouncer.ini")

    assert config.secrets == {ODD: ODD}
    assert config.databases[ODD].dbname == ODD
    assert config.databases[ODD].application_name == ODD


def test_encryption_that_the_url_asks_for_is_asked_for(tmp_path: Path) -> None:
    assert init(tmp_path, f"{URL}?sslmode=verify-full&sslrootcert=/root.crt") == 0
    settings = load_config(tmp_path / "pgbouncer.ini").settings

    assert settings.server_tls_sslmode.value == "verify-full"
    assert settings.server_tls_ca_file == "/root.crt"


@pytest.mark.parametrize("there", ["pgbouncer.ini", "userlist.txt"])
def test_nothing_is_overwritten_unless_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    (tmp_path / there).write_text("precious")

    assert init(tmp_path, URL) == 1
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"

    assert init(tmp_path, URL, "--force") == 0
    assert load_config(tmp_path / "pgbouncer.ini").secrets == {"me": "hunter2"}
    assert stat.S_IMODE((tmp_path / "userlist.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://me@h/d", "not a PostgreSQL URL"),
        ("postgresql://h/d", "names no user"),
        ("postgresql://me@h/pgbouncer", "reserved for the console"),
        ("postgresql://me:a%0Ab@h/d", "line break"),
        ("postgresql://me@h/d", None),
    ],
)
def test_what_cannot_be_written_is_explained_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, says: str | None
) -> None:
    # The last is a mistake only where other machines would be let in without a password.
    words = () if says else ("--listen-addr", "*")

    assert init(tmp_path, url, *words) == 1
    assert (says or "would be let in") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_a_password_there_is_none_to_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert init(tmp_path, "postgresql://me@h/d") == 0

    assert load_config(tmp_path / "pgbouncer.ini").settings.auth_type is AuthType.TRUST


def test_without_a_url_it_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n5433\nme\n\nhunter2\n"))

    assert init(tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert "Host of the PostgreSQL server [127.0.0.1]: " in said.err
    files = json.loads(said.out)
    config = load_config(files["ini"])
    assert (config.databases["me"].host, config.databases["me"].port) == ("127.0.0.1", 5433)
    assert config.secrets == {"me": "hunter2"}


def test_who_stops_answering_gets_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("db.example\n"))

    assert init(tmp_path) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
