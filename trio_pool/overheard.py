"""What a client says, read on the way past: which texts, and when it asks for a backend.

Used only where somebody wants to know (hooks, the adversarial mode); the relay reads for
itself. Takes chunks of any size. Query and Parse are collected whole, of a Bind only the names;
everything else is skipped by its length and never kept. A Close is looked at, too: of a name
it needs no backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from protocol.framing import HEADER_BYTES
from protocol.tags import FrontendTag

_COLLECTED: Final = (
    FrontendTag.QUERY,
    FrontendTag.PARSE,
    FrontendTag.BIND,
    FrontendTag.CLOSE,
)
# Messages that no backend is needed for.
_UNASKING: Final = (
    FrontendTag.COPY_DATA,
    FrontendTag.COPY_DONE,
    FrontendTag.COPY_FAIL,
    FrontendTag.FLUSH,
    FrontendTag.PASSWORD,
    FrontendTag.TERMINATE,
)
# Limit: two names of a Bind; those that matter are shorter (NAMEDATALEN).
_NAMES_BYTES: Final = 8_192


@attrs.frozen
class Said:
    """One message that a backend must answer. `text` is that of a Query or a Parse; `name` is
    the statement that a Parse or Bind names, empty for the unnamed one.
    """

    tag: int
    name: bytes = b""
    text: bytes | None = None


class Overheard:
    """One client's messages, chunk by chunk."""

    __slots__ = ("_kept", "_size", "_needed", "_skip")

    def __init__(self) -> None:
        # The beginning of a message, and how long what was kept must become to be looked at.
        self._kept: list[bytes] = []
        self._size = self._needed = 0
        self._skip = 0

    def hear(self, chunk: bytes) -> Iterator[Said]:
        """The messages that become known with `chunk`."""
        self._kept.append(chunk)
        self._size += len(chunk)
        if self._size < self._needed:
            return
        data = b"".join(self._kept)
        position = min(self._skip, len(data))
        self._skip -= position
        self._needed = HEADER_BYTES
        while position + HEADER_BYTES <= len(data):
            tag = data[position]
            length = int.from_bytes(data[position + 1 : position + HEADER_BYTES], "big")
            stop = position + 1 + max(length, 4)
            body_stop = stop if tag != FrontendTag.BIND else min(stop, position + _NAMES_BYTES)
            if tag in _COLLECTED and body_stop > len(data):
                self._needed = body_stop - position
                break
            body = data[position + HEADER_BYTES : body_stop]
            if tag not in _UNASKING and not (tag == FrontendTag.CLOSE and _names_one(body)):
                yield _said(tag, body)
            self._skip = max(0, stop - len(data))
            position = min(stop, len(data))
        self._kept = [data[position:]] if position < len(data) else []
        self._size = len(data) - position


def _names_one(closed: bytes) -> bool:
    return closed.startswith(b"S") and closed != b"S\0"


def _said(tag: int, body: bytes) -> Said:
    if tag == FrontendTag.QUERY:
        return Said(tag, text=body.removesuffix(b"\0"))
    if tag == FrontendTag.PARSE:
        name, _, rest = body.partition(b"\0")
        return Said(tag, name, rest.partition(b"\0")[0])
    if tag == FrontendTag.BIND:
        return Said(tag, body.partition(b"\0")[2].partition(b"\0")[0])
    return Said(tag)
