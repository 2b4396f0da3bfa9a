"""Authenticating clients: what is asked, what is believed, what a refusal gives away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import backend, frontend, scram
from protocol.auth import Accepted, AuthMethod, authenticate, authenticate_by_scram
from protocol.errors import AuthenticationRefused, ProtocolViolation
from protocol.exchange import Exchange
from protocol.scram_exchange import ScramClient, ScramLimits
from protocol.stored_secrets import (
    Md5Secret,
    PlainSecret,
    Secret,
    md5_response,
    md5_secret,
    parse_secret,
)
from tests.support.conversations import finish, one_message, result_at_once

PLAIN = PlainSecret(b"pw")
DIGEST = md5_secret(b"u", b"pw")
VERIFIER = scram.make_verifier(b"pw", b"some salt", 2)


def random_bytes(size: int) -> bytes:
    return b"s" * size


def checking(method: AuthMethod, secret: Secret | None, user: bytes = b"u") -> Exchange[Accepted]:
    return authenticate(
        method, user, secret, random_bytes=random_bytes, mock_key=b"mock", iterations=2
    )


def asked_by(method: AuthMethod, secret: Secret | None) -> backend.BackendMessage:
    return backend.decode(*one_message(next(checking(method, secret))))


def answer_by_scram(exchange: Exchange[Accepted], password: bytes) -> Accepted:
    """Go through SCRAM as a client with this password would."""
    client = ScramClient(password, b"cnonce", ScramLimits(iterations_min=1))
    assert next(exchange) == backend.authentication_sasl([b"SCRAM-SHA-256"])
    initial = frontend.sasl_initial(b"SCRAM-SHA-256", client.first)
    challenge = backend.decode_authentication(one_message(exchange.send(one_message(initial)))[1])
    assert isinstance(challenge, backend.AuthenticationSASLContinue)
    response = frontend.sasl_response(client.respond(challenge.data))
    try:
        exchange.send(one_message(response))
    except StopIteration as stop:
        accepted: Accepted = stop.value
    final = backend.decode_authentication(one_message(accepted.closing)[1])
    assert isinstance(final, backend.AuthenticationSASLFinal)
    client.confirm(final.data)
    return accepted


def test_anybody_is_accepted_when_anybody_may_come() -> None:
    assert result_at_once(checking(AuthMethod.ANY, None)) == Accepted()


def test_trust_extends_to_those_who_are_listed() -> None:
    assert result_at_once(checking(AuthMethod.TRUST, PlainSecret(b""))) == Accepted()
    with pytest.raises(AuthenticationRefused, match='role "u" does not exist') as caught:
        next(checking(AuthMethod.TRUST, None))
    assert caught.value.sqlstate == "28000"


@pytest.mark.parametrize(
    ("method", "secret", "question"),
    [
        (AuthMethod.PLAIN, PLAIN, backend.AuthenticationCleartextPassword()),
        (AuthMethod.PLAIN, VERIFIER, backend.AuthenticationCleartextPassword()),
        (AuthMethod.MD5, PLAIN, backend.AuthenticationMD5Password(b"ssss")),
        (AuthMethod.MD5, DIGEST, backend.AuthenticationMD5Password(b"ssss")),
        (AuthMethod.MD5, VERIFIER, backend.AuthenticationSASL((b"SCRAM-SHA-256",))),
        (AuthMethod.SCRAM, PLAIN, backend.AuthenticationSASL((b"SCRAM-SHA-256",))),
        (AuthMethod.SCRAM, DIGEST, backend.AuthenticationSASL((b"SCRAM-SHA-256",))),
        (AuthMethod.SCRAM, VERIFIER, backend.AuthenticationSASL((b"SCRAM-SHA-256",))),
    ],
)
def test_the_question_follows_from_the_method_and_the_form_of_the_secret(
    method: AuthMethod, secret: Secret, question: backend.BackendMessage
) -> None:
    assert asked_by(method, secret) == question


@pytest.mark.parametrize("secret", [PLAIN, DIGEST, VERIFIER])
def test_a_password_in_clear_is_checked_against_every_form(secret: Secret) -> None:
    _, accepted = finish(checking(AuthMethod.PLAIN, secret), frontend.password(b"pw"))

    assert accepted == Accepted(password=b"pw")
    with pytest.raises(AuthenticationRefused):
        finish(checking(AuthMethod.PLAIN, secret), frontend.password(b"PW"))


@pytest.mark.parametrize("secret", [PLAIN, DIGEST])
def test_an_md5_answer_is_right_for_its_salt_only(secret: Secret) -> None:
    right = frontend.password(md5_response(DIGEST, b"ssss"))
    stale = frontend.password(md5_response(DIGEST, b"tttt"))

    assert finish(checking(AuthMethod.MD5, secret), right)[1] == Accepted()
    for wrong in (stale, frontend.password(DIGEST.text), frontend.password(b"pw")):
        with pytest.raises(AuthenticationRefused, match="password authentication failed"):
            finish(checking(AuthMethod.MD5, secret), wrong)


@pytest.mark.parametrize(
    ("method", "secret"),
    [(AuthMethod.SCRAM, PLAIN), (AuthMethod.SCRAM, VERIFIER), (AuthMethod.MD5, VERIFIER)],
)
def test_scram_accepts_the_password_and_learns_the_keys(method: AuthMethod, secret: Secret) -> None:
    accepted = answer_by_scram(checking(method, secret), b"pw")

    assert accepted.keys is not None
    if secret is VERIFIER:
        assert scram.verifier_from_keys(accepted.keys) == VERIFIER


@pytest.mark.parametrize("secret", [PLAIN, VERIFIER, DIGEST, PlainSecret(b""), None])
def test_scram_refuses_in_the_same_words_whatever_the_reason_is(secret: Secret | None) -> None:
    with pytest.raises(AuthenticationRefused) as caught:
        answer_by_scram(checking(AuthMethod.SCRAM, secret), b"wrong")

    assert caught.value.message == 'password authentication failed for user "u"'
    assert caught.value.sqlstate == "28P01"


def test_an_unknown_user_is_asked_what_a_known_one_is_asked() -> None:
    first = frontend.sasl_initial(b"SCRAM-SHA-256", b"n,,n=,r=cnonce")
    asked: list[list[bytes]] = []
    for secret in (PLAIN, None):
        exchange = checking(AuthMethod.SCRAM, secret)
        asked.append([next(exchange), exchange.send(one_message(first))])

    assert asked[0] == asked[1]
    assert asked_by(AuthMethod.MD5, None) == asked_by(AuthMethod.MD5, DIGEST)
    assert asked_by(AuthMethod.PLAIN, None) == asked_by(AuthMethod.PLAIN, DIGEST)


@pytest.mark.parametrize("secret", [None, PlainSecret(b"")])
@pytest.mark.parametrize("method", [AuthMethod.PLAIN, AuthMethod.MD5])
def test_no_answer_helps_a_user_without_a_secret(method: AuthMethod, secret: Secret | None) -> None:
    digests = [md5_response(md5_secret(b"u", guess), b"ssss") for guess in (b"", b"ssss")]
    for guess in (b"pw", b"md5", *digests):
        with pytest.raises(AuthenticationRefused, match="password authentication failed"):
            finish(checking(method, secret), frontend.password(guess))


def test_not_even_the_right_proof_helps_a_user_that_does_not_exist() -> None:
    exchange = authenticate_by_scram(b"u", VERIFIER, b"nonce", known=False)

    with pytest.raises(AuthenticationRefused):
        answer_by_scram(exchange, b"pw")


def test_an_empty_password_is_refused_as_such() -> None:
    with pytest.raises(AuthenticationRefused, match="empty password returned by client"):
        finish(checking(AuthMethod.PLAIN, PLAIN), frontend.password(b""))


@pytest.mark.parametrize("method", [AuthMethod.PLAIN, AuthMethod.MD5, AuthMethod.SCRAM])
@pytest.mark.parametrize("message", [frontend.query(b"select 1"), frontend.terminate()])
@pytest.mark.hard_case(181)
def test_nothing_but_an_answer_may_be_sent_before_authentication(
    method: AuthMethod, message: bytes
) -> None:
    with pytest.raises(ProtocolViolation, match="response, got message type"):
        finish(checking(method, PLAIN), message)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        (AuthMethod.PLAIN, b"x" * 65_531 + b"\0"),
        (AuthMethod.PLAIN, b"pw"),
        (AuthMethod.PLAIN, b"pw\0pw\0"),
        (AuthMethod.SCRAM, b"SCRAM-SHA-256-PLUS\0\0\0\0\0"),
        (AuthMethod.SCRAM, b"SCRAM-SHA-256\0\0\0\0\5n"),
        (AuthMethod.SCRAM, b""),
    ],
)
def test_answers_that_are_too_long_or_malformed_are_violations(
    method: AuthMethod, body: bytes
) -> None:
    exchange = checking(method, PLAIN)
    next(exchange)

    with pytest.raises(ProtocolViolation):
        exchange.send((ord("p"), body))


def test_a_proof_that_is_too_long_is_a_wrong_one() -> None:
    exchange = checking(AuthMethod.SCRAM, PLAIN)
    next(exchange)

    with pytest.raises(AuthenticationRefused, match="password authentication failed"):
        exchange.send((ord("p"), b"SCRAM-SHA-256\0" + b"x" * 1_007))


@pytest.mark.hard_case(183)
def test_the_longest_password_allowed_is_checked() -> None:
    longest = b"x" * 65_530

    _, accepted = finish(
        checking(AuthMethod.PLAIN, PlainSecret(longest)), frontend.password(longest)
    )

    assert accepted.password == longest


def test_a_client_that_sends_no_first_scram_message_is_asked_for_it() -> None:
    exchange = checking(AuthMethod.SCRAM, VERIFIER)
    next(exchange)

    empty = exchange.send(one_message(frontend.sasl_initial(b"SCRAM-SHA-256", None)))
    challenge = exchange.send(one_message(frontend.sasl_response(b"n,,n=,r=cnonce")))

    assert empty == backend.authentication_sasl_continue(b"")
    assert challenge.startswith(b"R") and b"r=cnonce" in challenge


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3), st.sampled_from([*"PMS"]))
def test_no_bytes_are_accepted_without_the_password(bodies: list[bytes], letter: str) -> None:
    method = {"P": AuthMethod.PLAIN, "M": AuthMethod.MD5, "S": AuthMethod.SCRAM}[letter]
    exchange = checking(method, Md5Secret(DIGEST.text) if letter == "M" else VERIFIER)
    next(exchange)

    with pytest.raises((AuthenticationRefused, ProtocolViolation)):
        for body in bodies:
            exchange.send((ord("p"), body))


def test_what_a_login_reveals_does_not_show_in_a_repr() -> None:
    accepted = Accepted(keys=scram.ScramKeys(b"ck", b"sk", b"", 1), password=b"hidden")

    assert "hidden" not in repr(accepted) and "ck" not in repr(accepted)


def test_a_name_that_is_not_utf8_can_be_refused() -> None:
    with pytest.raises(AuthenticationRefused, match="password authentication failed"):
        finish(
            checking(AuthMethod.PLAIN, parse_secret("x"), user=b"\xff"), frontend.password(b"pw")
        )
