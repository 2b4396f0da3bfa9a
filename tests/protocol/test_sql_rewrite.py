"""Names, as the server knows them and as they are put into a text; positions and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.sql.classify import classify
from protocol.sql.identifiers import fold_identifier, quote_identifier, truncate_identifier
from protocol.sql.rewrite import original_position, rewrite


def test_folding_touches_ascii_only() -> None:
    assert fold_identifier("ÄbC".encode()) == "Äbc".encode()


def test_a_long_name_is_cut_between_characters() -> None:
    assert truncate_identifier(b"n" * 64) == b"n" * 63
    assert truncate_identifier(b"n" * 62 + "é".encode()) == b"n" * 62
    assert truncate_identifier(b"n" * 61 + "é".encode()) == b"n" * 61 + "é".encode()


@given(st.binary(min_size=1, max_size=63).filter(lambda name: 0 not in name))
def test_a_quoted_name_is_read_as_itself(name: bytes) -> None:
    (command,) = classify(b"execute " + quote_identifier(name)).commands

    # A name that ends in the middle of a character was none to begin with.
    assert command.name == name


def test_only_the_name_changes() -> None:
    text = b"prepare /* a */ a(int) as select 'a'; execute A(1); deallocate \"a\""
    spans = [(c.name_start, c.name_stop, b'"tp_1"') for c in classify(text).commands]

    assert rewrite(text, spans) == (
        b'prepare /* a */ "tp_1"(int) as select \'a\'; execute "tp_1"(1); deallocate "tp_1"'
    )


def test_a_position_leads_back_to_the_same_character() -> None:
    text = "execute é(ä) + ß".encode()
    new = [(8, 10, b"tp_12345")]
    rewritten = rewrite(text, new).decode()

    found = original_position(rewritten.index("ß") + 1, new, text)

    assert text.decode()[found - 1] == "ß"


def test_a_position_in_a_new_name_leads_to_the_old_one() -> None:
    assert original_position(12, [(8, 9, b"tp_12345")], b"execute a(1)") == 9


def test_a_position_leads_back_when_the_head_was_taken_away() -> None:
    text = b"prepare a as select nope"

    assert original_position(8, [(0, 13, b"")], text) == 21


@given(st.text(), st.data())
def test_every_character_kept_is_found_again(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    news = [data.draw(st.text(max_size=5)) for _ in spans]

    def at(characters: int) -> int:
        return len(text[:characters].encode())

    changes = [(at(a), at(b), new.encode()) for (a, b), new in zip(spans, news, strict=True)]
    shift = 0
    for index in range(len(text)):
        for (a, b), new in zip(spans, news, strict=True):
            if b == index:
                shift += len(new) - (b - a)
        if not any(a <= index < b for a, b in spans):
            assert original_position(index + shift + 1, changes, text.encode()) == index + 1


@pytest.mark.parametrize("text", ["", "a", "é"])
def test_nothing_replaced_changes_nothing(text: str) -> None:
    assert rewrite(text.encode(), []) == text.encode()
    assert original_position(1, [], text.encode()) == 1
