"""SCRAM-SHA-256: keys, verifiers and proofs (RFC 5802, RFC 7677).

Here are the computations; who says what when is `scram_exchange`. Only `salted_password` is
slow (PBKDF2: about a millisecond for the usual 4,096 iterations), so everything else takes
keys that are already derived, and whoever must not block runs that one function elsewhere.

Invariant: nothing here can be printed that would let someone log in; comparisons of secrets
take the same time whatever differs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

import attrs

from protocol.errors import ProtocolViolation
from protocol.saslprep import saslprep

MECHANISM: Final = b"SCRAM-SHA-256"
MECHANISM_PLUS: Final = b"SCRAM-SHA-256-PLUS"
ITERATIONS_DEFAULT: Final = 4096
KEY_BYTES: Final = 32

_VERIFIER: Final = re.compile(
    rb"SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes([a ^ b for a, b in zip(left, right, strict=True)])


def decode_base64(text: bytes) -> bytes:
    """The bytes that `text` stands for; raises ProtocolViolation when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ProtocolViolation("malformed SCRAM message (invalid base64)") from error


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    """The slow step. The result is as good as the password: never log or store it in clear."""
    return hashlib.pbkdf2_hmac("sha256", saslprep(password), salt, iterations)


@attrs.frozen
class ScramKeys:
    """What a client needs to log in without the password, and for which salt and iterations.

    A client that logs in here shows us its ClientKey; with it a server whose verifier has the
    same salt and iterations can be logged in to.
    """

    client_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)
    salt: bytes
    iterations: int


@attrs.frozen
class ScramVerifier:
    """What a server stores: enough to check a client, not enough to be one."""

    iterations: int
    salt: bytes
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        """The text in `pg_authid.rolpassword` and in user lists."""
        salt, stored, server = [
            base64.b64encode(part) for part in (self.salt, self.stored_key, self.server_key)
        ]
        return b"%s$%d:%s$%s:%s" % (MECHANISM, self.iterations, salt, stored, server)


def parse_verifier(text: bytes) -> ScramVerifier | None:
    """The verifier that `text` spells, None when it spells none (it may be a password)."""
    match = _VERIFIER.fullmatch(text)
    if match is None:
        return None
    try:
        salt, stored, server = [decode_base64(match.group(part)) for part in (2, 3, 4)]
    except ProtocolViolation:
        return None
    if not salt or len(stored) != KEY_BYTES or len(server) != KEY_BYTES:
        return None
    return ScramVerifier(int(match.group(1)), salt, stored, server)


def keys_from_salted(salted: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """Both keys from what `salted_password(password, salt, iterations)` returned."""
    return ScramKeys(_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"), salt, iterations)


def verifier_from_keys(keys: ScramKeys) -> ScramVerifier:
    """What a server would store for these keys."""
    stored = hashlib.sha256(keys.client_key).digest()
    return ScramVerifier(keys.iterations, keys.salt, stored, keys.server_key)


def make_verifier(
    password: bytes, salt: bytes, iterations: int = ITERATIONS_DEFAULT
) -> ScramVerifier:
    """A verifier for `password`; slow, because of `salted_password`."""
    salted = salted_password(password, salt, iterations)
    return verifier_from_keys(keys_from_salted(salted, salt, iterations))


def salt_for(mock_key: bytes, user: bytes) -> bytes:
    """The salt a user has as long as no verifier says otherwise.

    The same for every login, so that a user we do not know cannot be told from one we do.
    """
    return _hmac(mock_key, b"salt " + user)[:16]


def mock_verifier(
    mock_key: bytes, user: bytes, iterations: int = ITERATIONS_DEFAULT
) -> ScramVerifier:
    """A verifier for a user we do not know: looks like any other, nobody can satisfy it.

    `mock_key` is a secret of this process, or of the service if logins must look the same
    after a restart (libpq/auth-scram.c, mock_scram_secret).
    """
    stored, server = _hmac(mock_key, b"stored " + user), _hmac(mock_key, b"server " + user)
    return ScramVerifier(iterations, salt_for(mock_key, user), stored, server)


def client_proof(client_key: bytes, auth_message: bytes) -> bytes:
    """The proof that the holder of `client_key` gives in the conversation `auth_message`."""
    stored_key = hashlib.sha256(client_key).digest()
    return _xor(client_key, _hmac(stored_key, auth_message))


def client_key_from_proof(
    verifier: ScramVerifier, auth_message: bytes, proof: bytes
) -> bytes | None:
    """The client's key when `proof` is right, None when it is wrong."""
    if len(proof) != KEY_BYTES:
        raise ProtocolViolation("malformed SCRAM message (malformed proof)")
    client_key = _xor(proof, _hmac(verifier.stored_key, auth_message))
    right = hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
    return client_key if right else None


def server_signature(server_key: bytes, auth_message: bytes) -> bytes:
    """What a server answers to a right proof, proving that it has the verifier."""
    return _hmac(server_key, auth_message)


def same(left: bytes, right: bytes) -> bool:
    """Whether two secrets are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(left, right)
