"""What has been decided and not been sent yet, in one direction."""

from __future__ import annotations

from collections.abc import Iterable


class Outbox:
    """Bytes for one peer, in order; true while there are any.

    Why no list: nearly always it is one piece, which passes through as the object it is.
    """

    __slots__ = ("first", "others")

    def __init__(self) -> None:
        self.first: bytes | None = None
        self.others: list[bytes] | None = None

    def __bool__(self) -> bool:
        return self.first is not None

    def append(self, piece: bytes) -> None:
        """Behind all that waits."""
        if self.first is None:
            self.first = piece
        elif self.others is None:
            self.others = [piece]
        else:
            self.others.append(piece)

    def extend(self, pieces: Iterable[bytes]) -> None:
        """Behind all that waits, in this order."""
        for piece in pieces:
            self.append(piece)

    def take(self) -> bytes:
        """All of it, which is to be sent now."""
        first, others = self.first, self.others
        self.first = None
        if first is None:
            return b""
        if others is None:
            return first
        self.others = None
        return first + others[0] if len(others) == 1 else b"".join([first, *others])

    def clear(self) -> None:
        """Nothing of it is to be sent."""
        self.first = self.others = None
