"""The console's protocol, without a pool behind it: what is said for what, message by message."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import frontend
from protocol.framing import FrameReader
from trio_pool.conform.replies import Reply, field, letters, replies_in
from trio_pool.console import (
    TABLES,
    Answer,
    Command,
    Conversation,
    Done,
    Failure,
    Rows,
    converse,
)
from trio_pool.console.answer import row
from trio_pool.console.command import INVALID, commands

Act = Callable[[Command], Answer]


def act(command: Command) -> Answer:
    """Carries out everything, and has a table of three rows."""
    if command.verb == "SHOW":
        return Rows(TABLES["LISTS"], [("databases", 1), ("users", 2), ("peers", 3)])
    if command.argument == "nowhere":
        return Failure("no such database: nowhere", "3D000")
    return Done(command.verb)


def said(*messages: bytes, carried_out: list[Command] | None = None) -> list[Reply]:
    """What the console answers to these messages."""
    talk = Conversation()
    conversation = converse(talk)
    reader = FrameReader(1_000_000)
    reader.feed(b"".join(messages))
    wanted = next(conversation)
    while True:
        if wanted is not None:
            if carried_out is not None:
                carried_out.append(wanted)
            wanted = conversation.send(act(wanted))
        elif (message := reader.next_frame()) is not None:
            wanted = conversation.send(message)
        else:
            return replies_in(talk.take_output())


def asked(sql: str) -> list[Reply]:
    return said(frontend.query(sql.encode()))


@pytest.mark.parametrize(
    ("sql", "verb", "argument", "value"),
    [
        ("SHOW POOLS", "SHOW", "POOLS", ""),
        ("show pools;", "SHOW", "pools", ""),
        ("  select\n stats ;", "SHOW", "stats", ""),
        ("PAUSE", "PAUSE", "", ""),
        ("pause shop -- for the night", "PAUSE", "shop", ""),
        ('PAUSE "Shop ""2"""', "PAUSE", 'Shop "2"', ""),
        ("/* why */ resume", "RESUME", "", ""),
        ("KILL_CLIENT 17", "KILL_CLIENT", "17", ""),
        ("SHUTDOWN wait_for_clients", "SHUTDOWN", "WAIT_FOR_CLIENTS", ""),
        ("SET query_timeout = 1.5", "SET", "query_timeout", "1.5"),
        ("SET pool_mode TO session", "SET", "pool_mode", "session"),
        ("set server_reset_query = 'select ''x'''", "SET", "server_reset_query", "select 'x'"),
        ("SET admin_users = a, b", "SET", "admin_users", "a,b"),
        ("SET log_stats = ''", "SET", "log_stats", ""),
    ],
)
def test_a_command_is_understood(sql: str, verb: str, argument: str, value: str) -> None:
    (found,) = commands(sql.encode())

    assert (found.verb, found.argument, found.value) == (verb, argument, value)


@pytest.mark.parametrize(
    "sql", ["FLY", "SHOW", "SHOW A B", "PAUSE a b", "SHUTDOWN SOON", "SET x", "SET x y", "'", '"x']
)
def test_what_is_no_command_is_invalid(sql: str) -> None:
    assert [command.verb for command in commands(sql.encode())] == [INVALID]


def test_an_invalid_command_is_refused_in_pgbouncers_words() -> None:
    replies = asked("FLY home;")

    assert letters(replies) == "E Z"
    assert field(replies[0], "M") == "invalid command 'FLY home', use SHOW HELP;"
    assert field(replies[0], "C") == "42601"


@pytest.mark.parametrize("sql", ["", ";", "-- ping", "/* ping */", " ; ;"])
def test_an_empty_query_is_answered_as_one(sql: str) -> None:
    assert asked(sql) == [("I",), ("Z", "I")]


def test_several_statements_are_carried_out_in_order_until_one_fails() -> None:
    obeyed: list[Command] = []
    replies = said(frontend.query(b"PAUSE; RESUME nowhere; RELOAD"), carried_out=obeyed)

    assert letters(replies) == "C E Z"
    assert [command.verb for command in obeyed] == ["PAUSE", "RESUME"]


