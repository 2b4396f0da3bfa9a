"""Frontend messages: the documented bytes, and nothing lost on the way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import frontend
from protocol.errors import ProtocolViolation
from protocol.frontend import FrontendMessage
from protocol.tags import FrontendTag
from tests.support.conversations import one_message
from tests.support.messages import FRONTEND_MESSAGES

# Written by hand from the documentation ("Message Formats"), independent of the encoders.
DOCUMENTED: list[tuple[bytes, bytes, FrontendMessage]] = [
    (
        frontend.parse(b"s", b"select $1", [23]),
        b"P\0\0\0\x16s\0select $1\0\0\1\0\0\0\x17",
        frontend.Parse(b"s", b"select $1", (23,)),
    ),
    (
        frontend.bind(b"p", b"s", [1], [b"ab", None], [0, 1]),
        b"B\0\0\0\x1ep\0s\0\0\1\0\1\0\2\0\0\0\2ab\xff\xff\xff\xff\0\2\0\0\0\1",
        frontend.Bind(b"p", b"s", (1,), (b"ab", None), (0, 1)),
    ),
    (frontend.describe_statement(b"s"), b"D\0\0\0\7Ss\0", frontend.Describe(ord("S"), b"s")),
    (frontend.describe_portal(b"p"), b"D\0\0\0\7Pp\0", frontend.Describe(ord("P"), b"p")),
    (frontend.close_statement(b"s"), b"C\0\0\0\7Ss\0", frontend.Close(ord("S"), b"s")),
    (frontend.close_portal(b"p"), b"C\0\0\0\7Pp\0", frontend.Close(ord("P"), b"p")),
    (frontend.execute(b"", 7), b"E\0\0\0\t\0\0\0\0\7", frontend.Execute(b"", 7)),
    (frontend.sync(), b"S\0\0\0\4", frontend.Sync()),
    (frontend.flush(), b"H\0\0\0\4", frontend.Flush()),
    (frontend.query(b"select 1"), b"Q\0\0\0\x0dselect 1\0", frontend.Query(b"select 1")),
    (
        frontend.function_call(1598, [0], [b"x"], 1),
        b"F\0\0\0\x15\0\0\x06\x3e\0\1\0\0\0\1\0\0\0\1x\0\1",
        frontend.FunctionCall(1598, (0,), (b"x",), 1),
    ),
    (frontend.copy_data(b"1\t2\n"), b"d\0\0\0\x081\t2\n", frontend.CopyData(b"1\t2\n")),
    (frontend.copy_done(), b"c\0\0\0\4", frontend.CopyDone()),
    (frontend.copy_fail(b"no"), b"f\0\0\0\7no\0", frontend.CopyFail(b"no")),
    (frontend.terminate(), b"X\0\0\0\4", frontend.Terminate()),
]


@pytest.mark.parametrize(("encoded", "wire", "message"), DOCUMENTED)
def test_messages_are_the_bytes_that_the_documentation_gives(
    encoded: bytes, wire: bytes, message: FrontendMessage
) -> None:
    assert encoded == wire
    assert frontend.decode(*one_message(wire)) == message


@given(FRONTEND_MESSAGES)
def test_what_is_encoded_is_decoded_again(message: FrontendMessage) -> None:
    tag, body = one_message(message.encode())

    assert frontend.decode(tag, body) == message


@given(st.sampled_from(sorted(frontend.DECODERS)), st.binary(max_size=60))
def test_any_body_is_a_violation_or_comes_back_byte_for_byte(tag: int, body: bytes) -> None:
    try:
        message = frontend.decode(tag, body)
    except ProtocolViolation:
        return
    assert one_message(message.encode()) == (tag, body)


@given(FRONTEND_MESSAGES, st.data())
def test_a_body_that_is_cut_is_never_taken_for_the_whole(
    message: FrontendMessage, data: st.DataObject
) -> None:
    tag, body = one_message(message.encode())
    shorter = body[: data.draw(st.integers(0, len(body)))]
    try:
        decoded = frontend.decode(tag, shorter)
    except ProtocolViolation:
        return
    assert one_message(decoded.encode()) == (tag, shorter)
    assert decoded != message or shorter == body


# Whatever a CopyData holds is data; every other message has an end of its own.
@pytest.mark.parametrize("wire", [wire for _, wire, _ in DOCUMENTED if wire[:1] != b"d"])
def test_bytes_behind_the_end_of_a_message_are_a_violation(wire: bytes) -> None:
    tag, body = one_message(wire)

    with pytest.raises(ProtocolViolation):
        frontend.decode(tag, body + b"\0")


def test_every_frontend_tag_has_a_decoder() -> None:
    tags = {value for name, value in vars(FrontendTag).items() if name.isupper()}

    assert set(frontend.DECODERS) == tags


def test_a_backend_tag_is_no_frontend_message() -> None:
    with pytest.raises(ProtocolViolation, match="invalid frontend message type 90"):
        frontend.decode(ord("Z"), b"I")


def test_a_name_with_a_nul_inside_is_never_sent() -> None:
    with pytest.raises(ProtocolViolation, match="NUL"):
        frontend.parse(b"a\0b", b"select 1")


def test_more_parameters_than_a_message_can_count_are_refused() -> None:
    at_most = frontend.bind(parameters=[None] * 65_535)

    assert len(frontend.decode_bind(at_most[5:]).parameters) == 65_535
    with pytest.raises(ProtocolViolation, match="65536"):
        frontend.bind(parameters=[None] * 65_536)


def test_only_statements_and_portals_can_be_described_and_closed() -> None:
    with pytest.raises(ProtocolViolation, match="invalid DESCRIBE message subtype 88"):
        frontend.decode_describe(b"Xs\0")
    with pytest.raises(ProtocolViolation, match="invalid CLOSE message subtype 88"):
        frontend.decode_close(b"Xs\0")


def test_a_password_message_is_exactly_one_string() -> None:
    assert frontend.decode_password(frontend.password(b"pw")[5:]).secret == b"pw"
    for body in (b"pw", b"pw\0x", b""):
        with pytest.raises(ProtocolViolation):
            frontend.decode_password(body)


def test_sasl_messages_come_back_and_may_lack_a_first_response() -> None:
    for data in (None, b"", b"n,,n=,r=x"):
        body = frontend.sasl_initial(b"SCRAM-SHA-256", data)[5:]
        assert frontend.decode_sasl_initial(body) == frontend.SASLInitialResponse(
            b"SCRAM-SHA-256", data
        )
        assert frontend.decode_sasl_initial(body).encode()[5:] == body
    assert frontend.decode_sasl_response(b"c=").encode() == frontend.sasl_response(b"c=")
    assert frontend.decode_gss_response(b"\0t").encode() == frontend.gss_response(b"\0t")
    assert frontend.decode_password(b"pw\0").encode() == frontend.password(b"pw")


def test_answers_to_authentication_do_not_show_in_reprs() -> None:
    shown = [
        repr(frontend.decode_password(b"secret\0")),
        repr(frontend.decode_sasl_initial(frontend.sasl_initial(b"M", b"secret")[5:])),
        repr(frontend.decode_sasl_response(b"secret")),
        repr(frontend.decode_gss_response(b"secret")),
        repr(frontend.decode(FrontendTag.PASSWORD, b"secret")),
    ]

    assert not [text for text in shown if "secret'" in text]
