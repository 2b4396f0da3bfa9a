"""Invariant: what PostgreSQL's own parser reads is what classification finds.

For every text that the parser of PostgreSQL (libpg_query, through pglast) accepts: there are as
many commands, in the same places, each of the same kind, about the same name or setting, with
the same facts (ALL, LOCAL, WITH HOLD, AND CHAIN, temporary, from stdin). A text of which
classification says that it is unsure may be anything.

    python -m fuzz.agreement FILE.sql ...     compares every statement of these files, once
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import pglast
from hypothesis import strategies as st
from pglast import ast, enums, parser

from fuzz.harness import Target, fuzz
from fuzz.sql import CORPUS, texts
from protocol.sql.classify import classify
from protocol.sql.command import Command, CommandKind

_CURSOR_OPT_HOLD: Final = 0x0020
_TRANSACTIONS: Final = {
    "BEGIN": CommandKind.BEGIN,
    "START": CommandKind.BEGIN,
    "COMMIT": CommandKind.COMMIT,
    "ROLLBACK": CommandKind.ROLLBACK,
    "SAVEPOINT": CommandKind.SAVEPOINT,
    "RELEASE": CommandKind.RELEASE,
    "ROLLBACK_TO": CommandKind.ROLLBACK_TO,
    "PREPARE": CommandKind.PREPARE_TRANSACTION,
    "COMMIT_PREPARED": CommandKind.COMMIT_PREPARED,
    "ROLLBACK_PREPARED": CommandKind.ROLLBACK_PREPARED,
}
_PLAIN: Final = {
    ast.CallStmt: CommandKind.CALL,
    ast.ConstraintsSetStmt: CommandKind.SET_CONSTRAINTS,
    ast.DoStmt: CommandKind.DO,
    ast.LoadStmt: CommandKind.LOAD,
    ast.LockStmt: CommandKind.LOCK,
}


@attrs.frozen
class Facts:
    """What both say of one statement; the defaults stand for a statement without such facts."""

    kind: CommandKind
    name: str | None = None
    all: bool = False
    setting: str | None = None
    local: bool = False
    hold: bool = False
    chain: bool = False
    temporary: bool = False
    within: str | None = None
    copies: str | None = None


def found_facts(command: Command) -> Facts:
    """What classification says."""
    return Facts(
        command.kind,
        None if command.name is None else command.name.decode(),
        command.all,
        None if command.setting is None else command.setting.decode(),
        command.local,
        command.hold,
        command.chain,
        command.temporary,
        command.within,
        command.copies,
    )


def true_facts(node: ast.Node | None, keyword: bytes) -> Facts:
    """What the parser says of a statement, which begins with `keyword`."""
    assert node is not None
    kind = _PLAIN.get(type(node))
    if kind is not None:
        return Facts(kind)
    match node:
        case ast.PrepareStmt():
            return Facts(CommandKind.PREPARE, node.name)
        case ast.ExecuteStmt():
            return Facts(CommandKind.EXECUTE, node.name)
        case ast.DeallocateStmt():
            return Facts(CommandKind.DEALLOCATE, node.name, all=node.name is None)
        case ast.DiscardStmt():
            return Facts(CommandKind.DISCARD, all=node.target == enums.DiscardMode.DISCARD_ALL)
        case ast.VariableSetStmt():
            return _setting(node)
        case ast.TransactionStmt():
            assert node.kind is not None
            kind = _TRANSACTIONS[enums.TransactionStmtKind(node.kind).name[11:]]
            return Facts(kind, node.savepoint_name, chain=bool(node.chain))
        case ast.ListenStmt():
            return Facts(CommandKind.LISTEN, node.conditionname)
        case ast.UnlistenStmt():
            return Facts(CommandKind.UNLISTEN, node.conditionname, all=node.conditionname is None)
        case ast.NotifyStmt():
            return Facts(CommandKind.NOTIFY, node.conditionname)
        case ast.DeclareCursorStmt():
            hold = bool((node.options or 0) & _CURSOR_OPT_HOLD)
            return Facts(CommandKind.DECLARE, node.portalname, hold=hold)
        case ast.ClosePortalStmt():
            return Facts(CommandKind.CLOSE, node.portalname, all=node.portalname is None)
        case ast.CopyStmt():
            return Facts(CommandKind.COPY, copies=_copies(node))
        case ast.ExplainStmt():
            return _explained(node)
    return _created(node, keyword)


def _setting(node: ast.VariableSetStmt) -> Facts:
    kinds = enums.VariableSetKind
    if node.kind == kinds.VAR_SET_MULTI:
        session = node.name == "SESSION CHARACTERISTICS"
        kind = CommandKind.SET_CHARACTERISTICS if session else CommandKind.SET_TRANSACTION
        return Facts(kind, local=bool(node.is_local))
    resets = node.kind in (kinds.VAR_RESET, kinds.VAR_RESET_ALL)
    kind = CommandKind.RESET if resets else CommandKind.SET
    # Why through bytes: a server that speaks UTF-8 folds nothing but ASCII.
    setting = None if node.name is None else node.name.encode().lower().decode()
    everything = node.kind == kinds.VAR_RESET_ALL
    return Facts(kind, all=everything, setting=setting, local=bool(node.is_local))


def _copies(node: ast.CopyStmt) -> str | None:
    if node.filename is not None:
        return None
    return "FROM STDIN" if node.is_from else "TO STDOUT"


def _explained(node: ast.ExplainStmt) -> Facts:
    inner = true_facts(node.query, b"CREATE")
    if inner.kind is CommandKind.EXECUTE:
        return attrs.evolve(inner, within="EXPLAIN")
    return Facts(CommandKind.EXPLAIN, temporary=inner.temporary)


def _created(node: ast.Node, keyword: bytes) -> Facts:
    made = _made(node)
    temporary = made is not None and made.relpersistence == "t"
    if isinstance(node, ast.CreateTableAsStmt) and isinstance(node.query, ast.ExecuteStmt):
        name = node.query.name
        return Facts(CommandKind.EXECUTE, name, temporary=temporary, within="CREATE TABLE AS")
    if keyword == b"CREATE":
        return Facts(CommandKind.CREATE, temporary=temporary)
    if temporary:
        return Facts(CommandKind.SELECT_INTO, temporary=True)
    return Facts(CommandKind.OTHER)


def _made(node: ast.Node) -> ast.RangeVar | None:
    """The relation that the statement creates; of a UNION, as its first SELECT says."""
    into: ast.IntoClause | None = None
    match node:
        case ast.CreateStmt():
            return node.relation
        case ast.ViewStmt():
            return node.view
        case ast.CreateSeqStmt():
            return node.sequence
        case ast.CreateTableAsStmt():
            into = node.into
        case ast.SelectStmt():
            while node.larg is not None:
                node = node.larg
            into = node.intoClause
    return None if into is None else into.rel


def check(text: bytes) -> bool:
    """Raise AssertionError if the two disagree; returns whether there was anything to compare."""
    try:
        read = text.decode()
        statements = pglast.parse_sql(read)
    except (UnicodeDecodeError, parser.ParseError):
        return False
    found = classify(text)
    if "\0" in read or found.unsure:
        return False
    assert len(found.commands) == len(statements), (text, found)
    for command, statement in zip(found.commands, statements, strict=True):
        expected = true_facts(statement.stmt, command.keyword)
        seen = found_facts(command)
        if b"pg_temp" in text.lower():
            # What lies in this schema is temporary, whatever the grammar says.
            seen = attrs.evolve(seen, temporary=expected.temporary)
        assert seen == expected, (text[command.start : command.stop], seen, expected)
    return True


def statements_in(text: str) -> Iterator[str]:
    """The statements of a script for psql, without its own commands and the data of its copies."""
    lines: list[str] = []
    copying = False
    for line in text.splitlines():
        if copying:
            copying = line != "\\."
        elif not line.startswith("\\"):
            lines.append(line)
            lowered = line.lower()
            copying = "copy " in lowered and "from stdin" in lowered and line.endswith(";")
    kept = "\n".join(lines)
    try:
        spans = parser.split(kept, with_parser=False, only_slices=True)
    except parser.ParseError:
        yield from kept.split(";\n")
        return
    for span in spans:
        yield kept[span]


def corpus() -> list[bytes]:
    """The statements of our own corpus."""
    files = sorted(CORPUS.glob("*.sql"))
    return [s.encode() for file in files for s in statements_in(file.read_text())]


_blanks = st.sampled_from([b" ", b"\n", b"/* c; */", b"--;\n", b";", b"; ;"])
_kept: Final = corpus()


# What may stand between two words.
_EDITS: Final = (
    *(b"", b"/* ; */", b"--x\n", b"\n", b"execute a", b"temp", b"into temp", b";", b"'", b"$$"),
    *(b"all", b"as", b"prepare", b"local", b"create", b"table", b"with", b"select 1", b"(", b")"),
    *(b"begin", b"end", b"begin atomic", b"to", b"hold", b"explain", b"pg_temp.x", b'"a"', b"e'"),
)


def _cut(statement: bytes, at: int, word: bytes) -> bytes:
    """A statement with something put between two of its words."""
    words = statement.split(b" ")
    at %= len(words) + 1
    return b" ".join([*words[:at], word, *words[at:]])


known = st.sampled_from(_kept) | st.builds(
    _cut,
    st.sampled_from(_kept),
    st.integers(0, 40),
    st.sampled_from(_EDITS),
)
scripts = st.lists(known, min_size=1, max_size=4).map(b";".join) | texts
"""Statements of the corpus, with more between their words, alone and several together."""


def read(data: bytes) -> bytes:
    """A text as it is behind an even byte; behind an odd one, edited statements of the corpus.

    Three bytes say which statement, between which of its words, and what is put there.
    """
    if not data or not data[0] & 1:
        return data[1:]
    edited = []
    for at in range(1, len(data) - 2, 3):
        statement = _kept[(data[at] << 1 | data[at + 1] & 1) % len(_kept)]
        edited.append(_cut(statement, data[at + 1] >> 1, _EDITS[data[at + 2] % len(_EDITS)]))
    return b";".join(edited)


def seeds() -> Iterator[bytes]:
    """The corpus, and some of it edited."""
    for statement in _kept:
        yield b"\0" + statement
    for number in range(0, 250, 10):
        yield bytes([1, number, number, number, number + 3, 0, 1])


TARGET: Final = Target(scripts, check, read, seeds)


def _compare_files(paths: list[str]) -> int:
    compared = passed_over = differ = 0
    for path in paths:
        for statement in statements_in(Path(path).read_text("utf-8", "replace")):
            try:
                agreed = check(statement.encode())
            except AssertionError as difference:
                differ += 1
                print(f"{path}: {difference}")
                continue
            compared += agreed
            passed_over += not agreed
    print(f"{compared} statements agree, {differ} differ, {passed_over} not for both")
    return 1 if differ else 0


if __name__ == "__main__":
    files = [argument for argument in sys.argv[1:] if argument.endswith(".sql")]
    if files:
        sys.exit(_compare_files(files))
    fuzz(TARGET)
