"""The one error that a configuration can raise.

A message for a person at a terminal: where, what is wrong, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class ConfigError(Exception):
    """The configuration cannot be used.

    `path` and `line` (counted from 1) say where, when there is a file; `hint` is the next
    step. `str()` gives all of it on one or two lines. Secrets are never part of it.
    """

    def __init__(
        self,
        message: str,
        path: Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.hint = hint

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text

    def at(self, path: Path, line: int) -> ConfigError:
        """The same complaint with its place; a place already known is kept."""
        if self.path is not None:
            return self
        return ConfigError(self.message, path, line, self.hint)


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """A hint that names the valid word most like this one, or None when nothing is near."""
    close = difflib.get_close_matches(word.lower(), list(valid), n=1)
    return f"did you mean {close[0]!r}?" if close else None
