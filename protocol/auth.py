"""Authenticating a client: the server's side of the conversation before AuthenticationOk.

Each exchange ends in `Accepted` or raises AuthenticationRefused; the caller sends
`Accepted.closing` and then AuthenticationOk, in one write if it likes. A user we do not know
goes through the very conversation of one we know and is refused at its end, with the same
words (libpq/auth.c). Which secret serves for which method follows PgBouncer: a SCRAM
verifier is checked by SCRAM even under `md5`, and an MD5 digest cannot serve under SCRAM.

Invariant: no path ends in `Accepted` without a check that succeeded, save ANY (whoever
comes) and TRUST (whoever is listed).
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from typing import Final

import attrs

from protocol import backend, frontend, scram
from protocol.errors import AuthenticationRefused, LengthViolation, ProtocolViolation
from protocol.exchange import Exchange
from protocol.scram_exchange import ScramServer
from protocol.stored_secrets import (
    Md5Secret,
    PlainSecret,
    Secret,
    is_password,
    md5_response,
    md5_secret,
    verifier_for,
)
from protocol.tags import FrontendTag

# Limit: what a client may send before it is known, per message body. Both are the server's own
# (PG_MAX_AUTH_TOKEN_LENGTH and PG_MAX_SASL_MESSAGE_LENGTH), which count the length itself.
PASSWORD_BYTES_MAX: Final = 65_531
SASL_BYTES_MAX: Final = 1_020

_NONCE_BYTES: Final = 18
_SALT_BYTES: Final = 4


class AuthMethod(enum.Enum):
    """How clients prove who they are; the values are PgBouncer's `auth_type`."""

    ANY = "any"
    TRUST = "trust"
    PLAIN = "plain"
    MD5 = "md5"
    SCRAM = "scram-sha-256"


@attrs.frozen
class Accepted:
    """The client proved itself.

    `closing` must be sent before AuthenticationOk. `keys` or `password` is what the proof
    revealed, if anything: enough to log in to a server that has the same secret.
    """

    closing: bytes = b""
    keys: scram.ScramKeys | None = attrs.field(default=None, repr=False)
    password: bytes | None = attrs.field(default=None, repr=False)


def refused(user: bytes) -> AuthenticationRefused:
    """The one answer to every failed proof, whatever the reason was."""
    shown = user.decode("utf-8", "replace")
    return AuthenticationRefused(f'password authentication failed for user "{shown}"')


def _answer_to(question: bytes, expected: str, bytes_max: int) -> Exchange[bytes]:
    """The body of the client's answer, of which nothing but the tag and size is believed.

    Raises LengthViolation, and takes one from whoever could not read the answer; the tag comes
    first all the same, as at a server.
    """
    body: bytes | None
    try:
        tag, body = yield question
    except LengthViolation as unreadable:
        tag, body = unreadable.tag, None
    if tag != FrontendTag.PASSWORD:
        raise ProtocolViolation(f"expected {expected} response, got message type {tag}")
    if body is None or len(body) > bytes_max:
        raise LengthViolation("invalid message length", tag)
    return body


def _password_to(question: bytes) -> Exchange[bytes]:
    body = yield from _answer_to(question, "password", PASSWORD_BYTES_MAX)
    given = frontend.decode_password(body).secret
    if not given:
        raise AuthenticationRefused("empty password returned by client")
    return given


def authenticate_by_password(user: bytes, check: Callable[[bytes], bool]) -> Exchange[Accepted]:
    """Ask for the password itself and let `check` judge it."""
    password = yield from _password_to(backend.authentication_cleartext_password())
    if not check(password):
        raise refused(user)
    return Accepted(password=password)


def authenticate_by_md5(user: bytes, secret: Md5Secret | None, salt: bytes) -> Exchange[Accepted]:
    """Ask for a digest over `salt`, 4 random bytes; None refuses at the end."""
    given = yield from _password_to(backend.authentication_md5_password(salt))
    expected = md5_response(secret or md5_secret(user, salt), salt)
    if not scram.same(given, expected) or secret is None:
        raise refused(user)
    return Accepted()


