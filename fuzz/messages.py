"""Invariant: a body is a message, byte for byte, or a ProtocolViolation.

For every tag in both directions and every body, whatever counts and lengths it claims: nothing
but ProtocolViolation is raised, and what is decoded encodes to the very bytes it came from.
"""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.harness import fuzz
from protocol import backend, frontend
from protocol.errors import ProtocolViolation
from tests.support.conversations import one_message
from tests.support.messages import BACKEND_MESSAGES, FRONTEND_MESSAGES

Case = tuple[bool, int, bytes]


def _bodies_of(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[int, bytes]]:
    return messages.map(one_message)


def _damaged(case: tuple[int, bytes], at: int, patch: bytes, cut: int) -> tuple[int, bytes]:
    tag, body = case
    at = at % (len(body) + 1)
    changed = body[:at] + patch + body[at + len(patch) :]
    return tag, changed[: len(changed) - cut]


def _cases(backend_side: bool) -> st.SearchStrategy[Case]:
    if backend_side:
        whole = _bodies_of(BACKEND_MESSAGES.map(lambda message: message.encode()))
        tags = sorted(backend.DECODERS)
    else:
        whole = _bodies_of(FRONTEND_MESSAGES.map(lambda message: message.encode()))
        tags = sorted(frontend.DECODERS)
    patches = st.sampled_from([b"", b"\0", b"\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"])
    damaged = st.builds(_damaged, whole, st.integers(0, 200), patches, st.integers(0, 5))
    noise = st.tuples(st.sampled_from(tags) | st.integers(0, 255), st.binary(max_size=80))
    return (damaged | noise).map(lambda case: (backend_side, *case))


def check(case: Case) -> None:
    """Raise AssertionError if the invariant does not hold for this side, tag and body."""
    backend_side, tag, body = case
    try:
        if backend_side:
            encoded = backend.decode(tag, body).encode()
        else:
            encoded = frontend.decode(tag, body).encode()
    except ProtocolViolation:
        return
    assert one_message(encoded) == (tag, body)


cases = _cases(backend_side=True) | _cases(backend_side=False)
"""Messages with a few bytes changed or cut off, and noise behind every tag."""


if __name__ == "__main__":
    fuzz(cases, check)
