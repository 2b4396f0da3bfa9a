"""Invariant: a body is a message, byte for byte, or a ProtocolViolation.

For every tag in both directions and every body, whatever counts and lengths it claims: nothing
but ProtocolViolation is raised, what is decoded encodes to the very bytes it came from, and no
more memory is taken on the way than a body of that size can need, whatever it claims.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol import backend, frontend
from protocol.errors import ProtocolViolation
from tests.support.conversations import one_message
from tests.support.messages import BACKEND_MESSAGES, FRONTEND_MESSAGES

Case = tuple[bool, int, bytes]

# What decoding may take: objects for the smallest item that a body can list, and something fixed.
MEMORY_BYTES: Final = 65_536
MEMORY_PER_BYTE: Final = 256


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
    measuring = not tracemalloc.is_tracing()
    if measuring:
        tracemalloc.start(1)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    _check_bytes(*case)
    _, peak = tracemalloc.get_traced_memory()
    if measuring:
        tracemalloc.stop()
    assert peak - before < MEMORY_BYTES + MEMORY_PER_BYTE * len(case[2]), peak - before


def _check_bytes(backend_side: bool, tag: int, body: bytes) -> None:
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


def read(data: bytes) -> Case:
    """The first byte says whose message it is, the second is its tag, the rest its body."""
    return bool(data[:1] and data[0] & 1), data[1] if len(data) > 1 else 0, data[2:]


def seeds() -> Iterator[bytes]:
    """One body behind every tag of both sides, with a count that no body can hold."""
    for side, tags in ((0, frontend.DECODERS), (1, backend.DECODERS)):
        for tag in tags:
            yield bytes([side, tag])
            yield bytes([side, tag]) + b"a\0b\0\0\1\0\1\0\0\0\1x\0\1\0\1"
            yield bytes([side, tag]) + b"\x7f\xff\xff\xff" * 3


TARGET: Final = Target(cases, check, read, seeds)

if __name__ == "__main__":
    # Why here: begun and ended for each of millions of inputs, it takes memory itself.
    tracemalloc.start(1)
    fuzz(TARGET)
