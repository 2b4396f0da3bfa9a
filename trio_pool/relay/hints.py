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

# Everything that is in no name becomes a space.
_NAMES: Final = str.maketrans(
    {chr(code): " " for code in range(256) if not (chr(code).isalnum() or chr(code) in "_$")}
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
    # Why str: looking for words in bytes is four times slower.
    lowered = text.lower().decode("latin-1")
    semicolon = lowered.find(";")
    opens = lowered.startswith("select ") or lowered[:4] in _PLAIN_OPENINGS
    if not opens or 0 <= semicolon < len(lowered) - 1:
        # Not plainly ordinary: look closer.
        if not ordinary(text) and not ordinary_script(text):
            return False
        if "database" in lowered and databases_named(text):
            return False
    if "temp" in lowered or "pg_settings" in lowered:
        return False
    pattern = functions.pattern
    if pattern is not None and pattern.search(lowered) is not None:
        return False
    # Why the parenthesis: most texts of most clients call no function at all.
    return "(" not in lowered or _calls_only(lowered, functions.innocent)


def _called(lowered: str) -> list[str]:
    """The last word before every parenthesis; where there are too many, code of any kind.

    Why no pattern: a search for a name before a parenthesis looks at every name of the text,
    which takes ten times as long.
    """
    if lowered.count("(") > PARENTHESES_MAX:
        return [CODE]
    words = [
        piece[-_NAME_CHARACTERS:].translate(_NAMES).rstrip().rpartition(" ")[2]
        for piece in lowered.split("(")[:-1]
    ]
    return [word for word in words if word]


def _calls_only(lowered: str, innocent: Container[str]) -> bool:
    if (
        "set_config" in lowered
        or "advisory_lock" in lowered
        or "currval" in lowered
        or "lastval" in lowered
    ):
        return False
    # Why only these: other statements have names before most of their parentheses.
    if not lowered.startswith(_CALLERS):
        return True
    if lowered.count("(") > PARENTHESES_MAX:
        return False
    for piece in lowered.split("(")[:-1]:
        # Mostly a plain word of our list stands there, which is found without more ado.
        if piece.rstrip(" ").rpartition(" ")[2] not in innocent:
            return all(name in innocent for name in _called(lowered))
    return True


def _makes_code(found: Classification, text: bytes) -> bool:
    """Whether a text makes something that other statements may set off later."""
    return any(
        command.kind is CommandKind.CREATE
        and _CODE_WORDS.search(text, command.start, command.stop) is not None
        for command in found.commands
    )


_CODE_WORDS: Final = re.compile(
    rb"\b(?:function|procedure|trigger|rule|policy|view)\b", re.IGNORECASE
)


def code_in(found: Classification, text: bytes) -> tuple[str, ...]:
    """What the DO blocks and CALLs of a text call; a CREATE of code counts as a call, too."""
    calls: set[str] = {MAKES_CODE} if _makes_code(found, text) else set()
    for command in found.commands:
        if command.kind is CommandKind.DO:
            calls.add(CODE)
        elif command.kind is CommandKind.CALL:
            lowered = text[command.start : command.stop].lower().decode("latin-1")
            calls.update(_called(lowered))
    return tuple(calls)


def unknown_calls(text: bytes, innocent: Container[str]) -> tuple[str, ...]:
    """What a SELECT calls of which nobody knows what it leaves behind."""
    lowered = text.lower().decode("latin-1")
    if not lowered.startswith(_CALLERS):
        return ()
    return tuple({name for name in _called(lowered) if name not in innocent})
