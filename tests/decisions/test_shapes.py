"""What was harmless lately is known again, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from trio_pool.functions import Functions
from trio_pool.relay.hints import harmless, unknown_calls
from trio_pool.shapes import SHAPE, Shapes
from trio_pool.watch import watch_for


def shape_of(text: bytes) -> bytes:
    return text.translate(SHAPE)


def known_after(text: bytes, functions: Functions, other: bytes) -> bool:
    """Whether `text` is harmless, and `other` known as soon as that was said."""
    return harmless(text, functions) and functions.shapes.knows(shape_of(other))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (b"SELECT a FROM t WHERE b = 12;", b"select a from t where b = 98;"),
        (b"insert into t values (1, -2.5e3)", b"insert into t values (3, -4.5e6)"),
        (b"select lower(a), 1<coalesce((b), 0)", b"SELECT lower(a), 2<coalesce((b), 0)"),
        (b"begin; select 1; commit", b"begin; select 2; commit"),
        (b"select x=lower('a')", b"select x=lower('a')"),
    ],
)  # fmt: skip
def test_other_numbers_are_no_other_shape(text: bytes, other: bytes) -> None:
    functions = Functions()

    assert known_after(text, functions, other)
    assert harmless(other, functions)


@pytest.mark.parametrize("call", [b"%s(1)", b'"%s"(1)', b"x.%s (1)", b"lower('')||%s(1)"])
def test_a_function_is_not_taken_for_another_one_because_of_its_digits(call: bytes) -> None:
    functions = Functions()
    functions.innocent.add("f1")
    innocent, unknown = b"select " + call % b"f1", b"select " + call % b"f2"

    assert harmless(innocent, functions)
    assert not harmless(unknown, functions)
    assert harmless(innocent, functions)
    assert unknown_calls(unknown, functions.innocent) == ("f2",)


def test_a_name_that_is_watched_is_not_taken_for_another_one() -> None:
    functions = Functions()
    assert known_after(b"select * from orders1", functions, b"select * from orders2")

    functions.watch(watch_for([b"\0\3\0\0\0\1v\0\0\0\7orders2\xff\xff\xff\xff"]))

    assert harmless(b"select * from orders1", functions)
    assert not harmless(b"select * from orders2", functions)
    assert harmless(b"select * from orders1", functions)


def test_a_database_is_not_taken_for_another_thing() -> None:
    functions = Functions()

    harmless(b'drop database U&"\\0000"', functions)

    assert not harmless(b'drop database U&"\\0061"', functions)


def test_what_is_unlearned_is_looked_at_anew() -> None:
    functions = Functions()
    for _ in range(Functions.TRIALS):
        functions.learn(("f",), guilty=False)
    assert harmless(b"select f()", functions)

    functions.learn(tuple(f"g{number}" for number in range(Functions.NAMES_MAX)), guilty=False)
    functions.learn(("h",), guilty=False)

    assert not harmless(b"select f()", functions)


def test_what_is_remembered_is_bounded_in_number_and_length() -> None:
    shapes = Shapes()
    for number in range(Shapes.COUNT_MAX + 1):
        shapes.note(b"%d" % number)

    assert sum(shapes.knows(b"%d" % number) for number in range(Shapes.PATIENCE)) == 0
    shapes = Shapes()
    shapes.note(b"a" * (Shapes.BYTES_MAX + 1))
    assert not shapes.knows(b"a" * (Shapes.BYTES_MAX + 1))


def test_nothing_is_looked_for_while_all_texts_are_new_and_later_it_is() -> None:
    shapes = Shapes()
    shapes.note(b"known")

    assert not any(shapes.knows(b"%d" % number) for number in range(Shapes.PATIENCE))
    assert not any(shapes.knows(b"known") for _ in range(Shapes.REST))
    assert any(shapes.knows(b"known") for _ in range(2))
