"""Where two traces of one script differ first, and what kind of difference that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from trio_pool.conform.normalise import forgiving
from trio_pool.conform.replies import CLOSED, SILENT, Reply, field, letters
from trio_pool.conform.script import FIND_OUT, Say, Script

Tables = dict[str, str | None]


@attrs.frozen
class Line:
    """What one step showed one client: its replies, then its settings as reported so far."""

    step: int
    client: int
    replies: tuple[Reply, ...]
    parameters: tuple[tuple[str, str], ...]


@attrs.frozen
class Seen:
    """What everyone saw, and what the tables held when all had gone."""

    trace: tuple[Line, ...]
    tables: Tables


@attrs.frozen
class Difference:
    """The first thing that was not as on direct connections.

    `what` is one of MESSAGES, SETTINGS, DATA and BYSTANDER; `wanted` and `got` are the replies, or
    what else it is about, one item each. `kind` is equal for differences of one cause, mostly.
    """

    script: Script
    step: int
    client: int
    what: str
    wanted: tuple[object, ...]
    got: tuple[object, ...]
    mode: str = ""

    @property
    def kind(self) -> str:
        """The first pair of replies that differ, by letters and SQLSTATE."""
        if self.what != MESSAGES:
            return self.what
        for wanted, got in _pairs(self.wanted, self.got):
            if wanted != got:
                return f"{_in_short(wanted)} became {_in_short(got)}"
        return self.what


MESSAGES: Final = "messages"
SETTINGS: Final = "reported settings"
DATA: Final = "data at the end"
BYSTANDER: Final = "another client"


def first_difference(script: Script, expected: Seen, seen: Seen) -> Difference | None:
    """The first difference that is not accepted; None when there is none."""
    for wanted, got in zip(expected.trace, seen.trace, strict=False):
        if forgiving(wanted.replies, got.replies) != wanted.replies:
            return _at(script, wanted, MESSAGES, wanted.replies, got.replies)
        if wanted.parameters != got.parameters:
            return _settings(script, wanted, got)
    if expected.tables != seen.tables:
        last = len(script.steps)
        wanted_rows, got_rows = _unlike(expected.tables, seen.tables)
        return Difference(script, last, 0, DATA, wanted_rows, got_rows)
    return None


def resolved(script: Script, direct: Seen) -> Script:
    """The script with every FIND_OUT replaced by what a direct connection said."""
    said = {line.step: line.replies for line in direct.trace}
    steps = tuple(
        attrs.evolve(step, until=_until(said.get(number, ())))
        if isinstance(step, Say) and step.until == FIND_OUT
        else step
        for number, step in enumerate(script.steps)
    )
    return attrs.evolve(script, steps=steps)


def never_ends(seen: Seen) -> bool:
    """Whether a step waited in vain: then the script is wrong, not a pooler."""
    return any(SILENT in line.replies for line in seen.trace)


def _until(replies: tuple[Reply, ...]) -> str:
    if CLOSED in replies:
        return "closed"
    return "Z" * sum(reply[0] == "Z" for reply in replies)


def _at(
    script: Script, line: Line, what: str, wanted: tuple[object, ...], got: tuple[object, ...]
) -> Difference:
    return Difference(script, line.step, line.client, what, wanted, got)


def _settings(script: Script, wanted: Line, got: Line) -> Difference:
    directly, through = dict(wanted.parameters), dict(got.parameters)
    return _at(script, wanted, SETTINGS, *_unlike(directly, through))


def _unlike(
    one: dict[str, str] | Tables, other: dict[str, str] | Tables
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return tuple((n, one.get(n)) for n in names), tuple((n, other.get(n)) for n in names)


def _pairs(wanted: tuple[object, ...], got: tuple[object, ...]) -> Iterator[tuple[object, object]]:
    for at in range(max(len(wanted), len(got))):
        yield wanted[at] if at < len(wanted) else (), got[at] if at < len(got) else ()


def _in_short(reply: object) -> str:
    if not isinstance(reply, tuple) or not reply:
        return "nothing"
    code = field(reply, "C") if reply[0] in ("E", "N") else None
    return letters([reply]) if code is None else f"{reply[0]} {code}"
