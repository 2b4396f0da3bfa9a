"""Where statements begin and end: what is passed over at once means what its tokens say."""

from __future__ import annotations

import pytest

from protocol.sql.lexer import tokens
from protocol.sql.split import TOKENS_MAX, split


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

    starts = [start for start, _ in found.spans]
    assert starts == beginnings(text, conforming)[: len(starts)]
    assert found.unsure or len(starts) == len(beginnings(text, conforming))


def test_a_create_that_goes_on_and_on_is_unsure() -> None:
    text = b"create rule r as on insert to t do (%s)" % (b"select 1; " * TOKENS_MAX)

    assert split(text).unsure
