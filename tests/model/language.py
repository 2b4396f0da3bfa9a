"""The few kinds of SQL that the model server understands, and how it refuses the rest.

Every text that a model server accepts means the same to a real server: scripts in this language
are played on both. It has no tables; what matters is which text was executed, so every select
says who it is.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final

import attrs


class Refused(Exception):
    """The server says no. `position` counts characters of the whole text from 1."""

    def __init__(
        self, sqlstate: str, message: str, position: int | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.position = position
        self.detail = detail


class Kind(enum.Enum):
    """What a command is; the values are CommandComplete tags where they never vary."""

    SELECT = "SELECT"
    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    PREPARE = "PREPARE"
    EXECUTE = "EXECUTE"
    DEALLOCATE = "DEALLOCATE"
    DEALLOCATE_ALL = "DEALLOCATE ALL"
    DISCARD_ALL = "DISCARD ALL"
    DISCARD_PLANS = "DISCARD PLANS"
    SET = "SET"
    SHOW = "SHOW"
    SET_CONFIG = "SELECT 1"
    COPY_IN = "COPY"
    COPY_OUT = "COPY TO"
    DECLARE = "DECLARE CURSOR"
    FETCH = "FETCH"
    CLOSE = "CLOSE CURSOR"
    CLOSE_ALL = "CLOSE CURSOR ALL"


@attrs.frozen
class Command:
    """One command of a text.

    `columns` are the result's, all of type `oid`, none without rows; `rows` are the values of its
    only column (None stands for the parameter). `name` is the statement it is about, or the
    setting; `body` what PREPARE prepares; `arguments` what EXECUTE gives, what SET sets, or the
    names and values of set_config in turn; `local` says that these end with the transaction.
    `trouble` is what analysis finds, `collapse` what planning finds.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    oid: int = 25
    rows: tuple[str | None, ...] = ()
    parameters: int = 0
    name: str = ""
    body: Command | None = None
    arguments: tuple[str, ...] = ()
    trouble: Refused | None = None
    collapse: Refused | None = None
    parameter_position: int = 0
    local: bool = False
    count: int = 0


# The only table there is, with one column of text. Nobody reads it.
TABLE: Final = "sink"
MAKE_TABLE: Final = f"create table if not exists {TABLE} (a text)"

DIVISION: Final = Refused("22012", "division by zero")
ENDS_TRANSACTION: Final = frozenset({Kind.COMMIT, Kind.ROLLBACK})

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<word>[a-z_][a-z0-9_]*)
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<string>'(?:[^']|'')*')
      | (?P<number>[0-9]+)
      | (?P<other>\$[0-9]+|::|[^\s])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@attrs.frozen
class _Token:
    kind: str
    text: str
    position: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


def read(text: str) -> list[Command]:
    """The commands of a text; raises Refused as the server's parser does, for the whole text."""
    commands: list[Command] = []
    tokens = _Tokens(list(_tokens(text)))
    while not tokens.done:
        if tokens.skip(";"):
            continue
        commands.append(_command(tokens))
        if not tokens.done and not tokens.skip(";"):
            raise tokens.unexpected()
    return commands


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            assert match.lastgroup is not None
            yield _Token(match.lastgroup, match.group(), match.start() + 1)


@attrs.define
class _Tokens:
    """The tokens still to be read."""

    tokens: list[_Token]
    _at: int = 0

    @property
    def done(self) -> bool:
        return self._at == len(self.tokens)

    def peek(self) -> _Token:
        return self.tokens[self._at] if not self.done else _Token("end", "", 0)

    def next(self) -> _Token:
        token = self.peek()
        self._at += 1
        return token

    def skip(self, text: str) -> bool:
        found = self.peek().text.lower() == text and self.peek().kind != "string"
        self._at += found
        return found

    def expect(self, text: str) -> None:
        if not self.skip(text):
            raise self.unexpected()

    def name(self) -> str:
        token = self.peek()
        if token.kind == "word" and token.word not in ("all", "select", "as"):
            self._at += 1
            return token.word
        if token.kind == "quoted":
            self._at += 1
            return token.text[1:-1].replace('""', '"')
        raise self.unexpected()

    def string(self) -> str:
        token = self.peek()
        if token.kind != "string":
            raise self.unexpected()
        self._at += 1
        return token.text[1:-1].replace("''", "'")

    def unexpected(self) -> Refused:
        token = self.peek()
        if token.kind == "end":
            last = self.tokens[-1]
            return Refused("42601", "syntax error at end of input", last.position + len(last.text))
        return Refused("42601", f'syntax error at or near "{token.text}"', token.position)


