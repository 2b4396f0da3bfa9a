"""From a text to its commands: splitter, symbols and grammar put together.

`classify` is pure; `Classifier` remembers answers in a bounded number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from protocol.sql import grammar
from protocol.sql.command import Classification, Command, CommandKind
from protocol.sql.identifiers import identifier
from protocol.sql.lexer import tokens
from protocol.sql.plainly import plainly
from protocol.sql.reserved import may_name
from protocol.sql.split import names_statements, split
from protocol.sql.symbols import Symbols

_KEYWORD: Final = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9$]*")
_RULES: Final = {word.encode(): word for word in grammar.RULES}
_MAY_SELECT: Final = frozenset([b"SELECT", b"WITH", b"EXPLAIN", b"VALUES", b"TABLE", b""])

PARSED_MAX: Final = 50
"""Limit: a text with more statements that need the grammar is not looked at any further."""

PARSED_WITH_NAMES_MAX: Final = 1_000
"""The same for a text that speaks of prepared statements, whose names are the client's own."""

UNSURE_BYTES_MAX: Final = 65_536
"""Limit: a longer statement is not looked at any further where the text is unsure anyway."""

# What may follow INTO where something temporary is made. Why before anything else: to find the INTO
# that is no part of a string every token must be looked at.
_INTO_TEMPORARY: Final = re.compile(rb"into[ \t\n\r\f\v]*+(?:/\*|--|local|global|temp|\"?pg_temp)")
TOKENS_MAX: Final = 2_000
"""Limit: a SELECT that names INTO TEMP beyond so many tokens makes something temporary."""

Fact = int | str | bool | list[int]


def classify(text: bytes, standard_conforming_strings: bool = True) -> Classification:
    """The commands of a Query's or Parse's SQL, given without the NUL at its end. Never raises."""
    nul = text.find(0)
    if nul >= 0:
        # The server reads a text up to its first NUL.
        text = text[:nul]
    parts = split(text, standard_conforming_strings)
    lowered = text.lower()
    selects_into = b"temp" in lowered and _INTO_TEMPORARY.search(lowered) is not None
    most = PARSED_MAX
    parsed = 0
    commands: list[Command] = []
    unsure = parts.unsure
    for start, stop, count in parts.spans:
        command = _at_a_glance(text, start, stop, count, selects_into)
        if command is None:
            parsed += 1
            if parsed > most == PARSED_MAX and names_statements(text):
                most = PARSED_WITH_NAMES_MAX
            if parsed > most or (unsure and stop - start > UNSURE_BYTES_MAX):
                return Classification(tuple(commands), unsure=True)
            other = Command(CommandKind.OTHER, start, stop, _keyword(text, start, stop))
            found = _command(text, other, standard_conforming_strings)
            command = found or other
            unsure = unsure or found is None
        commands.append(command)
    return Classification(tuple(commands), unsure)


def _at_a_glance(
    text: bytes, start: int, stop: int, count: int, selects_into: bool
) -> Command | None:
    """The command of a statement that needs no grammar; None where that has to decide."""
    if count > 1:
        return Command(CommandKind.OTHER, start, stop, b"", count=count)
    keyword = _keyword(text, start, stop)
    if keyword in _RULES:
        return plainly(text, start, stop, keyword)
    if selects_into and keyword in _MAY_SELECT:
        return None
    return Command(CommandKind.OTHER, start, stop, keyword)


def _keyword(text: bytes, start: int, stop: int) -> bytes:
    word = _KEYWORD.match(text, start, stop)
    return word.group().upper() if word else b""


def _command(text: bytes, other: Command, conforming: bool) -> Command | None:
    """The command in the span of `other`; None if it does not follow its rule."""
    rule = _RULES.get(other.keyword)
    if rule is None:
        return _selection(text, other, conforming)
    symbols = Symbols(text, other.start, other.stop, conforming)
    facts = grammar.parse(rule, symbols.line)
    if facts is None:
        return None
    command = _with_facts(text, other, symbols, facts.as_dict())
    return command and _selection(text, command, conforming)


def _with_facts(
    text: bytes, other: Command, symbols: Symbols, facts: Mapping[str, Fact]
) -> Command | None:
    """The command that the facts describe; None if a name in it is not one."""
    kind = CommandKind(facts["kind"])
    discards = str(facts.get("discards", ""))
    command = attrs.evolve(
        other,
        kind=kind,
        all="all" in facts,
        local="local" in facts,
        hold="hold" in facts,
        chain="chain" in facts,
        temporary="temporary" in facts or _names_pg_temp(text, other, kind),
        within=_text_or_none(facts, "within"),
        copies=_text_or_none(facts, "copies"),
        discards=discards.encode(),
    )
    if isinstance(column := facts.get("name"), int):
        token = symbols.token(column)
        name = identifier(text, token)
        if name is None:
            return None
        command = attrs.evolve(command, name=name, name_start=token[1], name_stop=token[2])
    if kind is CommandKind.PREPARE:
        return _prepared(command, symbols, facts)
    if kind in (CommandKind.SET, CommandKind.RESET):
        return _setting(text, command, symbols, facts)
    return command


