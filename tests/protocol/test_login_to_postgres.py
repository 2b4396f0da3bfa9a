"""Logging in to a real PostgreSQL by every method it offers us."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import backend, frontend, scram, startup
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.handshake import Credentials, LoggedIn, log_in
from protocol.startup_message import StartupMessage
from protocol.stored_secrets import Md5Secret, PlainSecret, md5_secret, parse_secret
from protocol.tags import BackendTag
from tests.conftest import unavailable
from tests.support.conversations import converse, receive_message
from trio_pool.embedded import LocalServer, PostgresNotFound, local_postgres

pytestmark = pytest.mark.postgres

# Users are named after the method by which the server checks them. The order of the lines is
# that of pg_hba.conf: the first that fits counts.
HBA = """
host all trusted  127.0.0.1/32 trust
host all clear    127.0.0.1/32 password
host all digest   127.0.0.1/32 md5
host all upgraded 127.0.0.1/32 md5
host all refused  127.0.0.1/32 reject
host all all      127.0.0.1/32 scram-sha-256
"""
ODD_PASSWORD = "p\u00e4ss\u00a0w\u00f6rd '\"\\ \ufb01"
ROLES = f"""
create role trusted login;
set password_encryption = 'md5';
create role clear login password 'pw';
create role digest login password 'pw';
set password_encryption = 'scram-sha-256';
create role upgraded login password 'pw';
create role scrammed login password 'pw';
create role refused login password 'pw';
create role odd login password $odd${ODD_PASSWORD}$odd$;
"""

ClientSecret = PlainSecret | Md5Secret | scram.ScramKeys | None


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A PostgreSQL of our own: the shared one has one method for everybody."""
    with tempfile.TemporaryDirectory() as folder:
        hba = Path(folder, "pg_hba.conf")
        hba.write_text(HBA)
        os.chmod(folder, 0o755)
        try:
            local = local_postgres(settings={"hba_file": str(hba)})
            with local as started:
                run(started, ROLES)
                yield started
        except PostgresNotFound as missing:
            unavailable(str(missing))


def enter(
    server: LocalServer, user: str, secret: ClientSecret, database: str = "postgres", minor: int = 0
) -> tuple[socket.socket, LoggedIn]:
    """Log in; the caller closes the socket."""
    sock = socket.create_connection((server.host, server.port), timeout=10)
    nonce = base64.b64encode(secrets.token_bytes(18))
    credentials = Credentials(user.encode(), secret)
    parameters = [(b"database", database.encode()), (b"application_name", b"handshake")]
    try:
        return sock, converse(log_in(credentials, parameters, nonce=nonce, minor=minor), sock)
    except BaseException:
        sock.close()
        raise


def run(server: LocalServer, text: str) -> list[tuple[bytes | None, ...]]:
    """What a Query by the superuser returns."""
    sock, _ = enter(server, server.user, PlainSecret(server.password.encode()))
    with sock:
        return ask(sock, text)


def ask(sock: socket.socket, text: str) -> list[tuple[bytes | None, ...]]:
    sock.sendall(frontend.query(text.encode()))
    rows: list[tuple[bytes | None, ...]] = []
    while True:
        tag, body = receive_message(sock)
        message = backend.decode(tag, body)
        assert message.encode() == bytes([tag]) + (len(body) + 4).to_bytes(4, "big") + body
        assert not isinstance(message, backend.ErrorResponse), message
        if isinstance(message, backend.DataRow):
            rows.append(message.values)
        if tag == BackendTag.READY_FOR_QUERY:
            return rows


@pytest.mark.parametrize(
    ("user", "secret"),
    [
        ("trusted", None),
        ("clear", PlainSecret(b"pw")),
        ("digest", PlainSecret(b"pw")),
        ("digest", md5_secret(b"digest", b"pw")),
        ("upgraded", PlainSecret(b"pw")),
        ("scrammed", PlainSecret(b"pw")),
        ("odd", PlainSecret(ODD_PASSWORD.encode())),
    ],
)
def test_every_method_lets_us_in(server: LocalServer, user: str, secret: ClientSecret) -> None:
    sock, logged_in = enter(server, user, secret)

    with sock:
        assert ask(sock, "select current_user, pg_backend_pid()") == [
            (user.encode(), str(logged_in.pid).encode())
        ]
    assert logged_in.parameters[b"application_name"] == b"handshake"
    assert len(logged_in.key) == 4


def test_a_password_that_saslprep_makes_equal_is_equal_for_the_server_too(
    server: LocalServer,
) -> None:
    alike = ODD_PASSWORD.replace("\u00a0", " ").replace("\ufb01", "fi")

    sock, _ = enter(server, "odd", PlainSecret(alike.encode()))
    sock.close()


def test_keys_made_for_the_servers_own_verifier_let_us_in(server: LocalServer) -> None:
    [(stored,)] = run(server, "select rolpassword from pg_authid where rolname = 'scrammed'")
    assert stored is not None
    verifier = parse_secret(stored)
    assert isinstance(verifier, scram.ScramVerifier)
    salted = scram.salted_password(b"pw", verifier.salt, verifier.iterations)
    keys = scram.keys_from_salted(salted, verifier.salt, verifier.iterations)

    sock, _ = enter(server, "scrammed", keys)

    sock.close()
    assert scram.verifier_from_keys(keys) == verifier


