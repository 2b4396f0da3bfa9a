"""Statements in their plainest spelling, found by one look each.

Why: clients send these by the thousand, and the grammar takes fifty times as long for each. What
is found here is what the grammar would find; whatever may mean something else (quoted names,
comments, DEFAULT, the words that begin something longer) is left for the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from protocol.sql.command import Command, CommandKind

_SPACE: Final = rb"[\x20\t\n\r\f\v]"
_WORD_ENDS: Final = rb"(?![A-Za-z0-9_$\x80-\xff&'\"])"
_PART: Final = rb"[a-z_][a-z0-9_]{0,62}"
_NAME: Final = rb"(?P<name>%b)%b" % (_PART, _WORD_ENDS)
_SETTING: Final = rb"(?P<setting>%b(?:\.%b)?)" % (_PART, _PART)
_EITHER: Final = rb"(?:%b*=| to(?=%b))" % (_SPACE, _SPACE)


def _form(pattern: bytes) -> re.Pattern[bytes]:
    """A blank stands for space of any kind."""
    return re.compile(pattern.replace(b" ", _SPACE + b"+"), re.IGNORECASE)


_EXECUTE: Final = _form(rb"execute %b" % _NAME)
_PREPARE: Final = _form(
    rb"prepare %b(?: |(?=\())(?P<types>\([a-z0-9_,\t\n\r\[\]\x20]*\)(?: |(?=as)))?"
    rb"as(?: (?=[a-z(])|(?=\())(?P<body>)" % _NAME
)
_DEALLOCATE: Final = _form(rb"deallocate (?:prepare )?(?!(?:all|prepare)\b)%b" % _NAME)
_DEALLOCATE_ALL: Final = _form(rb"deallocate (?:prepare )?all")
_SET: Final = _form(
    rb"set (?:session |(?P<local>local) )?(?!(?:to|authorization|characteristics)\b)%b%b%b*+"
    rb"(?!default)(?P<value>[a-z0-9'])" % (_SETTING, _EITHER, _SPACE)
)
_RESET: Final = _form(rb"reset (?!(?:all|time|session|transaction)\b)%b" % _SETTING)
_END: Final = _form(rb"[a-z]+(?: (?:work|transaction))?")
# Why to the end: what looks like a name may be the word before it.
_ROLLBACK_TO: Final = _form(rb"[a-z]+ (?:(?:work|transaction) )?to (?:savepoint )?%b\Z" % _NAME)
_RELEASE: Final = _form(rb"release (?:savepoint )?%b\Z" % _NAME)
_NAMED: Final = _form(rb"[a-z]+ %b" % _NAME)
_NAMED_BUT_ALL: Final = _form(rb"[a-z]+ (?!all\b)%b" % _NAME)
_DECLARE: Final = _form(
    rb"declare %b (?:(?:no )?scroll )?cursor (?:(?:(?P<hold>with)|without) hold )?for\b" % _NAME
)
# What makes nothing temporary, unless a name in it says so, and executes nothing by name.
_CREATE: Final = _form(
    rb"create (?:or replace )?(?:(?P<table>table)|access|aggregate|cast|collation|constraint"
    rb"|conversion|database|domain|event|extension|foreign|function|group|index|language"
    rb"|materialized|operator|policy|procedure|publication|role|rule|schema|sequence|server"
    rb"|statistics|subscription|tablespace|text|transform|trigger|type|unique|user|view)\b"
)

Finder = Callable[[bytes, int, int, bytes], Command | None]


def _named(kind: CommandKind, pattern: re.Pattern[bytes]) -> Finder:
    def find(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
        found = pattern.match(text, start, stop)
        if found is None:
            return None
        first, last = found.span("name")
        return Command(kind, start, stop, keyword, text[first:last].lower(), first, last)

    return find


def _whole(kind: CommandKind, pattern: re.Pattern[bytes], everything: bool = False) -> Finder:
    def find(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
        if pattern.fullmatch(text, start, stop) is None:
            return None
        return Command(kind, start, stop, keyword, all=everything)

    return find


def _always(kind: CommandKind) -> Finder:
    def find(text: bytes, start: int, stop: int, keyword: bytes) -> Command:
        return Command(kind, start, stop, keyword)

    return find


def _prepare(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    found = _PREPARE.match(text, start, stop)
    if found is None:
        return None
    first, last = found.span("name")
    types_start, types_stop = found.span("types") if found["types"] is not None else (0, 0)
    if types_stop:
        types_stop = text.rindex(b")", types_start, types_stop) + 1
    return Command(
        CommandKind.PREPARE,
        start,
        stop,
        keyword,
        text[first:last].lower(),
        first,
        last,
        types_start=types_start,
        types_stop=types_stop,
        body_start=found.start("body"),
        body_stop=stop,
    )


def _set(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    found = _SET.match(text, start, stop)
    if found is None:
        return None
    setting, value = found["setting"].lower(), text[found.start("value") : stop]
    local = found["local"] is not None
    return Command(CommandKind.SET, start, stop, keyword, setting=setting, value=value, local=local)


def _reset(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    found = _RESET.fullmatch(text, start, stop)
    if found is None:
        return None
    return Command(CommandKind.RESET, start, stop, keyword, setting=found["setting"].lower())


def _declare(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    found = _DECLARE.match(text, start, stop)
    if found is None:
        return None
    first, last = found.span("name")
    name, hold = text[first:last].lower(), found["hold"] is not None
    return Command(CommandKind.DECLARE, start, stop, keyword, name, first, last, hold=hold)


def _create(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    found = _CREATE.match(text, start, stop)
    lowered = text[start:stop].lower()
    # Why only a table: nothing else is made of what an EXECUTE returns.
    if found is None or b"pg_temp" in lowered or (found["table"] and b"execute" in lowered):
        return None
    return Command(CommandKind.CREATE, start, stop, keyword)


_ENDS_OR_GOES_BACK: Final = (
    _whole(CommandKind.ROLLBACK, _END),
    _named(CommandKind.ROLLBACK_TO, _ROLLBACK_TO),
)
# By the first word, in upper case.
_FINDERS: Final[dict[bytes, tuple[Finder, ...]]] = {
    b"ABORT": _ENDS_OR_GOES_BACK,
    b"BEGIN": (_always(CommandKind.BEGIN),),
    b"CALL": (_always(CommandKind.CALL),),
    b"CLOSE": (_named(CommandKind.CLOSE, _NAMED_BUT_ALL),),
    b"COMMIT": (_whole(CommandKind.COMMIT, _END),),
    b"CREATE": (_create,),
    b"DEALLOCATE": (
        _named(CommandKind.DEALLOCATE, _DEALLOCATE),
        _whole(CommandKind.DEALLOCATE, _DEALLOCATE_ALL, everything=True),
    ),
    b"DECLARE": (_declare,),
    b"DO": (_always(CommandKind.DO),),
    b"END": (_whole(CommandKind.COMMIT, _END),),
    b"EXECUTE": (_named(CommandKind.EXECUTE, _EXECUTE),),
    b"LISTEN": (_named(CommandKind.LISTEN, _NAMED),),
    b"LOAD": (_always(CommandKind.LOAD),),
    b"LOCK": (_always(CommandKind.LOCK),),
    b"NOTIFY": (_named(CommandKind.NOTIFY, _NAMED),),
    b"PREPARE": (_prepare,),
    b"RELEASE": (_named(CommandKind.RELEASE, _RELEASE),),
    b"RESET": (_reset,),
    b"ROLLBACK": _ENDS_OR_GOES_BACK,
    b"SAVEPOINT": (_named(CommandKind.SAVEPOINT, _NAMED),),
    b"SET": (_set,),
}


def plainly(text: bytes, start: int, stop: int, keyword: bytes) -> Command | None:
    """The command of the statement text[start:stop], whose first word is `keyword` in upper case.

    None where only the grammar can tell.
    """
    for find in _FINDERS.get(keyword, ()):
        if command := find(text, start, stop, keyword):
            return command
    return None
