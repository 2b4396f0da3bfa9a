"""Which texts leave nothing behind: long ones are judged with more care, never with less."""

from __future__ import annotations

from protocol.sql.classify import classify
from protocol.sql.split import STATEMENTS_MAX
from trio_pool.customs import CALLS_MAX, changes_settings, names_in, set_locally
from trio_pool.functions import CODE, MAKES_CODE, Functions
from trio_pool.relay.hints import PARENTHESES_MAX, code_in, harmless, unknown_calls


def test_a_select_of_very_many_parentheses_may_call_anything() -> None:
    functions = Functions()
    few, many = (
        b"select " + b", ".join([b"lower('a')"] * count) for count in (100, PARENTHESES_MAX + 1)
    )

    assert harmless(few, functions)
    assert unknown_calls(few, functions.innocent) == ()
    assert not harmless(many, functions)
    assert unknown_calls(many, functions.innocent) == (CODE,)


def test_rows_are_inserted_without_being_counted() -> None:
    rows = b", ".join([b"(1, now())"] * (PARENTHESES_MAX + 1))

    assert harmless(b"insert into t values " + rows, Functions())


def test_a_call_with_very_many_parentheses_may_call_anything() -> None:
    text = b"call p(%s)" % b", ".join([b"f(1)"] * (PARENTHESES_MAX + 1))

    assert code_in(classify(text), text) == (CODE,)


def test_what_stands_beyond_all_limits_may_be_anything() -> None:
    text = b"set local a.b = 1; " + b"select 1; " * STATEMENTS_MAX + b"create temp table t ()"

    assert set(code_in(classify(text), text)) == {CODE, MAKES_CODE}


def test_what_creates_nothing_makes_no_code_whatever_its_length() -> None:
    text = b"set local a.b = 1; " + b"select 1; " * STATEMENTS_MAX + b"lock t"

    assert classify(text).unsure
    assert code_in(classify(text), text) == (CODE,)


def test_very_many_calls_of_set_config_may_set_anything() -> None:
    few, many = (
        b"select " + b", ".join([b"set_config('a.b', 'c', true)"] * count)
        for count in (10, CALLS_MAX + 1)
    )

    assert not changes_settings(few)
    assert set_locally(few) == ({b"a.b"}, ())
    assert changes_settings(many)
    assert names_in(many) == {b"a.b"}
