"""Texts found harmless lately, known again by their shape: only the case and the digits differ.

Clients send the same texts again and again, with other numbers in them. Whoever notes a shape
vouches for every text that has it.
"""

from __future__ import annotations

from typing import Final

# Why NUL for a digit: no server reads a text any further than to its first NUL, and no name that
# somebody has learned holds one.
DIGIT: Final = "\0"
SHAPE: Final = bytes(range(256)).lower().translate(bytes.maketrans(b"0123456789", bytes(10)))
"""For `bytes.translate`: the shape of a text, which is in lower case."""


class Shapes:
    """What one pool remembers; nothing is looked for where texts have ever other shapes."""

    __slots__ = ("_known", "_patience")

    # Limits: of what is remembered.
    COUNT_MAX: Final = 1024
    BYTES_MAX: Final = 2048
    # So many texts in a row that nobody knew, and so many are not looked for then.
    PATIENCE: Final = 256
    REST: Final = 4096

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        # Below zero: at rest.
        self._patience = self.PATIENCE

    def knows(self, shape: bytes) -> bool:
        """Whether `note` was told of it. May say False of what it knows."""
        if self._patience <= 0:
            self._patience -= 1
            if self._patience < -self.REST:
                self._patience = self.PATIENCE
            return False
        if len(shape) > self.BYTES_MAX:
            return False
        if shape in self._known:
            self._patience = self.PATIENCE
            return True
        self._patience -= 1
        return False

    def note(self, shape: bytes) -> None:
        """Every text of this shape is harmless."""
        if self._patience <= 0 or len(shape) > self.BYTES_MAX:
            return
        if len(self._known) >= self.COUNT_MAX:
            self._known.clear()
        self._known.add(shape)

    def clear(self) -> None:
        """What was noted may not be so any more."""
        self._known.clear()
