"""The statements of docs/security.md that no other test shows, and that each names its test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from protocol import frontend, startup
from protocol.errors import ServerRefused
from tests.conftest import StartPool
from tests.support.pooler import RunningPool, config_for
from tests.support.raw import RawClient
from trio_pool import logs
from trio_pool.config import Settings, config_from_url
from trio_pool.config.exposure import exposure
from trio_pool.config.settings import settings_from
from trio_pool.embedded import LocalServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
SECRET = "correct horse battery staple"
_NAMED = re.compile(r"\(`(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)`\)$")


def statements() -> list[str]:
    """The list items of the page, but for those of its first chapter."""
    _, _, rest = PAGE.read_text().partition("## Before a client has logged in")
    return [line for line in rest.splitlines() if line.startswith("- ")]


@pytest.mark.parametrize("statement", statements())
def test_a_statement_on_the_page_names_the_test_that_shows_it(statement: str) -> None:
    named = _NAMED.search(statement)

    assert named is not None
    tree = ast.parse((ROOT / named["file"]).read_text())
    assert named["test"] in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def client_of(
    running: RunningPool, user: str = "", password: str = "", database: str = ""
) -> RawClient:
    return RawClient(
        (running.host, running.port),
        user=user or running.user,
        password=password or running.password,
        database=database or running.database,
    )


def refusal(running: RunningPool, user: str, password: str, database: str) -> tuple[str, str]:
    with pytest.raises(ServerRefused) as refused:
        client_of(running, user, password, database)
    return refused.value.sqlstate, refused.value.message.replace(user, "USER")


def test_for_a_stranger_no_server_is_asked(pool: StartPool) -> None:
    running = pool()
    for _ in range(3):
        assert refusal(running, running.user, "wrong", running.database)[0] == "28P01"

    assert not running.serving.server.pools


def test_a_stranger_learns_neither_users_nor_databases(pool: StartPool) -> None:
    running = pool()
    wrong = refusal(running, running.user, "wrong", running.database)

    assert refusal(running, "nobody", "wrong", running.database) == wrong
    assert refusal(running, running.user, "wrong", "nowhere") == wrong
    assert refusal(running, running.user, running.password, "nowhere")[0] == "3D000"


def test_a_cancel_request_with_half_a_key_cancels_nothing(pool: StartPool) -> None:
    running = pool()
    with client_of(running) as client:
        client.send(frontend.query(b"select 'done' from pg_sleep(0.5)"))
        whole, client.key = client.key, client.key[:2] + b"\0\0"
        assert client.key != whole
        client.cancel()

        assert ("D", b"done") in client.receive("Z")


def test_by_default_only_this_machine_gets_in() -> None:
    assert config_from_url("postgresql://app@db/shop").settings.listen_addr == ("127.0.0.1",)
    assert Settings().listen_addr == ()
    assert exposure(config_from_url("postgresql://app@db/shop").settings) is None


@pytest.mark.parametrize(
    ("listen_addr", "auth_type", "warned"),
    [
        ("127.0.0.1, ::1, localhost", "trust", False),
        ("*", "trust", True),
        ("127.0.0.1, 0.0.0.0", "any", True),
        ("db.example.net", "trust", True),
        ("*", "scram-sha-256", False),
    ],
)
def test_trust_off_the_loopback_is_not_silent(
    listen_addr: str, auth_type: str, warned: bool
) -> None:
    settings = settings_from(listen_addr=listen_addr, auth_type=auth_type)

    assert (exposure(settings) is not None) == warned


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_no_secret_is_logged_at_any_level(
    pool: StartPool, caplog: pytest.LogCaptureFixture, auth_type: str
) -> None:
    caplog.set_level("DEBUG")
    running = pool(auth_type=auth_type, users={"guest": SECRET})
    with pytest.raises(ServerRefused):
        # Its password is right here; the server does not know it.
        client_of(running, "guest", SECRET)
    with pytest.raises(ServerRefused):
        client_of(running, password=SECRET[:-1])
    with client_of(running) as client:
        for text in (f"alter role nobody password '{SECRET}'", f"set a.b = '{SECRET}'; selec"):
            client.ask(frontend.query(text.encode()))
    said = client_said(running, startup.startup_message([(b"user", b"x"), (b"password", b"hush")]))

    assert said
    assert SECRET[:-1] not in caplog.text
    assert running.password not in caplog.text
    assert "hush" not in caplog.text


def test_no_secret_is_shown_with_the_configuration(postgres: LocalServer) -> None:
    config = config_for(postgres, users={"guest": SECRET})
    by_url = config_from_url(f"postgresql://app:{SECRET.replace(' ', '%20')}@db/shop")

    assert SECRET not in repr(config) + repr(by_url)
    assert postgres.password not in repr(config) + repr(postgres)


def test_a_name_cannot_forge_a_line_of_the_log(
    pool: StartPool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    running = pool(auth_type="trust")
    with pytest.raises(ServerRefused):
        client_of(running, "eve\n2026-01-01 [1] LOG all is well", database="x\r\n[1] LOG all")
    with client_of(running, running.user) as client:
        client.ask(frontend.query(b"set application_name = 'a\n[1] LOG all is well'"))
    with pytest.raises(ServerRefused):
        client_of(running, running.user, database="x\n[1] LOG all is well")

    written = logs.formatter()
    records = [record for record in caplog.records if "all is well" in record.getMessage()]
    assert len(records) >= 3
    assert not [line for line in map(written.format, records) if "\n" in line or "\r" in line]


def client_said(running: RunningPool, packet: bytes) -> bytes:
    """What a stranger is told who sends this packet."""
    stranger = RawClient((running.host, running.port), log_in=False)
    stranger.send(packet)
    stranger.finish_sending()
    said = bytearray()
    while part := stranger._socket.recv(65_536):
        said += part
    stranger.close()
    return bytes(said)
