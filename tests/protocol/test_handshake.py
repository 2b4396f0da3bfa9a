"""Logging in to a server: what we prove, what we refuse, what we remember."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import backend, frontend, scram, startup
from protocol.auth import Accepted, AuthMethod, authenticate
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.exchange import Exchange
from protocol.handshake import (
    REPORTS_MAX,
    Credentials,
    LoggedIn,
    LoginPolicy,
    is_scram_challenge,
    log_in,
)
from protocol.scram_exchange import ScramLimits
from protocol.stored_secrets import Md5Secret, PlainSecret, Secret, md5_response, md5_secret
from tests.support.conversations import finish, one_message, pair
from tests.support.messages import BACKEND_MESSAGES

PLAIN = PlainSecret(b"pw")
DIGEST = md5_secret(b"u", b"pw")
SALT = b"some salt"
SALTED = scram.salted_password(b"pw", SALT, 4096)
KEYS = scram.keys_from_salted(SALTED, SALT, 4096)
VERIFIER = scram.verifier_from_keys(KEYS)
OK = backend.authentication_ok()
READY = backend.ready_for_query()
ENDING = OK + backend.parameter_status(b"a", b"1") + backend.backend_key_data(7, b"key!") + READY
POLICY = LoginPolicy(scram_limits=ScramLimits(iterations_min=2))
SASL = backend.authentication_sasl([b"SCRAM-SHA-256"])

ClientSecret = PlainSecret | Md5Secret | scram.ScramKeys | None


def client(secret: ClientSecret = PLAIN, minor: int = 0) -> Exchange[LoggedIn]:
    return log_in(
        Credentials(b"u", secret),
        [(b"database", b"d")],
        nonce=b"cnonce",
        minor=minor,
        policy=POLICY,
    )


def server(method: AuthMethod, secret: Secret | None) -> Exchange[Accepted]:
    return authenticate(
        method, b"u", secret, random_bytes=lambda n: b"s" * n, mock_key=b"m", iterations=2
    )


def refused_by_us(secret: ClientSecret, *received: bytes) -> AuthenticationRefused:
    with pytest.raises(AuthenticationRefused) as caught:
        finish(client(secret), *received)
    return caught.value


def test_a_login_begins_with_the_startup_packet() -> None:
    expected = startup.startup_message([(b"user", b"u"), (b"database", b"d")], 2)

    assert next(client(minor=2)) == expected


def test_a_trusting_server_is_believed_and_its_reports_are_kept() -> None:
    sent, logged_in = finish(
        client(None),
        backend.notice_response("NOTICE", "00000", "early"),
        OK,
        backend.parameter_status(b"server_version", b"15.18"),
        backend.parameter_status(b"TimeZone", b"UTC"),
        backend.parameter_status(b"TimeZone", b"CET"),
        backend.notice_response("WARNING", "01000", "late"),
        backend.backend_key_data(7, b"key!"),
        READY,
    )

    assert sent[1:] == [b""] * 7
    assert logged_in.parameters == {b"server_version": b"15.18", b"TimeZone": b"CET"}
    assert (logged_in.pid, logged_in.key, logged_in.protocol_minor) == (7, b"key!", 0)
    assert logged_in.notices == (
        backend.notice_response("NOTICE", "00000", "early"),
        backend.notice_response("WARNING", "01000", "late"),
    )


@pytest.mark.parametrize(
    ("method", "stored", "given_"),
    [
        (AuthMethod.PLAIN, PLAIN, PLAIN),
        (AuthMethod.MD5, PLAIN, PLAIN),
        (AuthMethod.MD5, DIGEST, PLAIN),
        (AuthMethod.MD5, PLAIN, DIGEST),
        (AuthMethod.MD5, VERIFIER, PLAIN),
        (AuthMethod.MD5, VERIFIER, KEYS),
        (AuthMethod.SCRAM, PLAIN, PLAIN),
        (AuthMethod.SCRAM, VERIFIER, PLAIN),
        (AuthMethod.SCRAM, VERIFIER, KEYS),
    ],
)
def test_both_sides_agree_when_their_secrets_do(
    method: AuthMethod, stored: Secret, given_: ClientSecret
) -> None:
    logged_in, accepted = pair(client(given_), server(method, stored), ENDING)

    assert (logged_in.parameters, logged_in.pid) == ({b"a": b"1"}, 7)
    if accepted.keys is not None and stored is VERIFIER:
        assert accepted.keys == KEYS


@pytest.mark.parametrize("stored", [PLAIN, DIGEST, VERIFIER, None])
@pytest.mark.parametrize("method", [AuthMethod.PLAIN, AuthMethod.MD5, AuthMethod.SCRAM])
def test_a_wrong_password_and_an_unknown_user_are_refused_by_the_server(
    method: AuthMethod, stored: Secret | None
) -> None:
    with pytest.raises(AuthenticationRefused, match='password authentication failed for user "u"'):
        pair(client(PlainSecret(b"wrong")), server(method, stored), ENDING)


def test_keys_that_a_client_reveals_are_good_for_a_server_with_the_same_verifier() -> None:
    _, revealed = pair(client(PLAIN), server(AuthMethod.SCRAM, VERIFIER), ENDING)

    logged_in, _ = pair(client(revealed.keys), server(AuthMethod.SCRAM, VERIFIER), ENDING)

    assert logged_in.pid == 7


def test_keys_are_not_tried_on_a_server_with_another_verifier() -> None:
    other = scram.make_verifier(b"pw", b"other salt", 4096)

    with pytest.raises(AuthenticationRefused, match="another salt or iteration count"):
        pair(client(KEYS), server(AuthMethod.SCRAM, other), ENDING)


CLEARTEXT = backend.authentication_cleartext_password()
MD5 = backend.authentication_md5_password(b"salt")


@pytest.mark.parametrize(
    ("secret", "question", "reason"),
    [
        (None, CLEARTEXT, "none is configured"),
        (DIGEST, CLEARTEXT, "only its MD5 digest is known"),
        (KEYS, CLEARTEXT, "only SCRAM keys are known"),
        (None, MD5, "none is configured"),
        (KEYS, MD5, "only SCRAM keys are known"),
        (None, SASL, "no password is configured"),
        (DIGEST, SASL, "only an MD5 digest is known"),
        (PLAIN, backend.authentication_sasl([b"SCRAM-SHA-256-PLUS", b"X"]), "PLUS, X"),
        (PLAIN, backend.authentication_sasl([]), "no SASL mechanism"),
        (PLAIN, backend.authentication_gss(), "AuthenticationGSS"),
        (PLAIN, backend.authentication_sspi(), "AuthenticationSSPI"),
        (PLAIN, backend.authentication_kerberos_v5(), "AuthenticationKerberosV5"),
    ],
)
@pytest.mark.hard_case(187)
def test_we_say_which_proof_is_demanded_and_what_is_lacking(
    secret: ClientSecret, question: bytes, reason: str
) -> None:
    assert reason in refused_by_us(secret, question).message


def test_a_password_is_sent_in_clear_only_where_that_is_allowed() -> None:
    sent, _ = finish(client(PLAIN), CLEARTEXT, OK, READY)
    assert sent[1] == frontend.password(b"pw")

    careful = log_in(
        Credentials(b"u", PLAIN), [], nonce=b"n", policy=LoginPolicy(cleartext_allowed=False)
    )
    with pytest.raises(AuthenticationRefused, match="not allowed here"):
        finish(careful, CLEARTEXT)


def test_an_md5_digest_answers_an_md5_question() -> None:
    sent, _ = finish(client(DIGEST), MD5, OK, READY)

    assert sent[1] == frontend.password(md5_response(DIGEST, b"salt"))


def challenge() -> bytes:
    text = b"r=cnoncesnonce,s=" + base64.b64encode(SALT) + b",i=4096"
    return backend.authentication_sasl_continue(text)


@pytest.mark.parametrize("received", [(SASL, OK), (SASL, challenge(), OK)])
def test_a_server_that_skips_its_own_proof_is_refused(received: tuple[bytes, ...]) -> None:
    assert "before it proved" in refused_by_us(PLAIN, *received).message


def test_a_server_with_a_wrong_signature_is_refused() -> None:
    signature = b"v=" + base64.b64encode(bytes(32))

    error = refused_by_us(PLAIN, SASL, challenge(), backend.authentication_sasl_final(signature))

    assert "did not prove" in error.message


def test_a_server_that_asks_for_too_much_work_is_refused_before_the_work() -> None:
    text = b"r=cnoncesnonce,s=" + base64.b64encode(SALT) + b",i=999999999"

    error = refused_by_us(PLAIN, SASL, backend.authentication_sasl_continue(text))

    assert "iteration count 999999999" in error.message


@pytest.mark.parametrize("before", [(), (OK,), (CLEARTEXT,), (CLEARTEXT, OK), (SASL,)])
@pytest.mark.hard_case(184)
def test_an_error_of_the_server_is_told_at_every_stage(before: tuple[bytes, ...]) -> None:
    error = backend.error_response("FATAL", "3D000", 'database "d" does not exist')

    with pytest.raises(ServerRefused) as caught:
        finish(client(), *before, error)
    assert caught.value.sqlstate == "3D000"
    assert caught.value.message == 'database "d" does not exist'


@pytest.mark.hard_case(161)
def test_a_server_may_lower_the_protocol_version() -> None:
    for version in (3 << 16, 0):
        lower = backend.negotiate_protocol_version(version)
        _, logged_in = finish(client(minor=2), lower, OK, READY)
        assert logged_in.protocol_minor == 0


def test_a_server_may_confirm_the_protocol_version() -> None:
    same = backend.negotiate_protocol_version(3 << 16 | 2, [b"_pq_.x"])

    _, logged_in = finish(client(minor=2), same, OK, READY)

    assert logged_in.protocol_minor == 2


def test_no_more_notices_are_kept_than_the_limit() -> None:
    notices = [backend.notice_response("NOTICE", "00000", str(n)) for n in range(REPORTS_MAX + 1)]

    _, logged_in = finish(client(), *notices, OK, READY)

    assert logged_in.notices == tuple(notices[:-1])


def test_a_server_may_not_raise_the_protocol_version() -> None:
    with pytest.raises(ProtocolViolation, match="newer protocol version"):
        finish(client(), backend.negotiate_protocol_version(3 << 16 | 2))


def test_a_server_need_not_offer_a_cancel_key() -> None:
    _, logged_in = finish(client(), OK, READY)

    assert (logged_in.pid, logged_in.key) == (0, b"")


@pytest.mark.parametrize(
    "received",
    [
        (backend.parameter_status(b"a", b"b"),),
        (backend.backend_key_data(1, b"key!"),),
        (READY,),
        (CLEARTEXT, CLEARTEXT),
        (CLEARTEXT, SASL),
        (OK, OK),
        (OK, backend.data_row([])),
        (OK, b"Z\0\0\0\5?"),
        (b"R\0\0\0\x08\0\0\0\x63",),
    ],
)
@pytest.mark.hard_case(161)
def test_messages_that_have_no_place_in_a_login_are_violations(received: tuple[bytes, ...]) -> None:
    with pytest.raises(ProtocolViolation):
        finish(client(), *received)


def test_a_server_that_never_stops_reporting_is_cut_short() -> None:
    reports = [backend.parameter_status(b"p%d" % n, b"") for n in range(REPORTS_MAX + 1)]

    with pytest.raises(ProtocolViolation):
        finish(client(), OK, *reports)


def test_the_slow_step_can_be_foreseen_and_its_result_be_remembered() -> None:
    calls: list[tuple[bytes, bytes, int]] = []

    def remembered(password: bytes, salt: bytes, iterations: int) -> bytes:
        calls.append((password, salt, iterations))
        return SALTED

    exchange = log_in(Credentials(b"u", PLAIN), [], nonce=b"cnonce", derive=remembered)
    next(exchange)
    exchange.send(one_message(SASL))
    assert not calls and is_scram_challenge(one_message(challenge()))
    exchange.send(one_message(challenge()))

    assert calls == [(b"pw", SALT, 4096)]
    assert not any(is_scram_challenge(one_message(other)) for other in (SASL, OK, READY))


@given(st.lists(BACKEND_MESSAGES, max_size=8))
def test_any_messages_end_in_success_or_a_named_error(
    messages: list[backend.BackendMessage],
) -> None:
    exchange = client()
    next(exchange)
    try:
        for message in messages:
            exchange.send(one_message(message.encode()))
    except StopIteration as stop:
        assert isinstance(stop.value, LoggedIn)
        kinds = [type(message) for message in messages]
        assert backend.AuthenticationOk in kinds and backend.ReadyForQuery in kinds
    except (ServerRefused, AuthenticationRefused, ProtocolViolation) as error:
        assert str(error)


def test_secrets_do_not_show_in_reprs() -> None:
    shown = repr(Credentials(b"u", PlainSecret(b"hidden"))) + repr(LoggedIn({}, 1, b"hidden", 0))

    assert "hidden" not in shown