def test_what_the_server_stores_is_what_we_would_store(server: LocalServer) -> None:
    [(stored,)] = run(server, "select rolpassword from pg_authid where rolname = 'digest'")

    assert stored == md5_secret(b"digest", b"pw").text


def test_the_server_takes_a_verifier_that_we_made(server: LocalServer) -> None:
    verifier = scram.make_verifier(b"ours", b"salt of our own", 5000)
    run(server, f"create role made login password '{verifier.encode().decode()}'")

    sock, _ = enter(server, "made", PlainSecret(b"ours"))

    sock.close()


@pytest.mark.parametrize("user", ["clear", "digest", "upgraded", "scrammed", "nobody_there"])
def test_a_wrong_password_is_refused_by_the_server(server: LocalServer, user: str) -> None:
    with pytest.raises(ServerRefused, match="password authentication failed") as caught:
        enter(server, user, PlainSecret(b"wrong"))
    assert caught.value.sqlstate == "28P01"


@pytest.mark.parametrize(
    ("user", "secret"),
    [
        ("clear", None),
        ("clear", md5_secret(b"clear", b"pw")),
        ("digest", None),
        ("scrammed", None),
        ("scrammed", md5_secret(b"scrammed", b"pw")),
        ("scrammed", scram.keys_from_salted(b"x", b"another salt", 4096)),
    ],
)
def test_a_proof_that_we_cannot_give_is_not_attempted(
    server: LocalServer, user: str, secret: ClientSecret
) -> None:
    with pytest.raises(AuthenticationRefused):
        enter(server, user, secret)


def test_refusals_that_have_nothing_to_do_with_passwords_keep_their_sqlstate(
    server: LocalServer,
) -> None:
    with pytest.raises(ServerRefused) as rejected:
        enter(server, "refused", PlainSecret(b"pw"))
    with pytest.raises(ServerRefused) as astray:
        enter(server, "trusted", None, database="no_such_database")

    assert (rejected.value.sqlstate, astray.value.sqlstate) == ("28000", "3D000")


def test_a_server_that_speaks_an_older_version_is_followed(server: LocalServer) -> None:
    sock, logged_in = enter(server, "trusted", None, minor=startup.MINOR_MAX)

    with sock:
        [(number,)] = ask(sock, "show server_version_num")
    assert number is not None
    # Version 3.2 of the protocol came with PostgreSQL 18.
    assert logged_in.protocol_minor == (2 if int(number) >= 180000 else 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\0\3\0\0database\0postgres\0\0",
        b"\0\3\0\0user\0trusted\0",
        b"\0\3\0\0user\0trusted\0database\0\0",
        b"\0\3\0\0user\0trusted\0\0junk",
        b"\0\3\0\0user\0trusted\0replication\0maybe\0\0",
        b"\0\4\0\0user\0trusted\0\0",
    ],
)
def test_the_server_refuses_the_packets_that_we_refuse_and_says_the_same(
    server: LocalServer, data: bytes
) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        sock.sendall((len(data) + 4).to_bytes(4, "big") + data)
        tag, body = receive_message(sock)
    assert tag == BackendTag.ERROR
    theirs = backend.decode_error_response(body)

    with pytest.raises(ProtocolViolation) as ours:
        message = startup.decode_startup(data)
        assert isinstance(message, StartupMessage)
        _ = message.replication
    assert ours.value.sqlstate == theirs.sqlstate
    # What is supported depends on the server's version.
    assert ours.value.message.partition(":")[0] == theirs.message.partition(":")[0]


@pytest.mark.parametrize(
    "options",
    [
        "-c work_mem=1MB --statement-timeout=7s -c a.b=x\\ y",
        "-cwork_mem=2MB -c a.b=\\\\",
        "-e -S 128",
        "-c work_mem",
        "-Z",
        "stray",
        "-c work_mem=1MB stray",
        "-c",
        "",
    ],
)
def test_the_server_reads_options_as_we_read_them(server: LocalServer, options: str) -> None:
    pairs = [(b"user", b"trusted"), (b"database", b"postgres"), (b"options", options.encode())]
    message = StartupMessage(0, tuple(pairs))
    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        parameters = pairs[1:]
        exchange = log_in(Credentials(b"trusted"), parameters, nonce=b"unused")
        try:
            converse(exchange, sock)
        except ServerRefused as theirs:
            with pytest.raises(ProtocolViolation) as ours:
                message.settings()
            assert (ours.value.sqlstate, ours.value.message) == (theirs.sqlstate, theirs.message)
            return
        for name, value in message.settings():
            text = f"select set_config(name, $v${value.decode()}$v$, true) = was from"
            same = f"(select '{name.decode()}' as name, current_setting('{name.decode()}') was) q"
            if name != b"datestyle":
                assert ask(sock, f"{text} {same}") == [(b"t",)]
        assert ask(sock, "show datestyle") == (
            [(b"ISO, DMY",)] if "-e" in options else [(b"ISO, MDY",)]
        )
