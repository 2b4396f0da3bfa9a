"""The first packet: who the client is, or a named reason why it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import startup
from protocol.backend import decode_error_response, decode_negotiate_protocol_version
from protocol.errors import ProtocolViolation
from protocol.startup import CancelRequest, GSSENCRequest, SSLRequest
from protocol.startup_message import Replication, StartupMessage
from tests.support.messages import FIRST_PACKETS


def packet(*pairs: tuple[bytes, bytes], minor: int = 0) -> bytes:
    return startup.startup_message(pairs, minor)[4:]


def decoded(*pairs: tuple[bytes, bytes], minor: int = 0) -> StartupMessage:
    message = startup.decode_startup(packet(*pairs, minor=minor))
    assert isinstance(message, StartupMessage)
    return message


def refused(data: bytes) -> ProtocolViolation:
    with pytest.raises(ProtocolViolation) as caught:
        startup.decode_startup(data)
    return caught.value


@given(FIRST_PACKETS)
def test_every_first_packet_comes_back(message: startup.FirstPacket) -> None:
    encoded = message.encode()

    assert startup.packet_bytes(encoded[:4]) == len(encoded) - 4
    assert startup.decode_startup(encoded[4:]) == message


@given(st.binary(max_size=80))
def test_any_bytes_are_a_violation_or_come_back_byte_for_byte(data: bytes) -> None:
    for candidate in (data, b"\0\3\0\0" + data, b"\x04\xd2\x16\x2e" + data):
        try:
            message = startup.decode_startup(candidate)
        except ProtocolViolation:
            continue
        assert message.encode()[4:] == candidate


def test_the_requests_are_the_bytes_that_the_documentation_gives() -> None:
    assert startup.ssl_request() == b"\0\0\0\x08\x04\xd2\x16\x2f"
    assert startup.gssenc_request() == b"\0\0\0\x08\x04\xd2\x16\x30"
    assert startup.cancel_request(7, b"abcd") == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd"
    assert startup.startup_message([(b"user", b"u")]) == b"\0\0\0\x10\0\3\0\0user\0u\0\0"


def test_requests_are_told_apart() -> None:
    assert startup.decode_startup(startup.ssl_request()[4:]) == SSLRequest()
    assert startup.decode_startup(startup.gssenc_request()[4:]) == GSSENCRequest()
    assert startup.decode_startup(startup.cancel_request(7, b"k" * 32)[4:]) == CancelRequest(
        7, b"k" * 32
    )


@pytest.mark.parametrize("length", [0, 3, 7, 10_005, 2**31 - 1, 2**32 - 1])
def test_a_length_that_no_packet_has_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid length of startup packet"):
        startup.packet_bytes(length.to_bytes(4, "big"))


def test_the_longest_packet_allowed_is_read() -> None:
    value = b"x" * (10_000 - len(packet((b"user", b"u"), (b"a", b""))))
    longest = packet((b"user", b"u"), (b"a", value))

    assert startup.packet_bytes((len(longest) + 4).to_bytes(4, "big")) == 10_000
    assert isinstance(startup.decode_startup(longest), StartupMessage)
    assert "invalid length" in refused(packet((b"user", b"u"), (b"a", value + b"x"))).message


@pytest.mark.parametrize(
    "data",
    [
        b"\0\3\0\0",
        b"\0\3\0\0user\0u",
        b"\0\3\0\0user\0u\0",
        b"\0\3\0\0user\0\0",
        b"\0\3\0\0user\0u\0\0x",
        b"\0\3\0\0user\0u\0lonely\0\0",
    ],
)
def test_a_packet_must_end_where_its_pairs_end(data: bytes) -> None:
    violation = refused(data)

    assert violation.sqlstate == "08P01"
    assert "expected terminator as last byte" in violation.message


@pytest.mark.parametrize("pairs", [[], [(b"database", b"d")], [(b"user", b"")]])
@pytest.mark.hard_case(179)
def test_a_client_without_a_user_is_refused(pairs: list[tuple[bytes, bytes]]) -> None:
    assert refused(packet(*pairs)).sqlstate == "28000"


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (b"\0\2\0\0", "2.0"),
        (b"\0\1\0\0", "1.0"),
        (b"\0\4\0\0", "4.0"),
        (b"\x04\xd2\x16\x31", "1234.5681"),
    ],
)
@pytest.mark.hard_case(178)
def test_versions_that_are_not_spoken_are_named(version: bytes, shown: str) -> None:
    violation = refused(version + b"user\0u\0\0")

    assert violation.sqlstate == "0A000"
    assert violation.message == (
        f"unsupported frontend protocol {shown}: server supports 3.0 to 3.2"
    )


def test_an_old_client_is_told_in_the_words_it_understands() -> None:
    data = b"\0\2\0\0user\0u\0\0"
    violation = refused(data)

    assert startup.refusal(data, violation) == (
        b"EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0"
    )


@pytest.mark.parametrize("data", [b"", b"\0\2\0", b"\0\3\0\0", b"\xff\xff\xff\xff"])
def test_a_client_whose_version_is_not_old_is_told_in_an_error_response(data: bytes) -> None:
    error = decode_error_response(startup.refusal(data, ProtocolViolation("no", hint="h"))[5:])

    assert (error.sqlstate, error.message, error.get("H")) == ("08P01", "no", b"h")


def test_the_shortest_packet_of_an_old_client_is_recognised() -> None:
    assert startup.refusal(b"\0\2\0\0", ProtocolViolation("no")) == b"EFATAL:  no\n\0"


def test_a_malformed_cancel_request_is_not_answered() -> None:
    data = b"\x04\xd2\x16\x2e\0\0\0\1abc"

    assert startup.refusal(data, refused(data)) == b""


def test_a_client_of_the_future_is_told_in_an_error_response() -> None:
    data = b"\0\4\0\0user\0u\0\0"
    error = decode_error_response(startup.refusal(data, refused(data))[5:])

    assert (error.severity, error.sqlstate) == ("FATAL", "0A000")


@pytest.mark.parametrize("data", [b"", b"\x04\xd2\x16\x2e\0\0\0\1abc", b"\x04\xd2\x16\x2f\0"])
def test_malformed_requests_are_violations(data: bytes) -> None:
    assert refused(data).sqlstate == "08P01"


@pytest.mark.hard_case(179)
def test_a_client_that_names_no_database_means_the_one_called_like_the_user() -> None:
    assert decoded((b"user", b"u")).database == b"u"
    assert decoded((b"user", b"u"), (b"database", b"")).database == b"u"
    assert decoded((b"user", b"u"), (b"database", b"d")).database == b"d"


def test_settings_come_in_the_order_in_which_the_server_applies_them() -> None:
    message = decoded(
        (b"user", b"u"),
        (b"search_path", b"b"),
        (b"options", b"-c search_path=a --work-mem=1MB"),
        (b"_pq_.feature", b"on"),
        (b"DateStyle", b"ISO"),
    )

    assert message.settings() == [
        (b"search_path", b"a"),
        (b"work_mem", b"1MB"),
        (b"search_path", b"b"),
        (b"DateStyle", b"ISO"),
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"database", Replication.LOGICAL),
        (b"true", Replication.PHYSICAL),
        (b"T", Replication.PHYSICAL),
        (b"ye", Replication.PHYSICAL),
        (b"on", Replication.PHYSICAL),
        (b"1", Replication.PHYSICAL),
        (b"false", Replication.NONE),
        (b"of", Replication.NONE),
        (b"n", Replication.NONE),
        (b"0", Replication.NONE),
    ],
)
def test_replication_is_read_as_the_server_reads_booleans(value: bytes, kind: Replication) -> None:
    assert decoded((b"user", b"u"), (b"replication", value)).replication is kind


@pytest.mark.parametrize("value", [b"", b"o", b"maybe", b"trues", b"2"])
def test_a_replication_that_is_no_boolean_is_refused_with_a_hint(value: bytes) -> None:
    message = decoded((b"user", b"u"), (b"replication", value))

    with pytest.raises(ProtocolViolation, match="invalid value for parameter") as caught:
        _ = message.replication
    assert caught.value.sqlstate == "22023"
    assert caught.value.hint is not None


def test_a_client_that_asks_for_nothing_new_is_not_negotiated_with() -> None:
    for minor in (0, 2):
        assert startup.negotiate(decoded((b"user", b"u"), minor=minor)) == (minor, b"")


@pytest.mark.parametrize("minor", [3, 9999])
@pytest.mark.hard_case(178)
def test_a_newer_client_is_told_the_newest_version_spoken(minor: int) -> None:
    spoken, reply = startup.negotiate(decoded((b"user", b"u"), minor=minor))

    assert spoken == 2
    assert decode_negotiate_protocol_version(reply[5:]).version == 3 << 16 | 2


@pytest.mark.hard_case(178)
def test_protocol_options_are_declined_by_name() -> None:
    spoken, reply = startup.negotiate(decoded((b"user", b"u"), (b"_pq_.x", b"1"), minor=0))

    assert spoken == 0
    assert decode_negotiate_protocol_version(reply[5:]).options == (b"_pq_.x",)


def test_a_cancel_key_does_not_show_in_a_repr() -> None:
    assert "key!" not in repr(CancelRequest(1, b"key!"))
