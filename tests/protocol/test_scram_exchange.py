"""The four SCRAM messages: what each side insists on."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import scram
from protocol.errors import AuthenticationRefused, ProtocolViolation
from protocol.scram_exchange import ScramClient, ScramLimits, ScramServer

SALT = b"0123456789abcdef"
SALTED = b"what PBKDF2 would give"
KEYS = scram.keys_from_salted(SALTED, SALT, 4096)
VERIFIER = scram.verifier_from_keys(KEYS)
SALT64 = base64.b64encode(SALT)
PREFIX = b"r=cnonce"


def derive(password: bytes, salt: bytes, iterations: int) -> bytes:
    return SALTED if password == b"right" else b"something else"


def client(secret: bytes | scram.ScramKeys = b"right", **limits: int) -> ScramClient:
    return ScramClient(secret, b"cnonce", ScramLimits(**limits), derive)


def server() -> ScramServer:
    return ScramServer(VERIFIER, b"snonce")


def challenged() -> ScramServer:
    asked = server()
    asked.challenge(b"n,,n=,r=cnonce")
    return asked


def final(
    header: bytes = b"n,,",
    nonce: bytes = b"cnoncesnonce",
    between: bytes = b"",
    bare: bytes = b"n=,r=cnonce",
) -> bytes:
    """A client-final with a proof that is right for exactly these parts."""
    without_proof = b"c=" + base64.b64encode(header) + b",r=" + nonce + between
    challenge = b"r=cnoncesnonce,s=" + SALT64 + b",i=4096"
    proof = scram.client_proof(KEYS.client_key, b",".join([bare, challenge, without_proof]))
    return without_proof + b",p=" + base64.b64encode(proof)


@pytest.mark.parametrize("secret", [b"right", KEYS])
def test_a_client_with_the_password_or_its_keys_convinces_the_server_and_is_convinced(
    secret: bytes | scram.ScramKeys,
) -> None:
    ours, theirs = client(secret), server()

    response = ours.respond(theirs.challenge(ours.first))

    assert theirs.verify(response) == KEYS
    ours.confirm(theirs.signature)


def test_a_client_with_another_password_does_not() -> None:
    ours, theirs = client(b"wrong"), server()

    assert theirs.verify(ours.respond(theirs.challenge(ours.first))) is None
    assert theirs.signature == b""


@pytest.mark.parametrize("first", [b"n,,n=ignored,r=cnonce", b"y,,n=,r=cnonce,x=opt"])
def test_the_server_ignores_the_name_and_optional_extensions(first: bytes) -> None:
    theirs = server()
    theirs.challenge(first)

    header, _, bare = first.partition(b",,")
    assert theirs.verify(final(header + b",,", bare=bare)) == KEYS


@pytest.mark.parametrize(
    ("first", "sqlstate"),
    [
        (b"", "08P01"),
        (b"n", "08P01"),
        (b"n,", "08P01"),
        (b"n,,", "08P01"),
        (b"x,,n=,r=cnonce", "08P01"),
        (b"p=tls-unique,,n=,r=cnonce", "08P01"),
        (b"n,a=other,n=,r=cnonce", "0A000"),
        (b"n,,m=must,n=,r=cnonce", "0A000"),
        (b"n,,r=cnonce,n=", "08P01"),
        (b"n,,n=", "08P01"),
        (b"n,,n=,r=", "08P01"),
        (b"n,,n=,r=a b", "08P01"),
        (b"n,,n=,r=\x80", "08P01"),
        (b"n,,n=,r=" + b"a" * 1025, "08P01"),
        (b"n,,n=,r=cnonce,", "08P01"),
        (b"n,,n=,r=cnonce,extension", "08P01"),
    ],
)
def test_the_server_refuses_a_first_message_that_is_not_in_order(
    first: bytes, sqlstate: str
) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        server().challenge(first)
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"c=biws,r=cnoncesnonce",
        final().replace(b"c=biws,", b""),
        final(header=b"y,,"),
        final(header=b"p=tls-unique,,"),
        final(nonce=b"cnonce"),
        final(nonce=b"cnoncesnonc"),
        final(nonce=b"othernonce"),
        final(between=b",bad"),
        final()[:-4],
        final() + b",x=y",
        final().replace(b",p=", b",p=!"),
    ],
)
def test_the_server_refuses_a_final_message_that_does_not_belong_to_its_challenge(
    response: bytes,
) -> None:
    with pytest.raises(ProtocolViolation):
        challenged().verify(response)


def test_the_server_accepts_optional_extensions_before_the_proof() -> None:
    assert challenged().verify(final(between=b",x=y")) == KEYS


@given(st.binary(max_size=80), st.binary(max_size=120))
def test_no_bytes_convince_the_server_or_raise_anything_but_a_violation(
    first: bytes, response: bytes
) -> None:
    theirs = server()
    try:
        theirs.challenge(b"n,,n=,r=" + first)
        keys = theirs.verify(b"c=biws,r=" + response)
    except ProtocolViolation:
        return
    assert keys is None


GOOD = b"r=cnoncesnonce,s=" + SALT64 + b",i=4096"


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"s=" + SALT64 + b",r=cnoncesnonce,i=4096",
        b"r=cnoncesnonce,i=4096,s=" + SALT64,
        b"r=cnoncesnonce,s=,i=4096",
        b"r=cnoncesnonce,s=?,i=4096",
        b"r=cnoncesnonce,s=" + base64.b64encode(bytes(1025)) + b",i=4096",
        b"r=cnonce" + b"s" * 1024 + b",s=" + SALT64 + b",i=4096",
        GOOD + b",bad",
        *[
            GOOD.replace(b"4096", number)
            for number in (b"", b"0", b"-1", b"+4096", b"4_096", b" 4096", b"04096", b"9" * 20)
        ],
    ],
)
def test_the_client_refuses_a_malformed_challenge(challenge: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        client().respond(challenge)


@pytest.mark.parametrize(
    ("challenge", "reason"),
    [
        (b"m=must," + GOOD, "extension"),
        (b"e=other-error", "error"),
        (GOOD.replace(b"cnonce", b"xnonce"), "nonce does not extend ours"),
        (GOOD.replace(b"cnoncesnonce", b"cnonce"), "nonce does not extend ours"),
        (GOOD.replace(b"4096", b"4095"), "iteration count 4095"),
        (GOOD.replace(b"4096", b"100001"), "iteration count 100001"),
    ],
)
def test_the_client_gives_no_proof_to_a_server_that_is_not_trustworthy(
    challenge: bytes, reason: str
) -> None:
    with pytest.raises(AuthenticationRefused, match=re.escape(reason)):
        client().respond(challenge)


def test_the_longest_nonce_and_salt_allowed_are_accepted() -> None:
    nonce, salt = b"cnonce" + b"s" * 1018, base64.b64encode(bytes(1024))

    response = client().respond(b"r=" + nonce + b",s=" + salt + b",i=4096")

    assert response.startswith(b"c=biws,r=" + nonce + b",p=")


def test_the_bounds_of_the_iteration_count_can_be_set() -> None:
    asked = client(iterations_min=1, iterations_max=2)

    assert asked.respond(GOOD.replace(b"4096", b"2")).startswith(b"c=biws,r=cnoncesnonce,p=")


@pytest.mark.parametrize("keys", [(b"other salt", 4096), (SALT, 8192)])
def test_keys_of_another_verifier_are_not_tried(keys: tuple[bytes, int]) -> None:
    foreign = scram.keys_from_salted(SALTED, *keys)

    with pytest.raises(AuthenticationRefused, match="another salt or iteration count") as caught:
        client(foreign).respond(GOOD)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        (b"v=" + base64.b64encode(bytes(32)), AuthenticationRefused),
        (b"v=" + base64.b64encode(b"short"), AuthenticationRefused),
        (b"v=", AuthenticationRefused),
        (b"e=invalid-proof", AuthenticationRefused),
        (b"", ProtocolViolation),
        (b"x=y", ProtocolViolation),
        (b"v=?", ProtocolViolation),
        (b"v=" + base64.b64encode(bytes(32)) + b",bad", ProtocolViolation),
    ],
)
def test_the_client_is_only_convinced_by_the_right_signature(
    signature: bytes, error: type[Exception]
) -> None:
    asked = client()
    asked.respond(GOOD)

    with pytest.raises(error):
        asked.confirm(signature)


def test_a_signature_before_the_challenge_convinces_nobody() -> None:
    with pytest.raises(ProtocolViolation):
        client().confirm(b"v=" + base64.b64encode(bytes(32)))


@given(st.binary(max_size=80), st.binary(max_size=60))
def test_no_bytes_convince_the_client_or_raise_anything_unnamed(
    challenge: bytes, signature: bytes
) -> None:
    asked = client()
    with pytest.raises((ProtocolViolation, AuthenticationRefused)):
        asked.respond(PREFIX + challenge)
        asked.confirm(b"v=" + signature)
