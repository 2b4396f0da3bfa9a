"""`key=value key='other value'`: the strings of [databases], [users] and [peers].

Looks like libpq's connection string and is not: a quote inside quotes is doubled, a backslash
means nothing, an unquoted value ends at a blank, and no value is empty (PgBouncer,
src/loader.c). A complaint says the column, never the text: it may be a password.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import pyparsing

from trio_pool.config.errors import ConfigError, nearest
from trio_pool.config.kinds import Kind

T = TypeVar("T")


def _grammar() -> pyparsing.ParserElement:
    key = pyparsing.Regex(r"[^\s='\"]+").set_name("a key")
    quoted = pyparsing.Regex(r"'(?:[^']|'')+'(?!')")
    quoted.set_parse_action(lambda found: str(found[0])[1:-1].replace("''", "'"))
    bare = pyparsing.Regex(r"[^\s']\S*")
    value = (quoted | bare).set_name("a value")
    pair = pyparsing.Group(key - pyparsing.Suppress("=") - value)
    return pyparsing.ZeroOrMore(pair) + pyparsing.StringEnd()


_PAIRS = _grammar()


class Pairs:
    """The pairs of one string, read by kind. Keys outside `valid` are refused."""

    def __init__(self, text: str, valid: Collection[str]) -> None:
        self._texts = _split(text)
        for key in self._texts:
            if key not in valid:
                raise ConfigError(f"unknown key {key!r}", hint=_hint(key, valid))

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def text(self, key: str) -> str | None:
        """The value as written, or None when the key is absent."""
        return self._texts.get(key)

    def get(self, key: str, kind: Kind[T]) -> T | None:
        """The value as `kind` reads it, or None when absent. Raises ConfigError."""
        text = self._texts.get(key)
        return None if text is None else kind.parse(key, text)


def _split(text: str) -> dict[str, str]:
    try:
        found = _PAIRS.parse_string(text)
    except pyparsing.ParseBaseException as error:
        raise ConfigError(
            f"column {error.column} of the value: {error.msg[:1].lower()}{error.msg[1:]}",
            hint="write key=value pairs; quote a value that has blanks: 'it''s'",
        ) from None
    texts: dict[str, str] = {}
    for key, value in found:
        texts[key] = value
    return texts


def _hint(key: str, valid: Collection[str]) -> str:
    return nearest(key, valid) or f"the keys are {', '.join(sorted(valid))}"
