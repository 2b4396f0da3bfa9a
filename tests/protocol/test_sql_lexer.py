"""Tokens and statements: the corners of PostgreSQL's lexer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocol.sql.lexer import TokenKind, tokens
from protocol.sql.split import STATEMENTS_MAX, split


def pieces(text: bytes, conforming: bool = True) -> list[bytes]:
    return [text[start:stop] for _, start, stop in tokens(text, conforming=conforming)]


def statements(text: bytes, conforming: bool = True) -> list[bytes]:
    found = split(text, conforming)
    assert not found.unsure
    return [text[start:stop] for start, stop, _ in found.spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a b", [b"a", b"b"]),
        (b"'a''b'", [b"'a''b'"]),
        (b"'a'\n'b'", [b"'a'\n'b'"]),
        (b"'a' -- c\n  'b'", [b"'a' -- c\n  'b'"]),
        (b"'a' 'b'", [b"'a'", b"'b'"]),
        (b"'a' /* */\n'b'", [b"'a'", b"'b'"]),
        (rb"'a\'", [rb"'a\'"]),
        (rb"E'a\'b'", [rb"E'a\'b'"]),
        (rb"e'a''\\'", [rb"e'a''\\'"]),
        (b"E'a'\n'b\\'c'", [b"E'a'\n'b\\'c'"]),
        (rb"xe'a\'", [b"xe", rb"'a\'"]),
        (b"b'01'x'1F'N'z'", [b"b'01'", b"x'1F'", b"N", b"'z'"]),
        (b"b'0''1'", [b"b'0'", b"'1'"]),
        (b"U&'a''b' U&\"a\"\"b\"", [b"U&'a''b'", b'U&"a""b"']),
        (b'"a;""b"', [b'"a;""b"']),
        (b"$$a;b$$", [b"$$a;b$$"]),
        (b"$a$ $$ ; $b$ $a$x", [b"$a$ $$ ; $b$ $a$", b"x"]),
        (b"$a$ $a$$a$", [b"$a$ $a$", b"$a$"]),
        (b"$1 x$1 x$a$b", [b"$1", b"x$1", b"x$a$b"]),
        (b"1.5e3 .5 1..2", [b"1.5e3", b".", b"5", b"1", b".", b".", b"2"]),
        (b"a--b\nc", [b"a", b"c"]),
        (b"a+--b\rc", [b"a", b"+", b"c"]),
        (b"a*/*b*/c", [b"a", b"*", b"c"]),
        (b"/*/**/*/a", [b"a"]),
        (b"/***/a", [b"a"]),
        (b"/*/ */a", [b"a"]),
        (b"x=-1", [b"x", b"=", b"-", b"1"]),
        (b"a\x0bb", [b"a", b"b"]),
        (b"a\xc2\xa0b", [b"a\xc2\xa0b"]),
    ],
)
def test_a_text_falls_into_the_servers_tokens(text: bytes, expected: list[bytes]) -> None:
    assert pieces(text) == expected


@pytest.mark.parametrize(
    "text", [b"'a", b"'a''", b"e'a\\'", b'"a', b"$a$ $$", b"/* /* */", b"'a'\n'b"]
)
def test_what_is_never_closed_ends_the_tokens(text: bytes) -> None:
    *_, (kind, _, stop) = tokens(text)

    assert kind is TokenKind.UNTERMINATED
    assert stop == len(text)


@pytest.mark.parametrize("text", [b"{", b"\\", b"$ ", b"\x01", b"$a"])
def test_a_byte_that_no_server_accepts_is_junk(text: bytes) -> None:
    (kind, _, _), *_ = tokens(text)

    assert kind is TokenKind.JUNK


def test_every_string_has_escapes_without_standard_conforming_strings() -> None:
    assert pieces(rb"'a\'b' N'c\'d'", conforming=False) == [rb"'a\'b'", b"N", rb"'c\'d'"]
    assert pieces(rb"x'a\' b", conforming=False) == [rb"x'a\'", b"b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a;b", [b"a", b"b"]),
        (b" ;; a ; ; b ;", [b"a", b"b"]),
        (b"a 'x;y'; b", [b"a 'x;y'", b"b"]),
        (b"a 'x'';y'; b", [b"a 'x'';y'", b"b"]),
        (b"a e'x\\';y'; b", [b"a e'x\\';y'", b"b"]),
        (b"a type'x\\'; b", [b"a type'x\\'", b"b"]),
        (b"a 1e'\\';'; b", [b"a 1e'\\';'", b"b"]),
        (b"a E'x'\n'\\';y'; b", [b"a E'x'\n'\\';y'", b"b"]),
        (b"a $$;$$; b", [b"a $$;$$", b"b"]),
        (b"a $x$;$$;$x$; b", [b"a $x$;$$;$x$", b"b"]),
        (b"a b$x$;c$x$; d", [b"a b$x$", b"c$x$", b"d"]),
        (b"a $1$x$;$x$; d", [b"a $1$x$;$x$", b"d"]),
        (b'a ";"";"; b', [b'a ";"";"', b"b"]),
        (b"a -- ;\n; b", [b"a", b"b"]),
        (b"a -- ;\nc; b", [b"a -- ;\nc", b"b"]),
        (b"a /* ; /* ; */ ; */; b", [b"a", b"b"]),
        (b"a /* ; */ -- ;\n /* */ ; b", [b"a", b"b"]),
        (b"a - b / c; d", [b"a - b / c", b"d"]),
        (b"a (b; c)", [b"a (b", b"c)"]),
    ],
)
def test_a_semicolon_separates_unless_it_is_quoted(text: bytes, expected: list[bytes]) -> None:
    assert statements(text) == expected


@pytest.mark.parametrize(
    "statement",
    [
        b"create rule r as on insert to t do (insert into a values (1); delete from b)",
        b"CREATE OR REPLACE RULE r AS ON INSERT TO t DO ALSO (select 1; select 2;)",
        b"create function f() returns int begin atomic select 1; select 2; end",
        b"create function f() returns int begin/**/atomic end",
        b"create procedure p() begin atomic select case 1 when 1 then 2 end; end",
        b"create procedure p() begin atomic select 1 as end; select 1 end; select x.end; end",
        b"create function f(begin atomic) returns int language sql as ''",
        b"create function f() returns int begin atomic create function g() returns int "
        b"begin atomic select 1; end; end",
        b"create function f() returns int return (select 1 as atomic)",
        b"create table atomic (rule int)",
    ],
)
def test_create_may_hold_semicolons(statement: bytes) -> None:
    assert statements(statement + b"; select 1") == [statement, b"select 1"]


@pytest.mark.parametrize("text", [b"a; 'b", b"a; $$b", b"a; /* b", b'a; "b'])
def test_a_text_with_an_open_end_is_unsure(text: bytes) -> None:
    assert split(text).unsure


def test_there_is_a_limit_to_the_statements_of_a_text() -> None:
    found = split(b"drop table a;" * (STATEMENTS_MAX + 1))

    assert found.unsure
    assert sum(count for *_, count in found.spans) == STATEMENTS_MAX


@pytest.mark.parametrize("folder", ["protocol", "trio_pool"])
def test_no_group_is_repeated_possessively(folder: str) -> None:
    """Python before 3.11.5, which Debian 12 has, reads on from the middle of a failed round."""
    sources = (Path(__file__).parents[2] / folder).rglob("*.py")
    possessive = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")

    assert [str(path) for path in sources if possessive.search(path.read_text())] == []


def test_marks_of_comments_may_stand_in_comments() -> None:
    text = b"-- a\n  /* b * c */ /* d / e */ /** f **/ /*/ g */ prepare"

    assert pieces(text) == [b"prepare"]
