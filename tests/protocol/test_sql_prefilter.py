"""The prefilter may be too careful, never too careless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.sql import grammar
from protocol.sql.classify import classify
from protocol.sql.command import CommandKind
from protocol.sql.prefilter import (
    ORDINARY_KEYWORDS,
    ordinary,
    ordinary_script,
)

# What an ordinary text may be: nothing that makes, uses or drops a statement or a setting.
HARMLESS = frozenset(
    {
        *(CommandKind.OTHER, CommandKind.SELECT_INTO, CommandKind.LOCK, CommandKind.NOTIFY),
        *(CommandKind.BEGIN, CommandKind.COMMIT, CommandKind.ROLLBACK, CommandKind.SAVEPOINT),
        *(CommandKind.RELEASE, CommandKind.ROLLBACK_TO),
        *(CommandKind.COMMIT_PREPARED, CommandKind.ROLLBACK_PREPARED),
    }
)


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1",
        b"select 1;",
        b"select 1;\n",
        b"\n   Select 1",
        b"INSERT INTO t VALUES ($1, 'x')",
        b"update t set a = 1",
        b"BEGIN",
        b"begin;",
        b"COMMIT",
        b"END",
        b"end;",
        b"ROLLBACK",
        b"with x as (select 1) select * from x",
    ],
)
def test_the_usual_statements_are_ordinary(text: bytes) -> None:
    assert ordinary(text)


@pytest.mark.parametrize(
    "text",
    [
        b"select 1; execute a",
        b"select 1; ;",
        b"/* */ select 1",
        b"-- x\nselect 1",
        b"(select 1)",
        b"prepare a as select 1",
        b"PREPARE a AS SELECT 1",
        b" execute a",
        b"deallocate all",
        b"discard all",
        b"set a = 1",
        b"reset all",
        b"explain execute a",
        b"create table t as execute a",
        b"copy t from stdin",
        b"listen a",
        b"declare c cursor with hold for select 1",
        b"do $$ begin execute 'discard all'; end $$",
        b"call p()",
        b"load 'x'",
        b"",
    ],
)
def test_everything_else_is_looked_at(text: bytes) -> None:
    assert not ordinary(text)


def test_no_ordinary_opening_is_that_of_a_statement_that_matters() -> None:
    ordinary_words = {word.upper().decode() for word in ORDINARY_KEYWORDS}

    for keyword in grammar.RULES:
        if keyword not in ordinary_words:
            assert not ordinary(keyword.encode())
            assert not ordinary(keyword.lower().encode() + b" a")


def test_a_script_of_ordinary_statements_is_seen_as_one() -> None:
    rows = b"insert into t values (1, 'set; sail');\n"

    assert ordinary_script(rows * 1_000)
    assert ordinary_script(b"begin; update t set a = 1; commit")
    assert ordinary_script(b"select 1")
    for keyword in grammar.RULES:
        word = keyword.encode()
        if word.lower() not in ORDINARY_KEYWORDS:
            for between in (b"", b" ", b"\n", b"\r\v\f\t", b"/* */", b" /* */ ", b"-- x\n "):
                assert not ordinary_script(rows + between + word + b" a")
                assert not ordinary_script(rows + between + word.lower() + b"$$")


fragments = st.sampled_from(
    [word for word in ORDINARY_KEYWORDS]
    + [keyword.encode() for keyword in grammar.RULES]
    + [b" ", b";", b"\n", b"'", b'"', b"(", b")", b"/*", b"*/", b"--", b"$$", b"a", b"as", b"to"]
)


@given(
    st.lists(fragments, max_size=8).map(b" ".join) | st.lists(fragments, max_size=8).map(b"".join)
)
def test_an_ordinary_text_is_at_most_one_harmless_statement(text: bytes) -> None:
    if ordinary(text):
        found = classify(text)

        assert len(found.commands) <= 1
        assert all(command.kind in HARMLESS for command in found.commands)


@given(
    st.lists(fragments, max_size=12).map(b" ".join) | st.lists(fragments, max_size=12).map(b"".join)
)
def test_an_ordinary_script_holds_harmless_statements_only(text: bytes) -> None:
    if ordinary_script(text):
        assert all(command.kind in HARMLESS for command in classify(text).commands)