def _prepared(command: Command, symbols: Symbols, facts: Mapping[str, Fact]) -> Command:
    spans: dict[str, tuple[int, int]] = {"types": (0, 0), "body": (0, 0)}
    for label in spans:
        if isinstance(column := facts.get(label), int):
            _, start, stop = symbols.token(column)
            spans[label] = (start, stop)
    return attrs.evolve(
        command,
        types_start=spans["types"][0],
        types_stop=spans["types"][1],
        body_start=spans["body"][0],
        body_stop=command.stop,
    )


def _setting(
    text: bytes, command: Command, symbols: Symbols, facts: Mapping[str, Fact]
) -> Command | None:
    setting = _text_or_none(facts, "known_as")
    columns = facts.get("setting")
    value = None
    if isinstance(columns, list):
        names = [identifier(text, symbols.token(column)) for column in columns]
        if None in names:
            return None
        # Why lower case: settings are found whatever the case, even in double quotes.
        setting = b".".join(name or b"" for name in names).lower().decode("latin-1")
    if isinstance(column := facts.get("value"), int):
        value = text[symbols.token(column)[1] : command.stop]
    encoded = None if setting is None else setting.encode("latin-1")
    return attrs.evolve(command, setting=encoded, value=value)


def _text_or_none(facts: Mapping[str, Fact], label: str) -> str | None:
    fact = facts.get(label)
    return fact if isinstance(fact, str) else None


def _names_pg_temp(text: bytes, command: Command, kind: CommandKind) -> bool:
    return kind is CommandKind.CREATE and b"pg_temp" in text[command.start : command.stop].lower()


def _selection(text: bytes, command: Command, conforming: bool) -> Command:
    """The same command, unless it is a SELECT ... INTO TEMP."""
    if command.keyword not in _MAY_SELECT or command.temporary:
        return command
    lowered = text[command.start : command.stop].lower()
    if b"temp" not in lowered or _INTO_TEMPORARY.search(lowered) is None:
        return command
    if not _selects_into_temporary(text, command, conforming):
        return command
    kind = CommandKind.EXPLAIN if command.keyword == b"EXPLAIN" else CommandKind.SELECT_INTO
    return attrs.evolve(command, kind=kind, temporary=True)


def _selects_into_temporary(text: bytes, command: Command, conforming: bool) -> bool:
    target: list[bytes] | None = None
    source = tokens(text, command.start, command.stop, conforming)
    for count, (_, start, stop) in enumerate(source):
        if count == TOKENS_MAX:
            return True
        word = text[start:stop].lower()
        if target is not None and len(target) < 3:
            target.append(word)
        if word == b"into":
            if target is not None and _is_temporary(target):
                break
            target = []
    return target is not None and _is_temporary(target)


def _is_temporary(words: list[bytes]) -> bool:
    """Whether what stands behind INTO says so: TEMP alone is the name of a table."""
    if words and words[0].strip(b'"').startswith(b"pg_temp"):
        return True
    if words and words[0] in (b"local", b"global"):
        words = words[1:]
    if len(words) < 2 or words[0] not in (b"temp", b"temporary"):
        return False
    return words[1] == b"table" or (may_name(words[1]) and words[1][:1] not in _MARKS)


# What no name begins with.
_MARKS: Final = frozenset([bytes([mark]) for mark in b"0123456789'$()[].,;:+-*/<>=~!@#%^&|`?"])


class Classifier:
    """Answers of `classify`, the least recently used forgotten beyond `bytes_max`."""

    __slots__ = ("_answers", "_bytes", "bytes_max")

    # Limit: what an entry and a command cost beyond the text, roughly (64-bit CPython 3.11).
    ENTRY_BYTES: Final = 300
    COMMAND_BYTES: Final = 400

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._bytes = 0
        self._answers: dict[tuple[bytes, bool], Classification] = {}

    @property
    def bytes_used(self) -> int:
        """What the remembered answers cost, roughly; never more than `bytes_max`."""
        return self._bytes

    def classify(self, text: bytes, standard_conforming_strings: bool = True) -> Classification:
        """The same as `classify`, possibly from memory."""
        key = (text, standard_conforming_strings)
        answer = self._answers.pop(key, None)
        if answer is None:
            answer = classify(text, standard_conforming_strings)
            cost = self._cost(text, answer)
            if cost > self.bytes_max // 4:
                return answer
            self._bytes += cost
            self._forget_beyond_limit()
        self._answers[key] = answer
        return answer

    def _forget_beyond_limit(self) -> None:
        while self._bytes > self.bytes_max:
            key = next(iter(self._answers))
            self._bytes -= self._cost(key[0], self._answers.pop(key))

    def _cost(self, text: bytes, answer: Classification) -> int:
        return self.ENTRY_BYTES + len(text) + self.COMMAND_BYTES * len(answer.commands)