def test_a_transaction_block_is_kept_and_fails_as_at_a_server() -> None:
    begun = said(frontend.query(b"BEGIN"), frontend.query(b"SHOW LISTS"))
    assert [reply for reply in begun if reply[0] == "Z"] == [("Z", "T"), ("Z", "T")]

    failed = said(
        frontend.query(b"begin"),
        frontend.query(b"nonsense"),
        frontend.query(b"show lists"),
        frontend.query(b"commit"),
    )
    assert [reply for reply in failed if reply[0] == "Z"] == [
        ("Z", "T"),
        ("Z", "E"),
        ("Z", "E"),
        ("Z", "I"),
    ]
    assert [field(reply, "C") for reply in failed if reply[0] == "E"] == ["42601", "25P02"]
    assert ("C", "ROLLBACK") in failed


def test_the_extended_protocol_describes_before_it_executes() -> None:
    replies = said(
        frontend.parse(b"s", b"SHOW LISTS"),
        frontend.describe_statement(b"s"),
        frontend.bind(b"", b"s"),
        frontend.describe_portal(),
        frontend.execute(),
        frontend.sync(),
    )

    assert letters(replies) == "1 t T 2 T D D D C Z"
    assert replies[-2:] == [("C", "SHOW"), ("Z", "I")]


def test_a_portal_is_fetched_in_pieces() -> None:
    replies = said(
        frontend.parse(b"", b"SHOW LISTS"),
        frontend.bind(),
        frontend.execute(b"", 2),
        frontend.execute(b"", 2),
        frontend.sync(),
    )

    assert letters(replies) == "1 2 D D s D C Z"


def test_an_error_silences_everything_up_to_the_sync() -> None:
    replies = said(
        frontend.parse(b"", b"PAUSE nowhere"),
        frontend.bind(),
        frontend.execute(),
        frontend.execute(),
        frontend.sync(),
        frontend.parse(b"", b""),
        frontend.bind(),
        frontend.execute(),
        frontend.sync(),
    )

    assert letters(replies) == "1 2 E Z 1 2 I Z"


@pytest.mark.parametrize(
    ("messages", "sqlstate"),
    [
        ([frontend.parse(b"", b"PAUSE; RESUME")], "42601"),
        ([frontend.parse(b"a", b"PAUSE"), frontend.parse(b"a", b"PAUSE")], "42P05"),
        ([frontend.bind(b"", b"unknown")], "26000"),
        ([frontend.describe_statement(b"unknown")], "26000"),
        ([frontend.describe_portal(b"unknown")], "34000"),
        ([frontend.execute(b"unknown")], "34000"),
        ([frontend.parse(b"", b"PAUSE"), frontend.bind(parameters=[b"1"])], "08P01"),
        (
            [frontend.parse(b"", b"SHOW LISTS"), frontend.bind(result_formats=[0, 1, 0])],
            "08P01",
        ),
    ],
)
def test_misuse_of_the_extended_protocol_has_a_servers_error(
    messages: list[bytes], sqlstate: str
) -> None:
    replies = said(*messages, frontend.sync())

    assert [field(reply, "C") for reply in replies if reply[0] == "E"] == [sqlstate]
    assert replies[-1] == ("Z", "I")


@pytest.mark.parametrize(
    ("sql", "reply"),
    [
        ("SELECT 1", ("D", b"1")),
        ("select version()", ("D", b"PgBouncer 1.25.2")),
        ("SHOW standard_conforming_strings", ("D", b"on")),
        ("SET client_encoding = 'UTF8'", ("C", "SET")),
        ("SET SESSION application_name TO x", ("C", "SET")),
        ("DISCARD ALL", ("C", "DISCARD ALL")),
        ("SELECT pg_advisory_unlock_all();CLOSE ALL;UNLISTEN *;RESET ALL;", ("C", "RESET")),
    ],
)
def test_what_drivers_say_to_every_server_is_understood(sql: str, reply: Reply) -> None:
    replies = asked(sql)

    assert reply in replies
    assert "E" not in letters(replies)


@given(st.integers(-(10**30), 10**30))
def test_a_binary_numeric_holds_the_number(number: int) -> None:
    data = row(TABLES["TOTALS"], ("x", number), [1])[5:]
    value = data[2 + 4 + 1 + 4 :]
    count, weight, sign = (int.from_bytes(value[at : at + 2], "big") for at in (0, 2, 4))
    digits = [int.from_bytes(value[8 + 2 * at : 10 + 2 * at], "big") for at in range(count)]
    total = sum(digit * 10_000 ** (weight - at) for at, digit in enumerate(digits))

    assert (-total if sign else total) == number


@given(st.binary(max_size=60))
def test_no_text_upsets_the_console(text: bytes) -> None:
    replies = said(frontend.query(text.replace(b"\0", b"")))

    assert replies[-1][0] == "Z"
