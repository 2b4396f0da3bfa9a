"""Logging in to a server: the client's side, from the startup packet to ReadyForQuery.

The server is not trusted more than a client is: it gets no proof that our secret does not
allow, and AuthenticationOk in the middle of SCRAM is refused, for it would let a server that
does not know the password pass for the right one. After AuthenticationOk the server may still
refuse us (an unknown database is reported there), so only ReadyForQuery is success.

Invariant: `log_in` returns LoggedIn or raises ServerRefused (the server said no),
AuthenticationRefused (we said no) or ProtocolViolation (it was no PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

import attrs

from protocol import backend, frontend, scram, startup
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.exchange import Exchange, Message
from protocol.scram_exchange import Derive, ScramClient, ScramLimits
from protocol.stored_secrets import Md5Secret, PlainSecret, md5_response, md5_secret
from protocol.tags import BackendTag

# Limit: far above what any server reports at login.
REPORTS_MAX: Final = 1_000


@attrs.frozen
class Credentials:
    """Who logs in, and what that user can prove."""

    user: bytes
    secret: PlainSecret | Md5Secret | scram.ScramKeys | None = attrs.field(default=None, repr=False)


@attrs.frozen
class LoggedIn:
    """A server said ReadyForQuery.

    `parameters` are its ParameterStatus reports. `key` is empty when the server gave none (it
    cannot be asked to cancel then). `notices` are whole NoticeResponse messages.
    """

    parameters: dict[bytes, bytes]
    pid: int
    key: bytes = attrs.field(repr=False)
    protocol_minor: int
    notices: tuple[bytes, ...] = ()


@attrs.frozen
class LoginPolicy:
    """What we are willing to do for a server.

    `binding` is that of the TLS connection to it (protocol.channel_binding), None in the clear and
    where it is not to be used. With `binding_required` nothing but a proof bound to it is given.
    """

    cleartext_allowed: bool = True
    binding: bytes | None = attrs.field(default=None, repr=False)
    binding_required: bool = False
    scram_limits: ScramLimits = attrs.field(factory=ScramLimits)


@attrs.define
class _Opening:
    """What the server has said so far that outlives the login."""

    minor: int
    notices: list[bytes] = attrs.field(factory=list)


def is_scram_challenge(message: Message) -> bool:
    """Whether answering this message makes `log_in` run PBKDF2, if it has a password."""
    tag, body = message
    code = backend.AuthenticationCode.SASL_CONTINUE
    return tag == BackendTag.AUTHENTICATION and body[:4] == code.to_bytes(4, "big")


def log_in(
    credentials: Credentials,
    parameters: Iterable[tuple[bytes, bytes]],
    *,
    nonce: bytes,
    minor: int = 0,
    policy: LoginPolicy | None = None,
    derive: Derive = scram.salted_password,
) -> Exchange[LoggedIn]:
    """Log in as `credentials.user`; `parameters` are the other startup parameters, in order.

    `nonce` is fresh randomness for SCRAM, at least 18 bytes in base64. `derive` may be replaced
    by one that remembers results; it is called in the step that `is_scram_challenge` predicts.
    """
    opening, policy = _Opening(minor), policy or LoginPolicy()
    packet = startup.startup_message([(b"user", credentials.user), *parameters], minor)
    request = yield from _next_request(packet, opening)
    if policy.binding_required:
        _check_binding(request, policy)
    match request:
        case backend.AuthenticationOk():
            pass
        case backend.AuthenticationCleartextPassword():
            answer = _cleartext(credentials, policy)
            yield from _expect_ok(frontend.password(answer), opening)
        case backend.AuthenticationMD5Password(salt):
            answer = _md5_answer(credentials, salt)
            yield from _expect_ok(frontend.password(answer), opening)
        case backend.AuthenticationSASL(mechanisms):
            client = _scram_client(credentials, mechanisms, nonce, policy, derive)
            bound = policy.binding is not None and scram.MECHANISM_PLUS in mechanisms
            yield from _prove_by_scram(client, bound, opening)
        case _:
            _refuse(f"the server demands {type(request).__name__}, which is not supported")
    return (yield from _collect(opening))


def _refuse(message: str, hint: str | None = None) -> NoReturn:
    raise AuthenticationRefused(message, hint=hint)


def _next_request(sent: bytes, opening: _Opening) -> Exchange[backend.Authentication]:
    """Send, and return the next authentication message; what may come before it is noted."""
    while True:
        tag, body = yield sent
        sent = b""
        if tag == BackendTag.AUTHENTICATION:
            return backend.decode_authentication(body)
        if tag == BackendTag.NEGOTIATE_PROTOCOL_VERSION:
            opening.minor = _lower(opening.minor, backend.decode_negotiate_protocol_version(body))
        else:
            _note(tag, body, opening)


def _lower(minor: int, answer: backend.NegotiateProtocolVersion) -> int:
    if answer.minor > minor:
        raise ProtocolViolation("the server wants a newer protocol version than it was offered")
    return answer.minor


def _note(tag: int, body: bytes, opening: _Opening) -> None:
    """What a server may say at any time; raises for errors and for everything else."""
    if tag == BackendTag.ERROR:
        raise ServerRefused(backend.decode_error_response(body).fields)
    if tag != BackendTag.NOTICE:
        raise ProtocolViolation(f"unexpected message type {tag} from the server during login")
    if len(opening.notices) < REPORTS_MAX:
        opening.notices.append(backend.decode_notice_response(body).encode())


def _expect_ok(sent: bytes, opening: _Opening) -> Exchange[None]:
    request = yield from _next_request(sent, opening)
    if not isinstance(request, backend.AuthenticationOk):
        raise ProtocolViolation("the server asked for a second proof")


def _cleartext(credentials: Credentials, policy: LoginPolicy) -> bytes:
    if not policy.cleartext_allowed:
        _refuse("the server demands the password in clear text, which is not allowed here")
    match credentials.secret:
        case PlainSecret(password):
            return password
        case None:
            _refuse("the server demands a password, and none is configured")
        case Md5Secret():
            _refuse(
                "the server demands the password in clear text, and only its MD5 digest is known"
            )
        case scram.ScramKeys():
            _refuse("the server demands the password in clear text, and only SCRAM keys are known")


def _md5_answer(credentials: Credentials, salt: bytes) -> bytes:
    match credentials.secret:
        case PlainSecret(password):
            return md5_response(md5_secret(credentials.user, password), salt)
        case Md5Secret() as secret:
            return md5_response(secret, salt)
        case None:
            _refuse("the server demands an MD5 password, and none is configured")
        case scram.ScramKeys():
            _refuse("the server demands an MD5 password, and only SCRAM keys are known")


def _scram_client(
    credentials: Credentials,
    mechanisms: tuple[bytes, ...],
    nonce: bytes,
    policy: LoginPolicy,
    derive: Derive,
) -> ScramClient:
    plus = scram.MECHANISM_PLUS in mechanisms
    if scram.MECHANISM not in mechanisms and not (plus and policy.binding is not None):
        offered = b", ".join(mechanisms).decode("utf-8", "replace")
        _refuse(f"the server offers no SASL mechanism that is supported ({offered})")
    match credentials.secret:
        case PlainSecret(password):
            secret: bytes | scram.ScramKeys = password
        case scram.ScramKeys() as keys:
            secret = keys
        case None:
            _refuse("the server demands SCRAM-SHA-256, and no password is configured")
        case Md5Secret():
            _refuse(
                "the server demands SCRAM-SHA-256, and only an MD5 digest is known",
                hint="Store the password, or the server's own SCRAM verifier for this user.",
            )
    return ScramClient(secret, nonce, policy.scram_limits, derive, policy.binding, plus)


def _check_binding(request: backend.Authentication, policy: LoginPolicy) -> None:
    """Give no other proof than one that is bound to the channel, and take no acceptance without."""
    if policy.binding is None:
        _refuse(
            "channel binding is required, and this connection has none",
            "It needs TLS, and a certificate whose signature says by which hash it was made.",
        )
    offered = request.mechanisms if isinstance(request, backend.AuthenticationSASL) else ()
    if scram.MECHANISM_PLUS not in offered:
        _refuse("channel binding is required, but the server did not offer it")


def _prove_by_scram(client: ScramClient, bound: bool, opening: _Opening) -> Exchange[None]:
    mechanism = scram.MECHANISM_PLUS if bound else scram.MECHANISM
    initial = frontend.sasl_initial(mechanism, client.first)
    challenge = yield from _next_request(initial, opening)
    if not isinstance(challenge, backend.AuthenticationSASLContinue):
        _refuse("the server ended SCRAM before it proved that it knows the password")
    response = frontend.sasl_response(client.respond(challenge.data))
    final = yield from _next_request(response, opening)
    if not isinstance(final, backend.AuthenticationSASLFinal):
        _refuse("the server ended SCRAM before it proved that it knows the password")
    client.confirm(final.data)
    yield from _expect_ok(b"", opening)


def _collect(opening: _Opening) -> Exchange[LoggedIn]:
    """From AuthenticationOk to ReadyForQuery."""
    parameters: dict[bytes, bytes] = {}
    pid, key = 0, b""
    while True:
        tag, body = yield b""
        if tag == BackendTag.READY_FOR_QUERY:
            backend.decode_ready_for_query(body)
            return LoggedIn(parameters, pid, key, opening.minor, tuple(opening.notices))
        if tag == BackendTag.PARAMETER_STATUS and len(parameters) < REPORTS_MAX:
            status = backend.decode_parameter_status(body)
            parameters[status.name] = status.value
        elif tag == BackendTag.BACKEND_KEY_DATA:
            data = backend.decode_backend_key_data(body)
            pid, key = data.pid, data.key
        else:
            _note(tag, body, opening)