def _proof_in_answer_to(user: bytes, question: bytes) -> Exchange[bytes]:
    """One step of SCRAM. What is too long to be read is a wrong proof (libpq/auth-sasl.c)."""
    try:
        return (yield from _answer_to(question, "SASL", SASL_BYTES_MAX))
    except LengthViolation:
        raise refused(user) from None


def authenticate_by_scram(
    user: bytes,
    verifier: scram.ScramVerifier,
    nonce: bytes,
    *,
    known: bool = True,
    binding: bytes | None = None,
) -> Exchange[Accepted]:
    """Have the client prove that it knows the password, without learning it.

    `nonce` is at least 18 random bytes in base64. Give a mock verifier and `known=False` for a
    user that does not exist. `binding` is that of the TLS connection the client comes by.
    """
    mechanisms = [scram.MECHANISM] if binding is None else [scram.MECHANISM_PLUS, scram.MECHANISM]
    offer = backend.authentication_sasl(mechanisms)
    initial = frontend.decode_sasl_initial((yield from _proof_in_answer_to(user, offer)))
    if initial.mechanism not in mechanisms:
        raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
    first = initial.data
    if first is None:
        first = yield from _proof_in_answer_to(user, backend.authentication_sasl_continue(b""))
    server = ScramServer(verifier, nonce, binding, initial.mechanism == scram.MECHANISM_PLUS)
    challenge = backend.authentication_sasl_continue(server.challenge(first))
    keys = server.verify((yield from _proof_in_answer_to(user, challenge)))
    if keys is None or not known:
        raise refused(user)
    return Accepted(backend.authentication_sasl_final(server.signature), keys=keys)


def authenticate(
    method: AuthMethod,
    user: bytes,
    secret: Secret | None,
    *,
    random_bytes: Callable[[int], bytes],
    mock_key: bytes,
    iterations: int = scram.ITERATIONS_DEFAULT,
    binding: bytes | None = None,
) -> Exchange[Accepted]:
    """Authenticate `user`, whose stored secret is `secret` (None: a user we do not know).

    A user we do not know is asked what `method` says. Under MD5, where those we know may all
    have verifiers and so be asked by SCRAM, pass SCRAM for somebody whom nobody knows.

    `random_bytes` is the source of salts and nonces, `mock_key` a secret that outlives the
    login. `binding` is what the client may bind its proof to, over TLS. The steps are quick except
    two, which run PBKDF2: the first when a password is to be checked by SCRAM (keep `verifier_for`
    and pass the verifier to avoid it), the last when a verifier is checked by PLAIN.
    """
    if method is AuthMethod.ANY:
        return Accepted()
    if method is AuthMethod.TRUST:
        if secret is None:
            shown = user.decode("utf-8", "replace")
            raise AuthenticationRefused(f'role "{shown}" does not exist', "28000")
        return Accepted()
    if method is AuthMethod.PLAIN:
        stored = secret
        return (
            yield from authenticate_by_password(
                user, lambda given: stored is not None and is_password(stored, user, given)
            )
        )
    if method is AuthMethod.MD5 and not isinstance(secret, scram.ScramVerifier):
        digest = _digest_for(secret, user)
        return (yield from authenticate_by_md5(user, digest, random_bytes(_SALT_BYTES)))
    return (yield from _by_scram(user, secret, random_bytes, mock_key, iterations, binding))


def _digest_for(secret: PlainSecret | Md5Secret | None, user: bytes) -> Md5Secret | None:
    if isinstance(secret, PlainSecret):
        return md5_secret(user, secret.password) if secret.password else None
    return secret


def _by_scram(
    user: bytes,
    secret: Secret | None,
    random_bytes: Callable[[int], bytes],
    mock_key: bytes,
    iterations: int,
    binding: bytes | None,
) -> Exchange[Accepted]:
    verifier = verifier_for(secret, user, mock_key, iterations)
    known = secret is not None and verifier is not None
    if verifier is None:
        # Why: an MD5 digest cannot be checked by SCRAM; to the client that must look like a
        # wrong password, for which secrets we have is not its business.
        verifier = scram.mock_verifier(mock_key, user, iterations)
    nonce = base64.b64encode(random_bytes(_NONCE_BYTES))
    return (yield from authenticate_by_scram(user, verifier, nonce, known=known, binding=binding))
