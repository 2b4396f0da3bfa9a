"""Invariant: a first packet is understood as a whole, or refused with a reason to send back.

For every packet: nothing but ProtocolViolation is raised, by decoding or by asking what the
client wants; what is decoded encodes to the very bytes; a decoded startup packet names a user;
and every refusal is an ErrorResponse, or the bare text that clients of version 2 expect, or (of
a cancel request) nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol import startup
from protocol.backend import decode_error_response
from protocol.errors import ProtocolViolation
from protocol.options import format_options, parse_options
from protocol.startup_message import StartupMessage
from tests.support.conversations import one_message
from tests.support.messages import FIRST_PACKETS

_HEADS = st.sampled_from(
    [
        *(b"\0\3\0\0", b"\0\3\0\2", b"\0\3\x27\x0f", b"\0\2\0\0", b"\0\4\0\0"),
        *(b"\x04\xd2\x16\x2e", b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30", b""),
    ]
)
_WORDS = st.sampled_from(
    [
        *(b"user", b"database", b"options", b"replication", b"_pq_.x", b"on", b"database"),
        *(b"-c a=b", b"--a-b=c", b"-c", b"-e\\ ", b"\\", b"--", b"", b"\xff"),
    ]
)
packets = st.one_of(
    FIRST_PACKETS.map(lambda packet: packet.encode()[4:]),
    st.builds(lambda head, words: head + b"\0".join(words), _HEADS, st.lists(_WORDS)),
    st.builds(lambda head, tail: head + tail, _HEADS, st.binary(max_size=60)),
)
"""Packets that are right, that nearly are, and noise behind every known code."""


def check(packet: bytes) -> None:
    """Raise AssertionError if the invariant does not hold for this packet."""
    try:
        message = startup.decode_startup(packet)
    except ProtocolViolation as violation:
        _check_refusal(startup.refusal(packet, violation))
        return
    assert message.encode()[4:] == packet
    if isinstance(message, StartupMessage):
        _check_wishes(message)


def _check_refusal(sent: bytes) -> None:
    if sent and not sent.startswith(b"EFATAL:  "):
        tag, body = one_message(sent)
        assert tag == ord("E") and decode_error_response(body).sqlstate


def _check_wishes(message: StartupMessage) -> None:
    assert message.user and message.database
    spoken, answer = startup.negotiate(message)
    assert spoken <= min(message.minor, startup.MINOR_MAX)
    assert not answer or one_message(answer)
    try:
        _ = message.replication
        message.settings()
    except ProtocolViolation as violation:
        _check_refusal(startup.refusal(b"\0\3\0\0", violation))
        return
    asked = parse_options(message.parameters.get(b"options", b""))
    assert parse_options(format_options(asked)) == asked


def read(data: bytes) -> bytes:
    """A packet is what it is."""
    return data


def seeds() -> Iterator[bytes]:
    """A packet of every kind."""
    yield b"\0\3\0\0user\0a\0database\0b\0options\0-c a=b --c-d=e\\ f\0\0"
    yield b"\0\3\0\2user\0a\0_pq_.x\0y\0replication\0database\0\0"
    yield b"\0\3\x27\x0fuser\0a\0\0"
    yield b"\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"
    yield b"\x04\xd2\x16\x2f"
    yield b"\x04\xd2\x16\x30"
    yield b"\0\2\0\0a"


TARGET: Final = Target(packets, check, read, seeds)

if __name__ == "__main__":
    fuzz(TARGET)
