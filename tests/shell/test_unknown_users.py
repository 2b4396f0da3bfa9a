"""Whether a user exists does not show in what is asked; and the longest of passwords."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path

import psycopg
import pytest

from protocol import backend, frontend, scram, startup
from protocol.framing import FrameReader
from tests.support.console import Operated, serving
from trio_pool.embedded import LocalServer

pytestmark = pytest.mark.postgres

VERIFIER = scram.make_verifier(b"pw", b"sixteen bytes...", 4096).encode().decode()
DIGEST = "md5" + "0" * 32


@pytest.fixture
def operated(tmp_path: Path, postgres: LocalServer) -> Operated:
    return Operated(tmp_path, postgres)


def conversation(running: Operated, user: str) -> tuple[list[str], bytes]:
    """What a client with a wrong proof hears, without what is random, and the salt if any."""
    assert running.serving is not None
    address = next(a for a in running.serving.addresses if isinstance(a, tuple))
    heard: list[str] = []
    salt = b""
    with socket.create_connection(address, 30) as client:
        reader = FrameReader(100_000)
        client.sendall(startup.startup_message([(b"user", user.encode()), (b"database", b"x")]))
        while data := client.recv(10_000):
            reader.feed(data)
            while (frame := reader.next_frame()) is not None:
                said = backend.decode(*frame)
                heard.append(type(said).__name__)
                match said:
                    case backend.AuthenticationSASL(mechanisms):
                        heard.append(str(mechanisms))
                        first = b"n,,n=,r=clientnonce"
                        client.sendall(frontend.sasl_initial(scram.MECHANISM, first))
                    case backend.AuthenticationSASLContinue(challenge):
                        found = re.fullmatch(rb"r=([^,]+),s=([^,]+),i=(\d+)", challenge)
                        assert found is not None
                        nonce, salt, iterations = found.groups()
                        heard.append(f"{len(nonce)} {len(salt)} {iterations!r}")
                        wrong = b"c=biws,r=%s,p=%s" % (nonce, b"A" * 43 + b"=")
                        client.sendall(frontend.sasl_response(wrong))
                    case backend.AuthenticationMD5Password() | (
                        backend.AuthenticationCleartextPassword()
                    ):
                        client.sendall(frontend.password(b"wrong"))
                    case backend.ErrorResponse():
                        fields = {chr(letter): value for letter, value in said.fields}
                        heard.append(f"{fields['C']!r} {fields['M']!r}".replace(user, "USER"))
    return heard, salt


@pytest.mark.parametrize(
    ("auth_type", "secret"),
    [
        ("scram-sha-256", "pw"),
        ("scram-sha-256", VERIFIER),
        ("scram-sha-256", DIGEST),
        ("md5", DIGEST),
        ("md5", VERIFIER),
        ("plain", "pw"),
    ],
)
def test_a_stranger_hears_what_a_known_user_with_a_wrong_password_hears(
    operated: Operated, auth_type: str, secret: str
) -> None:
    operated.settings |= {"auth_type": auth_type}
    # Only such secrets are known.
    operated.secrets = dict.fromkeys([*operated.secrets, "known"], secret)
    with serving(operated) as running:
        known, _ = conversation(running, "known")
        stranger, salt = conversation(running, "strange")

        assert stranger == known
        assert "password authentication failed" in known[-1]
        # The salt of somebody who does not exist stays as that of somebody who does.
        assert conversation(running, "strange")[1] == salt
        if salt:
            assert conversation(running, "other")[1] != salt


@pytest.mark.parametrize("auth_type", ["plain", "scram-sha-256", "md5"])
@pytest.mark.parametrize("secret", [VERIFIER, DIGEST])
def test_a_stranger_costs_as_much_as_a_known_user(
    operated: Operated, auth_type: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it takes to say no must not tell who exists: PBKDF2 is what takes long."""
    computed: list[int] = []
    compute = hashlib.pbkdf2_hmac

    def count(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        computed.append(iterations)
        return compute(name, password, salt, iterations)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count)
    operated.settings |= {"auth_type": auth_type}
    operated.secrets = dict.fromkeys([*operated.secrets, "known"], secret)
    with serving(operated) as running:
        conversation(running, "known")
        for_known = computed.copy()
        computed.clear()
        conversation(running, "strange")

        assert computed == for_known
        assert bool(computed) is (auth_type == "plain" and secret is VERIFIER)


@pytest.mark.parametrize("auth_type", ["plain", "scram-sha-256", "md5"])
def test_a_password_may_be_as_long_as_a_server_takes_it(operated: Operated, auth_type: str) -> None:
    longest = "p" * 65_530
    postgres = operated.postgres
    operated.settings |= {"auth_type": auth_type}
    operated.secrets["lengthy"] = longest
    login = f"user={postgres.user} password='{postgres.password}'"
    operated.databases |= {
        "own": f"host={postgres.host} port={postgres.port} {login} dbname=postgres"
    }
    with serving(operated) as running:
        host, _, port = running.url("own").rpartition("@")[2].partition("/")[0].partition(":")
        who = {"host": host, "port": port, "dbname": "own", "user": "lengthy"}
        with psycopg.connect(**who, password=longest) as client:  # type: ignore[arg-type]
            assert client.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**who, password=longest[:-1])  # type: ignore[arg-type]
