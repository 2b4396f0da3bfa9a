"""Backend messages: the documented bytes, and nothing lost on the way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import backend
from protocol.backend import BackendMessage
from protocol.errors import ProtocolViolation
from protocol.tags import BackendTag
from tests.support.conversations import one_message
from tests.support.messages import BACKEND_MESSAGES

# Written by hand from the documentation ("Message Formats"), independent of the encoders.
DOCUMENTED: list[tuple[bytes, bytes, BackendMessage]] = [
    (backend.authentication_ok(), b"R\0\0\0\x08\0\0\0\0", backend.AuthenticationOk()),
    (
        backend.authentication_cleartext_password(),
        b"R\0\0\0\x08\0\0\0\3",
        backend.AuthenticationCleartextPassword(),
    ),
    (
        backend.authentication_md5_password(b"salt"),
        b"R\0\0\0\x0c\0\0\0\5salt",
        backend.AuthenticationMD5Password(b"salt"),
    ),
    (
        backend.authentication_sasl([b"A", b"BC"]),
        b"R\0\0\0\x0e\0\0\0\x0aA\0BC\0\0",
        backend.AuthenticationSASL((b"A", b"BC")),
    ),
    (
        backend.authentication_sasl_continue(b"r="),
        b"R\0\0\0\x0a\0\0\0\x0br=",
        backend.AuthenticationSASLContinue(b"r="),
    ),
    (
        backend.authentication_sasl_final(b"v="),
        b"R\0\0\0\x0a\0\0\0\x0cv=",
        backend.AuthenticationSASLFinal(b"v="),
    ),
    (
        backend.authentication_kerberos_v5(),
        b"R\0\0\0\x08\0\0\0\2",
        backend.AuthenticationKerberosV5(),
    ),
    (backend.authentication_gss(), b"R\0\0\0\x08\0\0\0\7", backend.AuthenticationGSS()),
    (
        backend.authentication_gss_continue(b"t"),
        b"R\0\0\0\x09\0\0\0\x08t",
        backend.AuthenticationGSSContinue(b"t"),
    ),
    (backend.authentication_sspi(), b"R\0\0\0\x08\0\0\0\x09", backend.AuthenticationSSPI()),
    (
        backend.backend_key_data(5, b"\1\2\3\4"),
        b"K\0\0\0\x0c\0\0\0\5\1\2\3\4",
        backend.BackendKeyData(5, b"\1\2\3\4"),
    ),
    (backend.bind_complete(), b"2\0\0\0\4", backend.BindComplete()),
    (backend.close_complete(), b"3\0\0\0\4", backend.CloseComplete()),
    (
        backend.command_complete(b"SELECT 1"),
        b"C\0\0\0\x0dSELECT 1\0",
        backend.CommandComplete(b"SELECT 1"),
    ),
    (backend.copy_data(b"x"), b"d\0\0\0\5x", backend.CopyData(b"x")),
    (backend.copy_done(), b"c\0\0\0\4", backend.CopyDone()),
    (
        backend.copy_in_response(1, [1, 0]),
        b"G\0\0\0\x0b\1\0\2\0\1\0\0",
        backend.CopyInResponse(1, (1, 0)),
    ),
    (backend.copy_out_response(), b"H\0\0\0\7\0\0\0", backend.CopyOutResponse(0, ())),
    (backend.copy_both_response(), b"W\0\0\0\7\0\0\0", backend.CopyBothResponse(0, ())),
    (
        backend.data_row([b"a", None]),
        b"D\0\0\0\x0f\0\2\0\0\0\1a\xff\xff\xff\xff",
        backend.DataRow((b"a", None)),
    ),
    (backend.empty_query_response(), b"I\0\0\0\4", backend.EmptyQueryResponse()),
    (
        backend.error_response("ERROR", "26000", "no"),
        b"E\0\0\0\x1eSERROR\0VERROR\0C26000\0Mno\0\0",
        backend.ErrorResponse(
            ((ord("S"), b"ERROR"), (ord("V"), b"ERROR"), (ord("C"), b"26000"), (ord("M"), b"no"))
        ),
    ),
    (
        backend.notice_response("NOTICE", "00000", "hm", hint="h"),
        b"N\0\0\0\x23SNOTICE\0VNOTICE\0C00000\0Mhm\0Hh\0\0",
        backend.NoticeResponse(
            (
                (ord("S"), b"NOTICE"),
                (ord("V"), b"NOTICE"),
                (ord("C"), b"00000"),
                (ord("M"), b"hm"),
                (ord("H"), b"h"),
            )
        ),
    ),
    (
        backend.function_call_response(None),
        b"V\0\0\0\x08\xff\xff\xff\xff",
        backend.FunctionCallResponse(None),
    ),
    (
        backend.negotiate_protocol_version(0x30002, [b"_pq_.x"]),
        b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0",
        backend.NegotiateProtocolVersion(0x30002, (b"_pq_.x",)),
    ),
    (backend.no_data(), b"n\0\0\0\4", backend.NoData()),
    (
        backend.notification_response(9, b"ch", b"p"),
        b"A\0\0\0\x0d\0\0\0\x09ch\0p\0",
        backend.NotificationResponse(9, b"ch", b"p"),
    ),
    (
        backend.parameter_description([23, 25]),
        b"t\0\0\0\x0e\0\2\0\0\0\x17\0\0\0\x19",
        backend.ParameterDescription((23, 25)),
    ),
    (
        backend.parameter_status(b"a", b"b"),
        b"S\0\0\0\x08a\0b\0",
        backend.ParameterStatus(b"a", b"b"),
    ),
    (backend.parse_complete(), b"1\0\0\0\4", backend.ParseComplete()),
    (backend.portal_suspended(), b"s\0\0\0\4", backend.PortalSuspended()),
    (backend.ready_for_query(), b"Z\0\0\0\5I", backend.ReadyForQuery(ord("I"))),
    (
        backend.row_description([backend.Column(b"c", 1, 2, 23, 4, -1, 1)]),
        b"T\0\0\0\x1a\0\1c\0\0\0\0\1\0\2\0\0\0\x17\0\4\xff\xff\xff\xff\0\1",
        backend.RowDescription((backend.Column(b"c", 1, 2, 23, 4, -1, 1),)),
    ),
]


@pytest.mark.parametrize(("encoded", "wire", "message"), DOCUMENTED)
def test_messages_are_the_bytes_that_the_documentation_gives(
    encoded: bytes, wire: bytes, message: BackendMessage
) -> None:
    assert encoded == wire
    assert backend.decode(*one_message(wire)) == message


@given(BACKEND_MESSAGES)
def test_what_is_encoded_is_decoded_again(message: BackendMessage) -> None:
    tag, body = one_message(message.encode())

    assert backend.decode(tag, body) == message


@given(st.sampled_from(sorted(backend.DECODERS)), st.binary(max_size=60))
def test_any_body_is_a_violation_or_comes_back_byte_for_byte(tag: int, body: bytes) -> None:
    try:
        message = backend.decode(tag, body)
    except ProtocolViolation:
        return
    assert one_message(message.encode()) == (tag, body)


@given(BACKEND_MESSAGES, st.data())
def test_a_body_that_is_cut_is_never_taken_for_the_whole(
    message: BackendMessage, data: st.DataObject
) -> None:
    tag, body = one_message(message.encode())
    shorter = body[: data.draw(st.integers(0, len(body)))]
    try:
        decoded = backend.decode(tag, shorter)
    except ProtocolViolation:
        return
    assert one_message(decoded.encode()) == (tag, shorter)
    assert decoded != message or shorter == body


def test_every_backend_tag_has_a_decoder_and_an_example() -> None:
    tags = {value for name, value in vars(BackendTag).items() if name.isupper()}

    assert set(backend.DECODERS) == tags
    assert {wire[0] for _, wire, _ in DOCUMENTED} == tags


def test_a_frontend_tag_is_no_backend_message() -> None:
    with pytest.raises(ProtocolViolation, match="invalid backend message type 66"):
        backend.decode(ord("B"), b"")


def test_an_authentication_request_that_nobody_knows_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="authentication method 99 is not known"):
        backend.decode_authentication(b"\0\0\0\x63")


@pytest.mark.parametrize("salt", [b"", b"123", b"12345"])
def test_an_md5_salt_has_four_bytes(salt: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="4 bytes"):
        backend.authentication_md5_password(salt)
    with pytest.raises(ProtocolViolation):
        backend.decode_authentication(b"\0\0\0\5" + salt)


@pytest.mark.parametrize("size", [0, 3, 257])
def test_cancel_keys_of_a_size_that_no_version_allows_are_a_violation(size: int) -> None:
    with pytest.raises(ProtocolViolation, match="cancel key"):
        backend.decode_backend_key_data(b"\0\0\0\1" + bytes(size))


def test_a_cancel_key_does_not_show_in_a_repr() -> None:
    assert "key!" not in repr(backend.BackendKeyData(1, b"key!"))


def test_a_transaction_status_that_nobody_knows_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="transaction status 88"):
        backend.decode_ready_for_query(b"X")


def test_a_negotiation_that_claims_four_billion_options_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="insufficient data"):
        backend.decode_negotiate_protocol_version(b"\0\3\0\0\xff\xff\xff\xffx\0")


@pytest.mark.parametrize("version", [2, 3 << 16 | 2])
def test_the_minor_version_is_read_from_either_way_of_writing_it(version: int) -> None:
    assert backend.NegotiateProtocolVersion(version).minor == 2
