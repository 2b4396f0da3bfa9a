"""Custom settings (`app.user_id`): where a text names them, and which calls set anything.

PostgreSQL makes such a setting when it is first set in a session, locally, rolled back or not,
and never forgets its name again: from then on it is read as an empty text, where a session that
never set it reads NULL or is told 42704 (utils/misc/guc.c, add_placeholder_variable). No catalogue
lists these names, so they must be known from what clients say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Names = frozenset[bytes]
NO_NAMES: Final[Names] = frozenset()

_PART: Final = rb"[a-z_\x80-\xff][a-z0-9_$\x80-\xff]*"
_NAME: Final = rb"%b(?:\.%b)+" % (_PART, _PART)
_WHOLE: Final = re.compile(_NAME)
# Where SET has one, and where it is all that a constant of any kind or a quoted name is. Why two:
# so that neither search takes a step for what it finds.
_SET: Final = re.compile(
    rb"\b(?:set|session|local|reset)\s+(\"?%b\"?(?:\.\"?%b\"?)+)" % (_PART, _PART)
)
_QUOTED: Final = re.compile(rb"['\"$](%b)(?=['\"$])" % _NAME)


def names_in(text: bytes) -> Names:
    """What may be the names of custom settings in a text that sets something."""
    if b"." not in text:
        return NO_NAMES
    lowered = text.lower()
    names = set(_QUOTED.findall(lowered))
    if b"set" in lowered or b"session" in lowered or b"local" in lowered:
        names.update([name.replace(b'"', b"") for name in set(_SET.findall(lowered))])
    return frozenset(names)


def names_among(values: Iterable[bytes | None]) -> Names:
    """Which of these parameters may be names of custom settings."""
    return frozenset(
        value.lower() for value in values if value is not None and _WHOLE.fullmatch(value.lower())
    )


# A call of set_config that certainly ends with its transaction: plain arguments, then true. Why so
# strict: what is not recognised is only asked for.
_ARGUMENT: Final = rb"(?:'[^'\\]*'|\$\d+|[\w.]+)(?:\s*::\s*\w+)?"
_LOCAL_CALL: Final = re.compile(
    rb"\bset_config\s*\(\s*(%b)\s*,\s*%b\s*,\s*true\s*\)" % (_ARGUMENT, _ARGUMENT)
)

CALLS_MAX: Final = 1_000
"""Limit: a text that calls set_config more often may change any setting, for whatever time."""


def changes_settings(text: bytes) -> bool:
    """Whether an ordinary statement may change settings: by set_config, or through the view.

    Functions that call it in their bodies cannot be seen here.
    """
    lowered = text.lower()
    if b"pg_settings" in lowered:
        return True
    calls = lowered.count(b"set_config")
    if calls > CALLS_MAX:
        return True
    return calls > 0 and len(_LOCAL_CALL.findall(lowered)) != calls


# What local calls of set_config name: custom settings, and parameters that hold such names.
Local = tuple[Names, tuple[int, ...]]
NOTHING_LOCAL: Final[Local] = (NO_NAMES, ())


def set_locally(text: bytes) -> Local:
    """The custom settings that set_config sets for the transaction only, by name or parameter."""
    lowered = text.lower()
    if not 0 < lowered.count(b"set_config") <= CALLS_MAX:
        return NOTHING_LOCAL
    names: set[bytes] = set()
    parameters: list[int] = []
    for argument in _LOCAL_CALL.findall(lowered):
        plain = argument.partition(b"::")[0].strip()
        if plain.startswith(b"$"):
            parameters.append(int(plain[1:]))
        elif _WHOLE.fullmatch(plain.strip(b"'")):
            names.add(plain.strip(b"'"))
    return frozenset(names), tuple(parameters)


# The beginnings of conversations that set something before they can read anything.
_OPENING: Final = re.compile(
    rb"(?:begin(?:\s+transaction)?\s*;|start\s+transaction\s*;|\s)*"
    rb"(?:set\s+(?:session\s+|local\s+)?(?P<set>%b)\s*(?:=|to\b)"
    rb"|select\s+(?P<calls>(?:pg_catalog\.)?set_config\s*\(.*))" % _NAME,
    re.DOTALL,
)


def sets_first(names: Names, said: bytes) -> bool:
    """Whether a client that says this sets all of `names` before it can read any of them.

    `said` are its messages, of which the first counts. May answer False too often.
    """
    text = _first_text(said).lower()
    found = _OPENING.match(text)
    if found is None:
        return False
    if found.group("set") is not None:
        return names == {found.group("set")}
    return b"current_setting" not in text and names <= set_locally(text)[0] | names_in(text)


def _first_text(said: bytes) -> bytes:
    """The SQL of a Query or Parse at the beginning of `said`, or nothing."""
    start = 5
    if said.startswith(b"P"):
        start = said.find(b"\0", 5) + 1
    elif not said.startswith(b"Q"):
        return b""
    stop = said.find(b"\0", start)
    return said[start:stop] if 0 < start <= stop else b""
