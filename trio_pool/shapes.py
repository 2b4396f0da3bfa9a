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

    __slots__ = ("_known", "_lately", "_patience")

    # Limits: of what is remembered.
    COUNT_MAX: Final = 1024
    BYTES_MAX: Final = 2048
    # So many texts in a row that nobody knew, and so many are not looked for then.
    PATIENCE: Final = 256
    REST: Final = 4096

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        # The last one of each length. Why: compiled, to compare two takes a fifth of what it takes
        # to look one up in a set.
        self._lately: list[bytes] = [b""] * (self.BYTES_MAX + 1)
        # Below zero: at rest.
        self._patience = self.PATIENCE

    def knows(self, shape: bytes) -> bool:
        """Whether `note` was told of it. May say False of what it knows."""
        if self._patience <= 0:
            self._patience -= 1
            if self._patience < -self.REST:
                self._patience = self.PATIENCE
            return False
        size = len(shape)
        if size == 0 or size > self.BYTES_MAX:
            return False
        if self._lately[size] == shape:
            self._patience = self.PATIENCE
            return True
        if shape in self._known:
            self._patience = self.PATIENCE
            self._lately[size] = shape
            return True
        self._patience -= 1
        return False

    def note(self, shape: bytes) -> None:
        """Every text of this shape is harmless."""
        if self._patience <= 0 or not 0 < len(shape) <= self.BYTES_MAX:
            return
        if len(self._known) >= self.COUNT_MAX:
            self.clear()
        self._known.add(shape)
        self._lately[len(shape)] = shape

    def clear(self) -> None:
        """What was noted may not be so any more."""
        self._known.clear()
        self._lately = [b""] * (self.BYTES_MAX + 1)
