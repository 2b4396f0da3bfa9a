"""TLS to clients and to servers, with real certificates and a real PostgreSQL that has them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trustme

from protocol import startup
from tests.support.console import OPERATOR, Operated, serving
from trio_pool.embedded import LocalServer, local_postgres

pytestmark = pytest.mark.postgres

AUTHORITY = trustme.CA()
STRANGERS = trustme.CA()
ROWS = 200_000


def write(path: Path, name: str, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    """The files of a certificate and of its key."""
    chain, key = path / f"{name}.crt", path / f"{name}.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    key.chmod(0o600)
    return chain, key


@pytest.fixture(scope="module")
def encrypted() -> Iterator[LocalServer]:
    """A PostgreSQL with a certificate for `localhost`."""
    with local_postgres() as server, psycopg.connect(server.url(), autocommit=True) as admin:
        (row,) = admin.execute("show data_directory").fetchall()
        directory = Path(row[0])
        files = write(directory, "server", AUTHORITY.issue_cert("localhost"))
        for file in files:
            shutil.chown(file, directory.stat().st_uid, directory.stat().st_gid)
        admin.execute("alter system set ssl_cert_file = 'server.crt'")
        admin.execute("alter system set ssl_key_file = 'server.key'")
        AUTHORITY.cert_pem.write_to_path(str(directory / "ca.crt"))
        shutil.chown(directory / "ca.crt", directory.stat().st_uid, directory.stat().st_gid)
        admin.execute("alter system set ssl_ca_file = 'ca.crt'")
        admin.execute("alter system set ssl = on")
        admin.execute("select pg_reload_conf()")
        for _ in range(1_000):
            if admin.execute("show ssl").fetchone() == ("on",):
                break
        yield server


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    """A pool that has a certificate for clients, and demands one of nobody."""
    chain, key = write(tmp_path, "pool", AUTHORITY.issue_cert("localhost"))
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    STRANGERS.cert_pem.write_to_path(str(tmp_path / "strangers.crt"))
    made = Operated(tmp_path, postgres)
    made.settings |= {
        "client_tls_sslmode": "allow",
        "client_tls_cert_file": str(chain),
        "client_tls_key_file": str(key),
    }
    return made


def client(operated: Operated, **more: str) -> psycopg.Connection:
    url = operated.url("postgres").replace("@127.0.0.1", "@localhost")
    return psycopg.connect(url, autocommit=True, **more)  # type: ignore[arg-type]


def identity(path: Path, name: str, authority: trustme.CA = AUTHORITY) -> dict[str, str]:
    chain, key = write(path, name, authority.issue_cert("x.example", common_name=name))
    return {"sslcert": str(chain), "sslkey": str(key)}


# Clients.


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-full"])
def test_a_client_comes_in_with_every_sslmode(operated: Operated, mode: str) -> None:
    with serving(operated) as running:
        ca = str(operated.path / "ca.crt")
        with client(running, sslmode=mode, sslrootcert=ca) as here:
            assert here.execute("select 6 * 7").fetchone() == (42,)
            assert bool(here.pgconn.ssl_in_use) is (mode not in ("disable", "allow"))


@pytest.mark.hard_case(193)
def test_much_data_passes_both_ways(operated: Operated) -> None:
    with serving(operated) as running, client(running, sslmode="require") as here:
        here.execute("create temporary table much (n int, t text)")
        with here.cursor().copy("copy much from stdin") as copy:
            for number in range(ROWS):
                copy.write_row((number, "x" * 20))
        rows = here.execute("select n, t from much order by n").fetchall()

        assert len(rows) == ROWS
        assert rows[-1] == (ROWS - 1, "x" * 20)


def test_the_console_shows_the_encryption(operated: Operated) -> None:
    with serving(operated) as running, client(running, sslmode="require") as here:
        here.execute("select 1")

        assert str(running.row("CLIENTS")["tls"]).startswith("TLSv1.3/")
        url = running.url("pgbouncer", OPERATOR) + "&sslmode=require"
        with psycopg.connect(url, autocommit=True) as console:
            assert console.execute("SHOW VERSION").fetchone() == ("PgBouncer 1.25.2",)


def test_a_client_in_the_clear_is_refused_where_tls_is_demanded(operated: Operated) -> None:
    operated.settings |= {"client_tls_sslmode": "require"}
    with serving(operated) as running:
        with pytest.raises(psycopg.OperationalError, match="SSL required"):
            client(running, sslmode="disable")
        with client(running, sslmode="require") as here:
            assert here.execute("select 1").fetchone() == (1,)


def test_a_client_needs_a_certificate_of_the_right_authority(operated: Operated) -> None:
    operated.settings |= {
        "client_tls_sslmode": "verify-full",
        "client_tls_ca_file": str(operated.path / "ca.crt"),
    }
    with serving(operated) as running:
        with client(running, sslmode="require", **identity(operated.path, "any")) as here:
            assert here.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            client(running, sslmode="require")
        with pytest.raises(psycopg.OperationalError):
            client(running, sslmode="require", **identity(operated.path, "bad", STRANGERS))


def test_auth_type_cert_takes_the_name_in_the_certificate(operated: Operated) -> None:
    operated.settings |= {
        "client_tls_sslmode": "verify-ca",
        "client_tls_ca_file": str(operated.path / "ca.crt"),
        "auth_type": "cert",
    }
    user = operated.postgres.user
    with serving(operated) as running:
        with client(running, sslmode="require", **identity(operated.path, user)) as here:
            assert here.execute("select current_user").fetchone() == (user,)
        with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
            client(running, sslmode="require", **identity(operated.path, "somebody"))


@pytest.mark.hard_case(170)
def test_a_cancel_request_comes_encrypted(operated: Operated) -> None:
    with serving(operated) as running, client(running, sslmode="require") as here:
        here.execute("set statement_timeout = '20s'")
        import threading

        thread = threading.Timer(0.2, here.cancel_safe)
        thread.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            here.execute("select pg_sleep(20)")
        thread.join()


@pytest.mark.hard_case(174)
def test_direct_tls_needs_no_request_and_an_alpn(operated: Operated) -> None:
    with serving(operated) as running:
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        context = ssl.create_default_context(cafile=str(operated.path / "ca.crt"))
        packet = startup.startup_message([(b"user", b"x"), (b"database", b"postgres")])
        for protocols, answer in ((["postgresql"], b"R"), ([], b"E")):
            if protocols:
                context.set_alpn_protocols(protocols)
            else:
                context = ssl.create_default_context(cafile=str(operated.path / "ca.crt"))
            with (
                socket.create_connection(address, 20) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as wrapped,
            ):
                wrapped.sendall(packet)
                assert wrapped.recv(1) == answer


@pytest.mark.hard_case(173)
def test_what_was_said_in_the_clear_never_passes_for_encrypted(operated: Operated) -> None:
    """The story: bytes behind the request for TLS were kept and read as if they had come
    through it, so that somebody on the way could put words in (CVE-2021-23222).
    """
    with serving(operated) as running:
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        with socket.create_connection(address, 20) as plain:
            plain.sendall(startup.ssl_request() + startup.startup_message([(b"user", b"x")]))
            said = plain.recv(10_000)

        assert said[:1] == b"E"
        assert b"received unencrypted data after SSL request" in said


@pytest.mark.hard_case(175)
def test_a_handshake_that_stalls_ends_with_the_time_for_the_login(operated: Operated) -> None:
    operated.settings["client_login_timeout"] = "1"
    with serving(operated) as running:
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        with socket.create_connection(address, 60) as plain:
            plain.sendall(startup.ssl_request())
            assert plain.recv(1) == b"S"
            # The first bytes of a ClientHello, and no more.
            plain.sendall(b"\x16\x03\x01\x02")
            with client(running, sslmode="require") as here:
                assert here.execute("select 1").fetchone() == (1,)

            # Until the pool closes; the connection's own patience is a minute.
            while plain.recv(10_000):
                pass


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x00\x05hello", os.urandom(300)])
def test_noise_in_the_handshake_ends_that_client_alone(operated: Operated, noise: bytes) -> None:
    with serving(operated) as running:
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        with socket.create_connection(address, 20) as plain:
            plain.sendall(startup.ssl_request())
            assert plain.recv(1) == b"S"
            plain.sendall(noise)
            while plain.recv(10_000):
                pass
        with client(running, sslmode="require") as here:
            assert here.execute("select 1").fetchone() == (1,)


def test_reload_takes_a_new_certificate_and_refuses_a_broken_one(operated: Operated) -> None:
    with serving(operated) as running:
        write(operated.path, "pool", STRANGERS.issue_cert("localhost"))
        running.tell("RELOAD")
        strangers = str(operated.path / "strangers.crt")
        with client(running, sslmode="verify-full", sslrootcert=strangers) as here:
            assert here.execute("select 1").fetchone() == (1,)

        (operated.path / "pool.key").write_text("broken")
        with pytest.raises(psycopg.Error, match="client_tls_cert_file"):
            running.tell("RELOAD")
        with client(running, sslmode="verify-full", sslrootcert=strangers) as here:
            assert here.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"protocols": "tlsv1.2"}, "TLSv1.2/"),
        ({"protocols": "tlsv1.3"}, "TLSv1.3/"),
        (
            {"protocols": "tlsv1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"},
            "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
def test_protocols_and_ciphers_of_clients_are_chosen(
    operated: Operated, settings: dict[str, str], shown: str
) -> None:
    """client_tls_protocols and client_tls_ciphers."""
    operated.settings |= {f"client_tls_{name}": text for name, text in settings.items()}
    with serving(operated) as running, client(running, sslmode="require"):
        assert str(running.row("CLIENTS")["tls"]).startswith(shown)


def test_the_curve_of_clients_is_chosen(operated: Operated) -> None:
    """client_tls_ecdhcurve: a client that knows another one alone finds none in common."""
    operated.settings |= {"client_tls_ecdhcurve": "secp384r1"}

    def shakes_hands_with(curve: str) -> bool:
        context = ssl.create_default_context(cafile=str(operated.path / "ca.crt"))
        context.set_ecdh_curve(curve)
        with socket.create_connection(address, timeout=20) as sock:
            sock.sendall(startup.ssl_request())
            assert sock.recv(1) == b"S"
            try:
                context.wrap_socket(sock, server_hostname="localhost").close()
            except (ssl.SSLError, ConnectionError):
                return False
            return True

    with serving(operated) as running:
        assert running.serving is not None
        address = next(a for a in running.serving.addresses if isinstance(a, tuple))
        assert shakes_hands_with("secp384r1")
        assert not shakes_hands_with("prime256v1")


@pytest.mark.parametrize("setting", ["client_tls_dheparams", "client_tls_ecdhcurve"])
def test_what_cannot_be_used_for_the_key_exchange_is_refused_by_name(
    operated: Operated, setting: str
) -> None:
    with serving(operated) as running, pytest.raises(psycopg.Error, match=f"{setting} = /no"):
        running.tell(f"SET {setting} = '/no/such'")


# Servers.

_USES_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture
def to_server(tmp_path: Path, encrypted: LocalServer) -> Operated:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    STRANGERS.cert_pem.write_to_path(str(tmp_path / "strangers.crt"))
    made = Operated(tmp_path, encrypted)
    made.databases = {"*": f"host=localhost port={encrypted.port}"}
    return made


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca", "verify-full"])
def test_servers_are_reached_with_every_sslmode(to_server: Operated, mode: str) -> None:
    to_server.settings |= {
        "server_tls_sslmode": mode,
        "server_tls_ca_file": str(to_server.path / "ca.crt"),
    }
    with serving(to_server) as running, running.client() as here:
        assert here.execute(_USES_TLS).fetchone() == (mode != "disable",)
        rows = here.execute("select n, repeat('x', 50) from generate_series(1, 50000) n").fetchall()
        assert len(rows) == 50_000


def test_a_server_of_another_authority_is_not_trusted(to_server: Operated) -> None:
    to_server.settings |= {
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": str(to_server.path / "strangers.crt"),
        "query_wait_timeout": "1",
    }
    with serving(to_server) as running, pytest.raises(psycopg.OperationalError):
        running.client()


def test_a_server_of_another_name_is_not_trusted_by_verify_full(to_server: Operated) -> None:
    to_server.databases = {"*": f"host=127.0.0.1 port={to_server.postgres.port}"}
    to_server.settings |= {"server_tls_ca_file": str(to_server.path / "ca.crt")}
    to_server.settings |= {"query_wait_timeout": "1", "server_tls_sslmode": "verify-ca"}
    with serving(to_server) as running:
        running.client().close()
        running.settings |= {"server_tls_sslmode": "verify-full"}
        running.write()
        running.tell("RELOAD")
        with pytest.raises(psycopg.OperationalError), running.client() as here:
            here.execute("select 1")


def test_a_server_without_tls_is_refused_where_tls_is_demanded(
    tmp_path: Path, postgres: LocalServer
) -> None:
    operated = Operated(tmp_path, postgres)
    operated.settings |= {"server_tls_sslmode": "require", "query_wait_timeout": "1"}
    with serving(operated) as running, pytest.raises(psycopg.OperationalError):
        running.client()


def test_a_cancel_reaches_a_query_behind_an_encrypted_backend(to_server: Operated) -> None:
    to_server.settings |= {"server_tls_sslmode": "require"}
    with serving(to_server) as running, running.client() as here:
        import threading

        here.execute("select 1")
        thread = threading.Timer(0.2, here.cancel_safe)
        thread.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            here.execute("select pg_sleep(20)")
        thread.join()


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"protocols": "tlsv1.2"}, "TLSv1.2/"),
        (
            {"protocols": "tlsv1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"},
            "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
def test_protocols_and_ciphers_to_servers_are_chosen(
    to_server: Operated, settings: dict[str, str], shown: str
) -> None:
    """server_tls_protocols and server_tls_ciphers."""
    to_server.settings |= {f"server_tls_{name}": text for name, text in settings.items()}
    to_server.settings |= {"server_tls_sslmode": "require"}
    with serving(to_server) as running, running.client() as here:
        here.execute("select 1")

        assert str(running.row("SERVERS")["tls"]).startswith(shown)


def test_a_server_is_shown_our_certificate(to_server: Operated, tmp_path: Path) -> None:
    chain, key = write(tmp_path, "till", AUTHORITY.issue_cert("x.example", common_name="till"))
    to_server.settings |= {
        "server_tls_sslmode": "require",
        "server_tls_cert_file": str(chain),
        "server_tls_key_file": str(key),
    }
    with serving(to_server) as running, running.client() as here:
        query = "select client_dn from pg_stat_ssl where pid = pg_backend_pid()"
        (name,) = here.execute(query).fetchone() or ("",)

        assert "CN=till" in name
