"""Where statements begin and end: what is passed over at once means what its tokens say."""

from __future__ import annotations

import pytest

from protocol.sql.lexer import tokens
from protocol.sql.split import COMMENTS_MAX, STEPS_MAX, TOKENS_MAX, split


def beginnings(text: bytes, conforming: bool) -> list[int]:
    """The first token of each statement, token by token."""
    found: list[int] = []
    begins = True
    for _, start, stop in tokens(text, conforming=conforming):
        if text[start:stop] == b";":
            begins = True
        elif begins:
            found.append(start)
            begins = False
    return found


@pytest.mark.parametrize(
    "between",
    [
        *(
            b",E'a;'",
            b",e'\\';'",
            b",E'a''\\';'",
            b",E'a'\n'\\';'",
            b",E'a'--\n'\\';'",
            b",x'e'';'",
        ),
        *(b",$$;$$", b",a$$;", b",$$;$$$1;", b",$1e'\\';'", b",$1,';'", b",$a$;$$;$a$", b",b'';"),
        *(b",$$e$$'\\';'", b",$$e$$ e'\\';'", b",$$a$$b'\\';", b",E'\\\\'e'\\';'", b",ee'\\';"),
    ],
)
@pytest.mark.parametrize("repeated", [1, 2, 300])
@pytest.mark.parametrize("conforming", [True, False])
def test_a_statement_ends_where_its_tokens_say(
    between: bytes, repeated: int, conforming: bool
) -> None:
    text = b"select 1" + between * repeated + b";" + b" select '';" * repeated

    found = split(text, conforming)

    expected = beginnings(text, conforming)
    number = 0
    for start, _, count in found.spans:
        assert start == expected[number]
        number += count
    assert found.unsure or number == len(expected)


def test_a_create_that_goes_on_and_on_is_unsure() -> None:
    text = b"create rule r as on insert to t do (%s)" % (b"select 1; " * TOKENS_MAX)

    assert split(text).unsure


@pytest.mark.parametrize("mark", [b"'a',", b'"a",', b"$1,", b"$a$b$a$,", b"E'\\'',", b"- ", b"/ "])
def test_a_text_of_very_many_marks_is_unsure_unless_it_names_statements(mark: bytes) -> None:
    text = b"select " + mark * (100 * STEPS_MAX) + b" 1; "

    assert split(text).unsure
    found = split(text + b"execute a")
    assert [count for *_, count in found.spans] == [1, 1]
    assert not found.unsure


def test_a_text_of_very_many_comments_is_unsure_at_once() -> None:
    text = b"-- a\n" * (COMMENTS_MAX + 1) + b"select 1"

    assert split(text).unsure
    assert not split(b"select '" + b"a;';select 2").unsure


@pytest.mark.parametrize(
    ("head", "inside", "tail"),
    [
        *(
            (b"'", b"''", b"'"),
            (b"E'", b"\\'", b"'"),
            (b"E'", b"\\\\''", b"'"),
            (b'"', b'""', b'"'),
        ),
        *((b"/*", b" * a / ", b"*/"), (b"/*", b"/* b */", b"*/"), (b"$a$", b"';$", b"$a$")),
    ],
)
@pytest.mark.parametrize("length", [1, 255, 256, 257, 4_096, 100_000])
def test_a_long_constant_ends_where_it_ends(
    head: bytes, inside: bytes, tail: bytes, length: int
) -> None:
    constant = head + inside * (length // len(inside) + 1) + tail
    text = b"do a " + constant + b" c;execute a"

    found = split(text)

    assert [text[start:stop] for start, stop, _ in found.spans] == [text[:-10], b"execute a"]
