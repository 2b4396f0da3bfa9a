"""Random scripts about everything a client can do with tables, settings, cursors and COPY.

They extend `random_scripts`, whose language a model understands, by what only a server does.
Data is changed by client 0 alone, so that the order of steps is the order of changes. Each script
has a vocabulary of its own, a few of all the texts: what it says then is about the same things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from trio_pool.conform.random_scripts import (
    COPY_NAME,
    INDIRECT_NAME,
    NAMES,
    Choices,
    T,
    extended,
    segment_data,
    texts_of_a_query,
)
from trio_pool.conform.random_texts import (
    CHANGES,
    CONTROL,
    COPIED_LINES,
    LOGINS,
    READS,
    ROWS_OF_MANY,
    SETS,
    WITH_PARAMETERS,
    Parametrised,
)
from trio_pool.conform.script import FIND_OUT, Join, Say, Script, Step
from trio_pool.conform.words import (
    COPY_DONE,
    FLUSH,
    SYNC,
    bind,
    bind_binary,
    close,
    close_portal,
    copy_fail,
    data,
    describe,
    describe_portal,
    execute,
    once,
    parse,
    query,
)
from trio_pool.conform.words import run as use

_VOCABULARY_MAX: Final = 6
_LOGIN_IN: Final = 8
# Why not the unnamed one: what a failed COPY leaves under no name in a block, and another story
# may be about just that, ends a PostgreSQL 15 when it is executed (signal 11).
_PORTALS: Final = ("p", "q")


@attrs.frozen
class Speaker:
    """Who chooses, and the texts that he may use in this script."""

    choices: Choices
    texts: Sequence[str]
    parametrised: Sequence[Parametrised]

    def text(self) -> str:
        return self.choices.choice(self.texts)


def random_script(choices: Choices, clients: int, length: int = 8) -> Script:
    """A script of up to `clients` clients, each step of which ends at ReadyForQuery."""
    first = _speaker(choices, (READS, SETS, CONTROL, CHANGES, CHANGES))
    others = _speaker(choices, (READS, SETS, CONTROL))
    stories = _stories(first)
    stories += [_others_step(others, client) for client in range(1, clients)]
    steps: list[Step] = []
    if choices.randint(1, _LOGIN_IN) == 1:
        steps.append(Join(0, choices.choice(LOGINS)))
    while stories and len(steps) < length:
        story = choices.choice(stories)
        steps.append(story.pop(0))
        if not story:
            stories.remove(story)
    return Script("a random script", tuple(steps))


def _speaker(choices: Choices, kinds: Sequence[Sequence[str]]) -> Speaker:
    texts: list[str] = []
    for kind in some(choices, kinds):
        texts += some(choices, kind)
    return Speaker(choices, texts, some(choices, WITH_PARAMETERS))


def some(choices: Choices, options: Sequence[T]) -> list[T]:
    """A few of these, at least one; some are taken twice and weigh more."""
    return [choices.choice(options) for _ in range(choices.randint(1, _VOCABULARY_MAX))]


def _stories(speaker: Speaker) -> list[list[Step]]:
    """What client 0 does; each story keeps its order, and others come between."""
    count = speaker.choices.randint(1, 3)
    return [speaker.choices.choice(_STORIES)(speaker) for _ in range(count)]


def _others_step(speaker: Speaker, client: int) -> list[Step]:
    make: tuple[Make, ...] = (_model, _several, _query, _prepared)
    count = speaker.choices.randint(1, 3)
    return [say(speaker.choices.choice(make)(speaker), client) for _ in range(count)]


def _anything(speaker: Speaker) -> list[Step]:
    count = speaker.choices.randint(1, 4)
    return [say(speaker.choices.choice(_MAKES)(speaker)) for _ in range(count)]


def _block(speaker: Speaker) -> list[Step]:
    """A transaction block, in as many steps as there are things in it."""
    begin, end = speaker.choices.choice(_BLOCKS)
    return [say(query(begin)), *_anything(speaker), say(query(end))]


def _portal_walk(speaker: Speaker) -> list[Step]:
    """A portal that is fetched from piece by piece, across Syncs in a block."""
    choices = speaker.choices
    portal = choices.choice(_PORTALS)
    text = choices.choice(ROWS_OF_MANY)
    opened = parse("", text) + bind("", portal=portal) + execute(choices.randint(1, 2), portal)
    steps = [say(query("begin")), say(opened + SYNC)]
    for _ in range(choices.randint(1, 4)):
        more = choices.choice(
            (
                execute(choices.randint(0, 2), portal),
                describe_portal(portal) + execute(1, portal),
                execute(1, portal) + FLUSH + execute(1, portal),
                close_portal(portal),
                parse("", speaker.text()),
            )
        )
        steps.append(say(more + SYNC))
    return [*steps, say(query(choices.choice(("commit", "rollback"))))]


def _one_text_again_and_again(speaker: Speaker) -> list[Step]:
    """A statement prepared once and used many times, with something else between."""
    text = speaker.choices.choice(speaker.parametrised)
    name = speaker.choices.choice(NAMES)
    steps: list[Step] = [say(_parsed(speaker, name, text) + describe(name) + SYNC)]
    for _ in range(speaker.choices.randint(1, 4)):
        steps.append(say(_used(speaker, name, text) + SYNC))
    return steps


def say(said: bytes, client: int = 0) -> Say:
    """Client `client` says this and waits for every answer."""
    return Say(client, said, ends(said))


def _parsed(speaker: Speaker, name: str, text: Parametrised) -> bytes:
    return parse(name, text.text, *speaker.choices.choice(text.types))


def _used(speaker: Speaker, name: str, text: Parametrised) -> bytes:
    values = speaker.choices.choice(text.values)
    rows = speaker.choices.choice((0, 0, 1))
    if speaker.choices.randint(0, 2) == 0:
        # Binary results of textual parameters.
        given = [b"" if value is None else value.encode() for value in values]
        return bind_binary(name, (0,), *given) + execute(rows)
    described = describe_portal() if speaker.choices.randint(0, 1) else b""
    return bind(name, *values) + described + execute(rows)


def _parametrised(speaker: Speaker) -> bytes:
    text = speaker.choices.choice(speaker.parametrised)
    name = speaker.choices.choice(NAMES)
    return _parsed(speaker, name, text) + _used(speaker, name, text) + SYNC


def _prepared(speaker: Speaker) -> bytes:
    text = speaker.text()
    # Why: a statement that executed itself would never end.
    indirect = text.startswith(("prepare", "execute", "deallocate"))
    name = INDIRECT_NAME if indirect else speaker.choices.choice(NAMES)
    return parse(name, text) + describe(name) + use(name) + SYNC


def _several(speaker: Speaker) -> bytes:
    count = speaker.choices.randint(1, 3)
    return b"".join(once(speaker.text()) for _ in range(count)) + SYNC


def _query(speaker: Speaker) -> bytes:
    return texts_of_a_query(speaker.choices, speaker.texts)


def _mixed(speaker: Speaker) -> bytes:
    """A pipeline of both languages, and what no Sync has ended before a Query."""
    parts = extended(speaker.choices) + _several(speaker)
    return parts if speaker.choices.randint(0, 1) else parts + once(speaker.text()) + SYNC


def _copied(speaker: Speaker) -> bytes:
    choices = speaker.choices
    lines = [data(choices.choice(COPIED_LINES)) for _ in range(choices.randint(0, 3))]
    end = COPY_DONE if choices.randint(0, 1) else copy_fail("no")
    text = choices.choice(("copy u from stdin", "copy u (a) from stdin (format csv)"))
    sent = b"".join(lines) + end
    if choices.randint(0, 1):
        return query(text) + sent
    name = COPY_NAME
    prepared = close(name) + close_portal(name) + parse(name, text)
    return prepared + bind(name, portal=name) + execute(portal=name) + sent + SYNC


def _model(speaker: Speaker) -> bytes:
    return segment_data(speaker.choices)


Make = Callable[[Speaker], bytes]
_MAKES: Final[tuple[Make, ...]] = (
    _model,
    _model,
    _prepared,
    _several,
    _query,
    _query,
    _parametrised,
    _mixed,
    _copied,
)
_STORIES: Final = (_anything, _anything, _block, _portal_walk, _one_text_again_and_again)
_BLOCKS: Final = (
    ("begin", "commit"),
    ("begin", "rollback"),
    ("begin read only", "commit"),
    ("begin isolation level serializable", "commit and chain"),
    ("start transaction isolation level repeatable read", "end"),
    ("begin; savepoint s", "rollback to s; commit"),
)


def ends(said: bytes) -> str:
    """How many ReadyForQuery a segment brings, as far as its messages tell."""
    kinds = [chr(message[0]) for message in messages_in(said)]
    if len(kinds) > 1 and {"Q", "d", "c", "f"} & set(kinds):
        # An error may swallow a Query, and COPY a Sync.
        return FIND_OUT
    return "Z" * max(1, kinds.count("S"))


def messages_in(said: bytes) -> list[bytes]:
    """The frontend messages that a client's bytes are."""
    found: list[bytes] = []
    at = 0
    while at < len(said):
        stop = at + 1 + int.from_bytes(said[at + 1 : at + 5], "big")
        found.append(said[at:stop])
        at = stop
    return found