def _command(tokens: _Tokens) -> Command:
    word = tokens.peek().word
    match word:
        case "select":
            return _select(tokens)
        case "begin" | "commit" | "rollback":
            tokens.next()
            if word == "begin" and tokens.skip("isolation"):
                # The only modes that are ever said: how the pool begins when it restores settings.
                for other in ("level", "read", "committed", ",", "not", "deferrable"):
                    tokens.expect(other)
            return Command(Kind[word.upper()])
        case "prepare":
            return _prepare(tokens)
        case "execute":
            return _execute(tokens)
        case "deallocate":
            return _deallocate(tokens)
        case "discard":
            tokens.next()
            if tokens.skip("plans"):
                return Command(Kind.DISCARD_PLANS)
            tokens.expect("all")
            return Command(Kind.DISCARD_ALL)
        case "set":
            return _set(tokens)
        case "copy":
            return _copy(tokens)
        case "declare" | "fetch" | "close":
            return _about_cursor(tokens)
        case "show":
            tokens.next()
            name = tokens.name()
            return Command(Kind.SHOW, (name,), name=name)
    raise tokens.unexpected()


def _select(tokens: _Tokens) -> Command:
    tokens.expect("select")
    token = tokens.peek()
    if token.kind == "string":
        return Command(Kind.SELECT, ("?column?",), rows=(tokens.string(),))
    if tokens.skip("$1"):
        tokens.expect("::")
        tokens.expect("text")
        return Command(
            Kind.SELECT, ("text",), rows=(None,), parameters=1, parameter_position=token.position
        )
    if tokens.skip("1"):
        tokens.expect("/")
        tokens.expect("0")
        return Command(Kind.SELECT, ("?column?",), 23, collapse=DIVISION)
    if tokens.skip("generate_series"):
        for expected in ("(", "1", ",", "3", ")"):
            tokens.expect(expected)
        return Command(Kind.SELECT, ("generate_series",), 23, rows=("1", "2", "3"))
    if tokens.peek().word in ("pg_catalog", "set_config"):
        return _set_config(tokens)
    tokens.expect("*")
    tokens.expect("from")
    place = tokens.peek().position
    table = tokens.name()
    lost = Refused("42P01", f'relation "{table}" does not exist', place)
    return Command(Kind.SELECT, ("nothing",), trouble=lost)


def _prepare(tokens: _Tokens) -> Command:
    tokens.expect("prepare")
    name = tokens.name()
    if tokens.skip("("):
        tokens.expect("text")
        tokens.expect(")")
    tokens.expect("as")
    return Command(Kind.PREPARE, name=name, body=_select(tokens))


def _execute(tokens: _Tokens) -> Command:
    tokens.expect("execute")
    name = tokens.name()
    arguments: list[str] = []
    if tokens.skip("("):
        arguments.append(tokens.string())
        while tokens.skip(","):
            arguments.append(tokens.string())
        tokens.expect(")")
    return Command(Kind.EXECUTE, name=name, arguments=tuple(arguments))


def _deallocate(tokens: _Tokens) -> Command:
    tokens.expect("deallocate")
    tokens.skip("prepare")
    if tokens.skip("all"):
        return Command(Kind.DEALLOCATE_ALL)
    return Command(Kind.DEALLOCATE, name=tokens.name())


def _copy(tokens: _Tokens) -> Command:
    tokens.expect("copy")
    if tokens.skip("("):
        body = _select(tokens)
        for expected in (")", "to", "stdout"):
            tokens.expect(expected)
        return Command(Kind.COPY_OUT, body=body)
    table = tokens.name()
    tokens.expect("from")
    tokens.expect("stdin")
    missing = Refused("42P01", f'relation "{table}" does not exist')
    return Command(Kind.COPY_IN, collapse=None if table == TABLE else missing, name=table)


def _about_cursor(tokens: _Tokens) -> Command:
    word = tokens.next().word
    if word == "declare":
        name = tokens.name()
        tokens.expect("cursor")
        tokens.expect("for")
        return Command(Kind.DECLARE, name=name, body=_select(tokens))
    if word == "close":
        if tokens.skip("all"):
            return Command(Kind.CLOSE_ALL)
        return Command(Kind.CLOSE, name=tokens.name())
    count = int(tokens.next().text)
    tokens.expect("from")
    return Command(Kind.FETCH, name=tokens.name(), count=count)


def _set(tokens: _Tokens) -> Command:
    tokens.expect("set")
    tokens.skip("session")
    name = tokens.name()
    if not tokens.skip("="):
        tokens.expect("to")
    value = tokens.string() if tokens.peek().kind == "string" else tokens.next().text
    return Command(Kind.SET, name=name, arguments=(value,))


def _set_config(tokens: _Tokens) -> Command:
    arguments: list[str] = []
    local = False
    while not arguments or tokens.skip(","):
        if tokens.skip("pg_catalog"):
            tokens.expect(".")
        tokens.expect("set_config")
        tokens.expect("(")
        arguments.append(tokens.string())
        tokens.expect(",")
        arguments.append(tokens.string())
        tokens.expect(",")
        local = tokens.skip("true")
        if not local:
            tokens.expect("false")
        tokens.expect(")")
    columns = ("set_config",) * (len(arguments) // 2)
    return Command(Kind.SET_CONFIG, columns, arguments=tuple(arguments), local=local)
