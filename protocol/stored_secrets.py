"""What may be stored about a user's password, and how each form is checked.

A user list holds a password in plain text, an MD5 digest (`md5...`) or a SCRAM verifier; the
text itself says which (libpq/crypt.c, get_password_type).

Invariant: a secret never shows in a repr; an empty password matches nothing.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import attrs

from protocol import scram

_MD5: Final = re.compile(rb"md5[0-9a-f]{32}")


@attrs.frozen
class PlainSecret:
    """A password."""

    password: bytes = attrs.field(repr=False)


@attrs.frozen
class Md5Secret:
    """`md5` and the digest of password and user, as stored: 35 bytes."""

    text: bytes = attrs.field(repr=False)


Secret = PlainSecret | Md5Secret | scram.ScramVerifier


def parse_secret(text: str | bytes) -> Secret:
    """The secret that a stored text is; what is neither digest nor verifier is a password."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if _MD5.fullmatch(raw):
        return Md5Secret(raw)
    return scram.parse_verifier(raw) or PlainSecret(raw)


def _md5(data: bytes) -> bytes:
    return b"md5" + hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def md5_secret(user: bytes, password: bytes) -> Md5Secret:
    """What a server stores for this password."""
    return Md5Secret(_md5(password + user))


def md5_response(secret: Md5Secret, salt: bytes) -> bytes:
    """What a client answers to AuthenticationMD5Password with this salt of 4 bytes."""
    return _md5(secret.text[3:] + salt)


def is_password(secret: Secret, user: bytes, password: bytes) -> bool:
    """Whether `password` is the one that `secret` was made from; slow for a verifier."""
    if not password:
        return False
    if isinstance(secret, PlainSecret):
        return scram.same(secret.password, password)
    if isinstance(secret, Md5Secret):
        return scram.same(secret.text, md5_secret(user, password).text)
    made = scram.make_verifier(password, secret.salt, secret.iterations)
    return scram.same(made.stored_key, secret.stored_key)


def verifier_for(
    secret: Secret | None,
    user: bytes,
    mock_key: bytes,
    iterations: int = scram.ITERATIONS_DEFAULT,
) -> scram.ScramVerifier | None:
    """The verifier with which a client of this user is checked by SCRAM.

    A mock for a user without a secret; None for an MD5 digest, from which none can be made.
    Slow for a password (PBKDF2), so the result is worth keeping; it is the same every time.
    """
    if isinstance(secret, scram.ScramVerifier):
        return secret
    if isinstance(secret, Md5Secret):
        return None
    if secret is None or not secret.password:
        return scram.mock_verifier(mock_key, user, iterations)
    return scram.make_verifier(secret.password, scram.salt_for(mock_key, user), iterations)
