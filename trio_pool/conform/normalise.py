"""What may differ between two connections to PostgreSQL, each with its reason.

Everything not listed in ACCEPTED must be equal, in order, byte for byte.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_pool.conform.replies import Reply, field

CANCELLED: Final = "57014"
FIRST_USER_OID: Final = 16384
# What is wrong with a Bind, and with the text of its statement.
_OF_PARAMETERS: Final = ("08P01", "22P02")
_MISSES_SOMETHING: Final = ("42883", "42P01", "42703", "42704")
_PLACE_IN_SOURCE: Final = frozenset("FLR")


@attrs.frozen
class Accepted:
    """A difference that is not reported, and why."""

    what: str
    reason: str


ACCEPTED: Final = (
    Accepted(
        "when ParameterStatus comes, and how often",
        "a pooler may repeat a value in force; the values after each step are compared instead",
    ),
    Accepted(
        "file, line and routine (F, L, R) of errors and notices",
        "they belong to the server's build",
    ),
    Accepted(
        "the context (W) of a cancelled statement",
        "how far it had come is a matter of time",
    ),
    Accepted(
        "OIDs of user types",
        "a type made anew has a new OID, so they are numbered as they appear",
    ),
    Accepted("process numbers in notifications and keys", "no two connections share them"),
    Accepted(
        "25P02 where 08P01 was due",
        "in a failed transaction a statement cannot be prepared where it is missing, so a Bind is"
        " refused for that reason before anybody counts its parameters",
    ),
    Accepted(
        "42883, 42P01, 42703 or 42704 where 08P01 or 22P02 was due",
        "a statement that misses something under another search_path cannot be prepared where it is"
        " missing, so a Bind is refused for that before anybody looks at its parameters",
    ),
    Accepted(
        "a row description where there was none",
        "an EXECUTE that was parsed before its statement was prepared has no row description"
        " for ever; parsed again on another backend it gets one",
    ),
)


def normalised(replies: list[Reply]) -> tuple[Reply, ...]:
    """The replies without what may legally differ."""
    oids: dict[int, int] = {}
    return tuple(_normal(reply, oids) for reply in replies if reply[0] != "S")


def _normal(reply: Reply, oids: dict[int, int]) -> Reply:
    match reply[0]:
        case "E" | "N":
            cancelled = field(reply, "C") == CANCELLED
            return tuple(item for item in reply if not _varies(item, cancelled))
        case "t":
            return ("t", *(_known(oid, oids) for oid in reply[1:]))
        case "T":
            return ("T", *(_column(column, oids) for column in reply[1:]))
        case _:
            return reply


def _varies(item: object, cancelled: bool) -> bool:
    return isinstance(item, tuple) and (
        item[0] in _PLACE_IN_SOURCE or (cancelled and item[0] == "W")
    )


def _column(column: object, oids: dict[int, int]) -> object:
    assert isinstance(column, tuple)
    name, of_table, number, oid, *rest = column
    return (name, of_table, number, _known(oid, oids), *rest)


def _known(oid: object, oids: dict[int, int]) -> object:
    assert isinstance(oid, int)
    if oid < FIRST_USER_OID:
        return oid
    return f"user type {oids.setdefault(oid, len(oids))}"


def forgiving(expected: tuple[Reply, ...], seen: tuple[Reply, ...]) -> tuple[Reply, ...]:
    """`seen`, except where the difference is accepted and cannot be seen in one reply alone."""
    pairs = zip(expected, seen, strict=False)
    forgiven = [wanted if _cannot_be_helped(wanted, got) else got for wanted, got in pairs]
    return (*forgiven, *seen[len(expected) :])


def _cannot_be_helped(wanted: Reply, got: Reply) -> bool:
    if wanted == ("n",):
        return got[0] == "T"
    due, found = field(wanted, "C"), field(got, "C")
    return (
        due == "08P01" and found == "25P02" or due in _OF_PARAMETERS and found in _MISSES_SOMETHING
    )
