"""A stored secret says by its form what it is, and checks a password accordingly."""

from __future__ import annotations

import pytest

from protocol import scram
from protocol.stored_secrets import (
    Md5Secret,
    PlainSecret,
    Secret,
    is_password,
    md5_response,
    md5_secret,
    parse_secret,
    verifier_for,
)

VERIFIER = scram.make_verifier(b"pw", b"salt", 2)
FORMS: list[Secret] = [PlainSecret(b"pw"), md5_secret(b"u", b"pw"), VERIFIER]


def test_an_md5_secret_is_what_the_server_stores() -> None:
    # From PostgreSQL: CREATE ROLE u PASSWORD 'pw' with password_encryption = md5.
    assert md5_secret(b"u", b"pw").text == b"md5" + b"b350798a23d7544eb353a6f8dca231c2"


def test_an_md5_response_depends_on_the_salt() -> None:
    secret = md5_secret(b"u", b"pw")

    assert md5_response(secret, b"1234") != md5_response(secret, b"1235")
    assert len(md5_response(secret, b"1234")) == 35


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("pw", PlainSecret(b"pw")),
        ("", PlainSecret(b"")),
        ("p\u00e4ss", PlainSecret("p\u00e4ss".encode())),
        ("md5" + "0" * 32, Md5Secret(b"md5" + b"0" * 32)),
        ("md5" + "0" * 31, PlainSecret(b"md5" + b"0" * 31)),
        ("md5" + "G" * 32, PlainSecret(b"md5" + b"G" * 32)),
        (VERIFIER.encode(), VERIFIER),
        ("SCRAM-SHA-256$nonsense", PlainSecret(b"SCRAM-SHA-256$nonsense")),
    ],
)
def test_the_form_of_a_text_says_what_it_is(text: str | bytes, secret: Secret) -> None:
    assert parse_secret(text) == secret


@pytest.mark.parametrize("secret", FORMS)
def test_every_form_knows_its_password_and_no_other(secret: Secret) -> None:
    assert is_password(secret, b"u", b"pw")
    assert not is_password(secret, b"u", b"PW")
    assert not is_password(secret, b"u", b"")


def test_an_empty_password_never_matches_even_if_it_is_stored() -> None:
    assert not is_password(PlainSecret(b""), b"u", b"")


def test_a_verifier_can_be_had_from_a_password_but_not_from_a_digest() -> None:
    made = verifier_for(PlainSecret(b"pw"), b"u", b"key", 2)

    assert made is not None and is_password(made, b"u", b"pw")
    assert made == verifier_for(PlainSecret(b"pw"), b"u", b"key", 2)
    assert verifier_for(VERIFIER, b"u", b"key") is VERIFIER
    assert verifier_for(md5_secret(b"u", b"pw"), b"u", b"key") is None


def test_an_unknown_user_has_the_salt_that_a_known_one_would_have() -> None:
    known = verifier_for(PlainSecret(b"pw"), b"u", b"key", 2)
    unknown = verifier_for(None, b"u", b"key", 2)

    assert known is not None and unknown is not None
    assert (known.salt, known.iterations) == (unknown.salt, unknown.iterations)


@pytest.mark.parametrize("secret", FORMS)
def test_no_secret_shows_in_a_repr(secret: Secret) -> None:
    assert "pw" not in repr(secret)
    assert "b350" not in repr(secret)
