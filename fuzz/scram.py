"""Invariant: without the password nobody is let in, and nobody is believed.

A client that does not know the password sends any messages, also those of an honest client
with bytes changed: it is refused or violates the protocol. A server that does not know the
verifier sends any messages, also those of an honest server changed: it never makes our login
succeed. Nothing else is raised on either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol import backend, frontend, scram
from protocol.auth import Accepted, authenticate_by_scram
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.exchange import Exchange
from protocol.handshake import Credentials, LoggedIn, log_in
from protocol.scram_exchange import ScramClient, ScramLimits, ScramServer
from protocol.stored_secrets import PlainSecret
from tests.support.conversations import one_message

SALT = b"0123456789abcdef"
RIGHT = scram.verifier_from_keys(scram.keys_from_salted(b"the right one", SALT, 4096))
WRONG = scram.verifier_from_keys(scram.keys_from_salted(b"a wrong one", SALT, 4096))

Change = tuple[int, int, bytes]
Case = tuple[bool, list[Change]]

_PIECES = st.sampled_from([b"", b",", b"=", b"r=", b"m=x,", b"p=", b"v=", b"i=1", b"AAAA", b"\0"])
changes = st.tuples(st.integers(0, 150), st.integers(0, 40), _PIECES | st.binary(max_size=40))
cases = st.tuples(st.booleans(), st.lists(changes, min_size=3, max_size=3))
"""Which side is hostile, and for each of its messages: where to cut out how much for what."""


def _changed(message: bytes, change: Change) -> bytes:
    at, cut, piece = change
    at = at % (len(message) + 1)
    return message[:at] + piece + message[at + cut :]


def derive(password: bytes, salt: bytes, iterations: int) -> bytes:
    """What stands in for PBKDF2, so that a second is enough for thousands of logins."""
    return b"a wrong one" if password == b"wrong" else b"the right one"


def check(case: Case) -> None:
    """Raise AssertionError if the invariant does not hold for these messages."""
    hostile_server, script = case
    try:
        if hostile_server:
            _deceive_client(script)
        else:
            _attack_server(script)
    except (AuthenticationRefused, ProtocolViolation, ServerRefused):
        return
    raise AssertionError("a login succeeded without the password")


def _attack_server(script: list[Change]) -> None:
    server: Exchange[Accepted] = authenticate_by_scram(b"u", RIGHT, b"snonce")
    next(server)
    attacker = ScramClient(b"wrong", b"cnonce", ScramLimits(), derive)
    initial = frontend.sasl_initial(scram.MECHANISM, _changed(attacker.first, script[0]))
    challenge = one_message(server.send(one_message(initial)))[1][4:]
    try:
        final = attacker.respond(challenge)
    except AuthenticationRefused:
        # The attacker changed its own nonce; it goes on with what it has.
        final = b"c=biws,r=cnoncesnonce,p=" + b"A" * 43 + b"="
    response = frontend.sasl_response(_changed(final, script[1]))
    _run_to_the_end(server, response)


def _deceive_client(script: list[Change]) -> None:
    client: Exchange[LoggedIn] = log_in(
        Credentials(b"u", PlainSecret(b"right")), [], nonce=b"cnonce", derive=derive
    )
    next(client)
    client.send(one_message(backend.authentication_sasl([scram.MECHANISM])))
    impostor = ScramServer(WRONG, b"snonce")
    challenge = _changed(impostor.challenge(b"n,,n=,r=cnonce"), script[0])
    client.send(one_message(backend.authentication_sasl_continue(challenge)))
    signature = _changed(b"v=" + b"A" * 43 + b"=", script[1])
    ending = [backend.authentication_sasl_final(signature), backend.authentication_ok()]
    _run_to_the_end(client, *ending, backend.ready_for_query())


def _run_to_the_end(exchange: Exchange[Accepted] | Exchange[LoggedIn], *messages: bytes) -> None:
    try:
        for message in messages:
            exchange.send(one_message(message))
    except StopIteration:
        return


def read(data: bytes) -> Case:
    """The first byte says which side is hostile; then where, how much, how long, and the piece."""
    script: list[Change] = []
    rest = data[1:]
    for _ in range(3):
        head, rest = rest[:3].ljust(3, b"\0"), rest[3:]
        length = head[2] % 41
        script.append((head[0], head[1], rest[:length]))
        rest = rest[length:]
    return bool(data[:1] and data[0] & 1), script


def seeds() -> Iterator[bytes]:
    """Messages left as they are, and with something put in or taken out."""
    for side in (0, 1):
        yield bytes([side])
        yield bytes([side]) + b"\0\0\2p=" + b"\5\3\0" + b"\1\0\4m=x,"
        yield bytes([side]) + b"\2\0\2,," + b"\x10\x28\5i=1,s" + b"\0\0\0"


TARGET: Final = Target(cases, check, read, seeds)

if __name__ == "__main__":
    fuzz(TARGET)
