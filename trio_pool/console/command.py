"""The commands of an SQL text, as the console understands them.

PgBouncer's grammar and more: any number of statements, comments, quoting as in SQL. A word
keeps its case: names of databases are compared as written. What is not understood becomes a
Command all the same, of verb INVALID, so that what stands before it is still carried out.
"""

from __future__ import annotations

from typing import Final

import attrs

from protocol.sql.lexer import TokenKind, tokens
from protocol.sql.split import split

INVALID: Final = "INVALID"
# Verb -> how many arguments it takes, at least and at most.
VERBS: Final = {
    "DISABLE": (0, 1),
    "ENABLE": (0, 1),
    "KILL": (0, 1),
    "KILL_CLIENT": (0, 1),
    "PAUSE": (0, 1),
    "RECONNECT": (0, 1),
    "RELOAD": (0, 0),
    "RESUME": (0, 1),
    "SHOW": (1, 1),
    "SHUTDOWN": (0, 1),
    "SUSPEND": (0, 0),
    "WAIT_CLOSE": (0, 1),
}
_SHUTDOWNS: Final = ("", "WAIT_FOR_SERVERS", "WAIT_FOR_CLIENTS")


@attrs.frozen
class Command:
    """One command: `argument` is a database, a table, a key or empty; `value` is SET's."""

    verb: str
    argument: str = ""
    value: str = ""
    text: str = ""


def commands(text: bytes) -> list[Command]:
    """The commands of a text, in order; none for blanks and comments."""
    return [_command(text[start:stop]) for start, stop, _ in split(text).spans]


def _command(text: bytes) -> Command:
    said = text.decode("utf-8", "replace")
    words = _words(text)
    invalid = Command(INVALID, text=said)
    if not words:
        return invalid
    verb = words[0].upper()
    if verb == "SET":
        return _set(words[1:], said) or invalid
    if verb == "SELECT":
        # PgBouncer takes SELECT for SHOW; what else is selected, drivers do.
        verb = "SHOW"
    low, high = VERBS.get(verb, (1, 0))
    arguments = words[1:]
    if not low <= len(arguments) <= high:
        return invalid
    argument = arguments[0] if arguments else ""
    if verb == "SHUTDOWN":
        argument = argument.upper()
        if argument not in _SHUTDOWNS:
            return invalid
    return Command(verb, argument, text=said)


def _set(words: list[str], said: str) -> Command | None:
    """SET [SESSION] key = value, or TO; a value of several words or with commas is one text."""
    if words and words[0].upper() in ("SESSION", "LOCAL"):
        words = words[1:]
    if len(words) < 2 or words[1].upper() not in ("=", "TO"):
        return None
    value = "".join(words[2:]) if "," in words else " ".join(words[2:])
    return Command("SET", words[0], value, said)


def _words(text: bytes) -> list[str]:
    """The tokens, without their quotes; an empty list when there is one that ends nowhere."""
    found = []
    for kind, start, stop in tokens(text):
        if kind in (TokenKind.UNTERMINATED, TokenKind.JUNK):
            return []
        found.append(_plain(kind, text[start:stop].decode("utf-8", "replace")))
    return found


def _plain(kind: TokenKind, token: str) -> str:
    if kind is TokenKind.QUOTED:
        return token[1:-1].replace('""', '"')
    if kind is TokenKind.STRING and token.startswith("'"):
        return token[1:-1].replace("''", "'")
    return token
