"""SCRAM bound to TLS, with libpq as our client and PostgreSQL as our server."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from protocol import startup
from tests.support.certificates import Certificate, certificate
from tests.support.console import Operated, serving
from trio_pool.embedded import LocalServer, local_postgres

pytestmark = pytest.mark.postgres

KINDS = [("rsa", "sha256"), ("rsa", "sha384"), ("ecdsa", "sha384"), ("pss", "sha256")]
# libpq before version 16 cannot bind to a certificate of this kind.
LIBPQ_KINDS = KINDS[:3]


def show(operated: Operated, made: Certificate) -> None:
    """The pool has this certificate for its clients."""
    chain, key = made.write(operated.path, "pool")
    operated.settings |= {
        "client_tls_sslmode": "allow",
        "client_tls_cert_file": str(chain),
        "client_tls_key_file": str(key),
    }


def client(running: Operated, **words: str) -> psycopg.Connection:
    return psycopg.connect(running.url("postgres"), autocommit=True, **words)  # type: ignore[arg-type]


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    return Operated(tmp_path, postgres)


@pytest.mark.parametrize(("kind", "signed_with"), LIBPQ_KINDS)
def test_a_client_that_requires_it_comes_in(
    operated: Operated, kind: str, signed_with: str
) -> None:
    show(operated, certificate(kind, signed_with))
    with serving(operated) as running:
        with client(running, sslmode="require", channel_binding="require") as here:
            assert here.execute("select 1").fetchone() == (1,)
        wrong = running.url("postgres").replace(running.postgres.password, "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong, sslmode="require", channel_binding="require")


@pytest.mark.hard_case(182)
@pytest.mark.parametrize("choice", ["disable", "prefer"])
@pytest.mark.parametrize("mode", ["disable", "require"])
def test_nobody_has_to(operated: Operated, choice: str, mode: str) -> None:
    show(operated, certificate("rsa", "sha256"))
    words = {"sslmode": mode, "channel_binding": choice}
    with serving(operated) as running, client(running, **words) as here:
        assert here.execute("select 1").fetchone() == (1,)


def test_it_is_never_offered_in_the_clear(operated: Operated) -> None:
    show(operated, certificate("rsa", "sha256"))
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
        client(running, sslmode="disable", channel_binding="require")

    assert "channel binding" in str(refused.value)


def test_a_certificate_without_a_hash_is_good_for_everything_else(operated: Operated) -> None:
    show(operated, certificate("ed25519"))
    with serving(operated) as running:
        with client(running, sslmode="require", channel_binding="prefer") as here:
            assert here.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="channel binding"):
            client(running, sslmode="require", channel_binding="require")


def test_after_a_reload_the_new_certificate_is_the_one_to_bind_to(operated: Operated) -> None:
    show(operated, certificate("rsa", "sha256"))
    with serving(operated) as running:
        certificate("ecdsa", "sha384").write(operated.path, "pool")
        running.tell("RELOAD")
        with client(running, sslmode="require", channel_binding="require") as here:
            assert here.execute("select 1").fetchone() == (1,)


# Servers.


@pytest.fixture(scope="module")
def encrypted() -> Iterator[LocalServer]:
    """A PostgreSQL whose certificate a test may change (`dress`)."""
    with local_postgres() as server:
        yield server


def dress(server: LocalServer, made: Certificate) -> None:
    """From now on the server has this certificate."""
    with psycopg.connect(server.url(), autocommit=True, channel_binding="disable") as admin:
        (row,) = admin.execute("show data_directory").fetchall()
        directory = Path(row[0])
        for file in made.write(directory, "server"):
            shutil.chown(file, directory.stat().st_uid, directory.stat().st_gid)
        for name, value in (("cert", "server.crt"), ("key", "server.key")):
            admin.execute(f"alter system set ssl_{name}_file = '{value}'")
        admin.execute("alter system set ssl = on")
        admin.execute("select pg_reload_conf()")
    for _ in range(2_000):
        if shown(server) == made.der:
            return
    raise AssertionError("the server does not show its new certificate")


def shown(server: LocalServer) -> bytes:
    """The certificate that the server shows, in DER; nothing while it has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((server.host, server.port), 30) as plain:
        plain.sendall(startup.ssl_request())
        if plain.recv(1) != b"S":
            return b""
        with context.wrap_socket(plain) as wrapped:
            return wrapped.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize(("kind", "signed_with"), KINDS)
def test_a_server_is_logged_in_to_bound_where_that_is_required(
    tmp_path: Path, encrypted: LocalServer, kind: str, signed_with: str
) -> None:
    dress(encrypted, certificate(kind, signed_with))
    operated = Operated(tmp_path, encrypted)
    operated.databases = {"*": f"host=localhost port={encrypted.port} channel_binding=require"}
    with serving(operated) as running, running.client() as here:
        assert here.execute("select 1").fetchone() == (1,)


def test_a_server_whose_certificate_has_no_hash_is_logged_in_to_unbound(
    tmp_path: Path, encrypted: LocalServer
) -> None:
    dress(encrypted, certificate("ed25519"))
    operated = Operated(tmp_path, encrypted)
    with serving(operated) as running, running.client() as here:
        assert here.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("lookup", [False, True])
def test_a_server_that_cannot_bind_is_refused_where_it_is_required(
    operated: Operated, lookup: bool
) -> None:
    postgres = operated.postgres
    place = f"host={postgres.host} port={postgres.port} channel_binding=require"
    operated.databases = {"*": place}
    if lookup:
        operated.settings |= {"auth_user": postgres.user}
    with serving(operated) as running, pytest.raises(psycopg.OperationalError) as refused:
        if lookup:
            operated.secrets["nobody_here"] = "x"
            psycopg.connect(running.url("postgres", "nobody_here"))
        else:
            running.client()

    said = "auth_query could not be run" if lookup else "channel binding is required"
    assert said in str(refused.value)
