"""SCRAM-SHA-256: the published example, stored verifiers, and proofs that only fit their own."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import scram
from protocol.errors import ProtocolViolation

# RFC 7677 section 3.
PASSWORD = b"pencil"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")

# The same password and salt, in the form in which PostgreSQL stores a verifier.
STORED = (
    b"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    b"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    b"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_the_published_example_comes_out() -> None:
    salted = scram.salted_password(PASSWORD, SALT, 4096)
    keys = scram.keys_from_salted(salted, SALT, 4096)

    assert scram.client_proof(keys.client_key, AUTH_MESSAGE) == PROOF
    assert scram.server_signature(keys.server_key, AUTH_MESSAGE) == SIGNATURE


def test_a_stored_verifier_is_read_and_written_as_it_is() -> None:
    verifier = scram.parse_verifier(STORED)

    assert verifier is not None
    assert verifier == scram.make_verifier(PASSWORD, SALT, 4096)
    assert verifier.encode() == STORED


@given(st.integers(1, 999_999_999), st.binary(min_size=1, max_size=40), st.binary(min_size=64))
def test_any_verifier_survives_being_stored(iterations: int, salt: bytes, keys: bytes) -> None:
    verifier = scram.ScramVerifier(iterations, salt, keys[:32], keys[32:64])

    assert scram.parse_verifier(verifier.encode()) == verifier


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"password",
        STORED + b"\n",
        STORED.replace(b"4096", b"0"),
        STORED.replace(b"4096", b"-1"),
        STORED.replace(b"4096", b"04096"),
        STORED.replace(b"4096", b"4294967296"),
        STORED.replace(b"SHA-256", b"SHA-1"),
        STORED.replace(b"W22ZaJ0SNY7soEsUEjb6gQ==", b""),
        STORED.replace(b"gQ==", b"gQ="),
        STORED[:-8],
    ],
)
def test_what_is_no_verifier_is_not_taken_for_one(text: bytes) -> None:
    assert scram.parse_verifier(text) is None


@given(st.binary(max_size=80).map(lambda tail: b"SCRAM-SHA-256$" + tail))
def test_reading_a_verifier_never_raises(text: bytes) -> None:
    verifier = scram.parse_verifier(text)

    assert verifier is None or scram.parse_verifier(verifier.encode()) == verifier


def test_a_right_proof_reveals_the_key_with_which_it_was_made() -> None:
    keys = scram.keys_from_salted(b"any salted password", SALT, 4096)
    verifier = scram.verifier_from_keys(keys)
    proof = scram.client_proof(keys.client_key, AUTH_MESSAGE)

    assert scram.client_key_from_proof(verifier, AUTH_MESSAGE, proof) == keys.client_key
    assert scram.client_key_from_proof(verifier, AUTH_MESSAGE + b"x", proof) is None


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_no_other_proof_is_right(proof: bytes) -> None:
    verifier = scram.parse_verifier(STORED)

    assert verifier is not None
    assert proof == PROOF or scram.client_key_from_proof(verifier, AUTH_MESSAGE, proof) is None


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_proof_of_the_wrong_size_is_malformed(size: int) -> None:
    verifier = scram.mock_verifier(b"key", b"user")

    with pytest.raises(ProtocolViolation, match="malformed proof"):
        scram.client_key_from_proof(verifier, AUTH_MESSAGE, bytes(size))


def test_a_mock_verifier_is_the_same_at_every_login_and_differs_between_users() -> None:
    first = scram.mock_verifier(b"key", b"alice")

    assert scram.mock_verifier(b"key", b"alice") == first
    assert scram.mock_verifier(b"key", b"bob").salt != first.salt
    assert scram.mock_verifier(b"other key", b"alice").salt != first.salt
    assert (len(first.salt), first.iterations) == (16, 4096)


def test_no_key_shows_in_a_repr() -> None:
    keys = scram.ScramKeys(b"client key", b"server key", b"", 4096)
    verifier = scram.ScramVerifier(4096, b"", b"stored key", b"server key")

    assert "key'" not in repr(keys) + repr(verifier)


@pytest.mark.parametrize("text", [b"a", b"a===", b"YQ==\n", b"Y Q==", b"\xff"])
def test_base64_is_read_strictly(text: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="base64"):
        scram.decode_base64(text)
