"""Which texts certainly leave nothing behind in their session: the question asked of every text.

Words only; what they mean is found out elsewhere (pins, settings). May answer False too often,
never True wrongly for what words can show.

What a SELECT calls must be known as innocent (trio_pool.functions). Why SELECT only: other
statements have a name before most parentheses, and looking costs more there than it finds. Code
that says by its body what it leaves behind is found in all of them (trio_pool.watch).
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from protocol.sql.command import Classification, CommandKind
from protocol.sql.prefilter import ORDINARY_OPENINGS, ordinary, ordinary_script
from trio_pool.functions import CODE, MAKES_CODE, Functions
from trio_pool.relay.databases import databases_named
from trio_pool.shapes import DIGIT, SHAPE

# Everything that is in no name becomes a space; what stands for a digit stays.
_NAMES: Final = bytes(
    byte if chr(byte).isalnum() or chr(byte) in "_$" + DIGIT else ord(" ") for byte in range(256)
)
# Limit: what is looked at before a parenthesis; names are shorter (NAMEDATALEN).
_NAME_CHARACTERS: Final = 80
# What opens with these may be about a database (trio_pool.relay.databases).
_PLAIN_OPENINGS: Final = ORDINARY_OPENINGS - {"alte", "drop"}
# Limit: a text with more parentheses is not looked at any further; it may call anything.
PARENTHESES_MAX: Final = 4_000
_CALLERS: Final = ("s", "w", " ", "\n", "\t", "(", "/", "-")


def harmless(text: bytes, functions: Functions) -> bool:
    """True if `text` holds ordinary statements only, which neither set nor pin anything."""
    shape = text.translate(SHAPE)
    if functions.shapes.knows(shape):
        return True
    # Why str: looking for words in bytes is four times slower.
    seen = shape.decode("latin-1")
    plain = _plainly_ordinary(seen)
    if not plain and not _holds_ordinary(text, seen) or "temp" in seen or "pg_settings" in seen:
        return False
    pattern = functions.pattern
    # Why the parenthesis: most texts of most clients call no function at all.
    calls = "(" in seen
    if calls and _named_in(seen):
        return False
    if pattern is None and (not calls or _calls_plainly(seen, functions.innocent)):
        # The name of a database may be none because of its digits.
        if plain or "database" not in seen:
            functions.shapes.note(shape)
        return True
    # The digits in names matter from here on.
    lowered = text.lower().decode("latin-1")
    if pattern is not None and pattern.search(lowered) is not None:
        return False
    if calls and unknown_calls(text, functions.innocent):
        return False
    if DIGIT not in seen:
        functions.shapes.note(shape)
    return True


def _plainly_ordinary(seen: str) -> bool:
    """Whether it is one ordinary statement, as the first bytes and the last one tell."""
    if seen.startswith("select ") or seen[:4] in _PLAIN_OPENINGS:
        semicolon = seen.find(";")
        return semicolon < 0 or semicolon == len(seen) - 1
    return False


def _holds_ordinary(text: bytes, seen: str) -> bool:
    """The same of any other text; nothing in it may be about a database."""
    if not ordinary(text) and not ordinary_script(text):
        return False
    return "database" not in seen or not databases_named(text)


def _named_in(seen: str) -> bool:
    """Whether functions stand there that are noticed by their names alone."""
    return "set_config" in seen or "advisory_lock" in seen or "currval" in seen or "lastval" in seen


def _calls_plainly(seen: str, innocent: Container[str]) -> bool:
    """Whether a word of our list, or none, stands before every parenthesis, as it mostly does."""
    # Why only these: other statements have names before most of their parentheses.
    if not seen.startswith(_CALLERS):
        return True
    if seen.count("(") > PARENTHESES_MAX:
        return False
    for piece in seen.split("(")[:-1]:
        # Why the name second: mostly it stands there alone, which is seen faster.
        if piece.rstrip(" ").rpartition(" ")[2] not in innocent:
            name = _last_name(piece)
            if name and name not in innocent:
                return False
    return True


def _last_name(piece: str) -> str:
    end = piece[-_NAME_CHARACTERS:].encode("latin-1")
    return end.translate(_NAMES).rstrip(b" ").rpartition(b" ")[2].decode("latin-1")


def _called(lowered: str) -> list[str]:
    """The last word before every parenthesis; where there are too many, code of any kind.

    Why no pattern: a search for a name before a parenthesis looks at every name of the text,
    which takes ten times as long.
    """
    if lowered.count("(") > PARENTHESES_MAX:
        return [CODE]
    words = [_last_name(piece) for piece in lowered.split("(")[:-1]]
    return [word for word in words if word]


def _makes_code(found: Classification, text: bytes) -> bool:
    """Whether a text makes something that other statements may set off later."""
    return any(
        command.kind is CommandKind.CREATE
        and _names_code(text[command.start : command.stop].lower())
        for command in found.commands
    )


def _names_code(lowered: bytes) -> bool:
    """Whether what a CREATE makes may be code."""
    # Why the words first: a search for any of them looks at every byte.
    return (
        any(word in lowered for word in _KINDS_OF_CODE) and _CODE_WORDS.search(lowered) is not None
    )


_KINDS_OF_CODE: Final = (b"function", b"procedure", b"trigger", b"rule", b"policy", b"view")
_CODE_WORDS: Final = re.compile(rb"\b(?:%b)\b" % b"|".join(_KINDS_OF_CODE))


def code_in(found: Classification, text: bytes) -> tuple[str, ...]:
    """What the DO blocks and CALLs of a text call; a CREATE of code counts as a call, too.

    What is not understood may be any of them.
    """
    calls: set[str] = set()
    if found.unsure:
        calls.add(CODE)
    if b"create" in text.lower() if found.unsure else _makes_code(found, text):
        calls.add(MAKES_CODE)
    for command in found.commands:
        if command.kind is CommandKind.DO:
            calls.add(CODE)
        elif command.kind is CommandKind.CALL and CODE not in calls:
            lowered = text[command.start : command.stop].lower().decode("latin-1")
            calls.update(_called(lowered))
    return tuple(calls)


def unknown_calls(text: bytes, innocent: Container[str]) -> tuple[str, ...]:
    """What a SELECT calls of which nobody knows what it leaves behind."""
    lowered = text.lower().decode("latin-1")
    if not lowered.startswith(_CALLERS):
        return ()
    return tuple({name for name in _called(lowered) if name not in innocent})
