"""Classification against the original: a real server is shown the same texts.

The server answers each statement with one result, so results count statements; it names what is
prepared in pg_prepared_statements. Texts that it refuses as a whole (42601 before any result)
prove nothing and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus

from fuzz.sql import texts
from protocol.sql.classify import classify
from protocol.sql.command import Command, CommandKind
from protocol.sql.identifiers import quote_identifier
from protocol.sql.rewrite import rewrite
from trio_pool.embedded import LocalServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

REFUSED = b"42601"
EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


class Original:
    """A session of the server that is asked in simple Query messages."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._server = session.pgconn

    def tags(self, text: bytes) -> tuple[list[bytes], bytes | None]:
        """The command tag of every result, and the SQLSTATE of the error that ended them."""
        self._server.send_query(text)
        found: list[bytes] = []
        sqlstate = None
        while result := self._server.get_result():
            if result.status == ExecStatus.FATAL_ERROR:
                sqlstate = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
            elif result.status == ExecStatus.COPY_IN:
                self._server.put_copy_end()
            elif result.status == ExecStatus.COPY_OUT:
                while self._server.get_copy_data(0)[0] > 0:
                    pass
            elif result.status != ExecStatus.EMPTY_QUERY:
                found.append(result.command_status or b"")
        return found, sqlstate

    def prepared(self) -> set[bytes]:
        result = self._server.exec_(b"select name from pg_prepared_statements")
        return {result.get_value(row, 0) or b"" for row in range(result.ntuples)}

    def forget(self) -> None:
        self.tags(b"rollback")
        self.tags(b"discard all")


@pytest.fixture
def original(postgres: LocalServer) -> Iterator[Original]:
    with psycopg.connect(postgres.url(), autocommit=True) as session:
        session.execute("set client_min_messages = error")
        session.execute("create temp table scratch (a int, b text)")
        yield Original(session)


def agree(original: Original, text: bytes, conforming: bool = True) -> bool:
    """Compare both; whether the server accepted enough of the text to tell anything."""
    found = classify(text, conforming)
    tags, sqlstate = original.tags(text)
    if sqlstate == REFUSED and not tags or sqlstate == b"22021":
        return False
    if found.unsure:
        return False
    expected = len(found.commands)
    assert len(tags) == expected if sqlstate is None else len(tags) < expected, (text, tags)
    return True


KINDS_BY_TAG = {
    b"PREPARE": CommandKind.PREPARE,
    b"DEALLOCATE": CommandKind.DEALLOCATE,
    b"DEALLOCATE ALL": CommandKind.DEALLOCATE,
    b"DISCARD ALL": CommandKind.DISCARD,
    b"DISCARD PLANS": CommandKind.DISCARD,
    b"DISCARD SEQUENCES": CommandKind.DISCARD,
    b"DISCARD TEMP": CommandKind.DISCARD,
    b"RESET": CommandKind.RESET,
    b"LISTEN": CommandKind.LISTEN,
    b"UNLISTEN": CommandKind.UNLISTEN,
    b"NOTIFY": CommandKind.NOTIFY,
    b"DECLARE CURSOR": CommandKind.DECLARE,
    b"CLOSE CURSOR": CommandKind.CLOSE,
    b"CLOSE CURSOR ALL": CommandKind.CLOSE,
    b"BEGIN": CommandKind.BEGIN,
    b"START TRANSACTION": CommandKind.BEGIN,
    b"COMMIT": CommandKind.COMMIT,
    b"SAVEPOINT": CommandKind.SAVEPOINT,
    b"RELEASE": CommandKind.RELEASE,
    b"SET CONSTRAINTS": CommandKind.SET_CONSTRAINTS,
    b"LOCK TABLE": CommandKind.LOCK,
    b"DO": CommandKind.DO,
    b"LOAD": CommandKind.LOAD,
}

PREPARED = b"begin; prepare a as select 1; declare c cursor for select 1; savepoint s; "


@pytest.mark.parametrize(
    "text",
    [
        b"prepare transaction as select 1",
        b"prepare transaction (int) as select $1",
        b"prepare execute as select 1; execute execute",
        b"prepare prepare as select 1; deallocate prepare prepare",
        b"prepare prepare as select 1; deallocate prepare",
        b"prepare x$1 as select 1; execute x$1",
        b'prepare "all" as select 1; deallocate "all"; deallocate all',
        b'prepare U&"d!0061ta" uescape \'!\' as select 1; execute data; explain execute "data"',
        b"execute a; explain execute a; explain (verbose) execute a; explain analyze execute a",
        b"explain analyse verbose execute a",
        b"create temp table t1 as execute a; create table if not exists t1 as execute a",
        b"create local temporary table t2 (x) using heap with (fillfactor = 50) "
        b"on commit drop as execute a with no data",
        b"explain create table t3 as execute a",
        b"create temp table t4 on commit preserve rows tablespace pg_default as execute a",
        b"discard plans; discard sequences",
        b"set work_mem = '1MB'; set session work_mem to 1000; set local work_mem to default",
        b"set a.b=-1; set local a . b to ''; set role.c = 1; set names.d to e; reset a.b",
        b"set time zone 'UTC'; set time zone local; set time zone interval '1' hour to minute",
        b"set time zone default; reset time zone; set names; set names 'utf8'; set schema 'x'",
        b"set role none; set local role none; reset role; set session role none",
        b"set session session authorization default; set local session authorization default",
        b"set session authorization default; reset session authorization; reset all",
        b"set xml option content; set local transaction read write; set constraints all deferred",
        b"set session characteristics as transaction read write; set transaction read write",
        b"listen a; unlisten a; unlisten *; notify a; notify a, 'x;y'",
        b"close c; close all; declare d binary no scroll cursor without hold for select 1",
        b"declare transaction binary asensitive scroll cursor for select 1",
        b"release s; savepoint savepoint; rollback to savepoint savepoint; release savepoint",
        b"savepoint s2; rollback work to s2; release savepoint s2; commit and chain; end; abort",
        b"commit; start transaction isolation level serializable; rollback transaction and chain",
        b"copy scratch (a, b) from stdin with (format csv); copy scratch to stdout",
        b"copy binary scratch to stdout; copy (select 1) to stdout",
        b"select 1 into temp i1; select 2 as a into local temporary table i2; lock scratch",
        b"with w as (select 1) select * into pg_temp.i3 from w; do $$ begin end $$",
        b"create rule r as on insert to scratch do (select 1; select 2); select 3",
        b"create function pg_temp.f(begin int) returns int begin atomic select 1; select case 1 "
        b"when 1 then 2 end; select 1 as end; select 3 end; end; select 4",
        b"create procedure pg_temp.p() begin atomic end; call pg_temp.p()",
        b"select 'a' -- ;\n 'b;'; select E'\\';' ; select u&'!0041;' uescape '!'; select $$;$$",
        b"select 1 as x$a$; select 'y$a$;'",
        b"select 'a'\n'b;' ; select E'a'\n'\\';' ; select b'01'\n'10', x'1f' , n'x;'",
        b"load 'plpgsql'",
    ],
)
def test_the_server_sees_the_same_statements(original: Original, text: bytes) -> None:
    text = PREPARED + text

    tags, sqlstate = original.tags(text)
    commands = classify(text).commands

    assert sqlstate is None
    assert not classify(text).unsure
    assert len(tags) == len(commands)
    for tag, command in zip(tags, commands, strict=True):
        if tag in KINDS_BY_TAG:
            assert command.kind is KINDS_BY_TAG[tag], (tag, command)
        else:
            assert command.kind not in KINDS_BY_TAG.values(), (tag, command)


strings = st.sampled_from(
    [
        *(b"'a;b'", b"'a'';b'", b"E'\\';'", b"e'\\\\'", b"$$;'$$", b"$x$;$$;$x$", b"'a'\n';b'"),
        *(b"E'a'\n'\\';'", b"U&'\\0061;'", b"u&'!0061;' UESCAPE '!'", b"N';'", b"'--;'", b"'/*'"),
        *(b"'a' -- '\n ';b'", b"'\\'", b"'a''\\'", b"n'\\'"),
    ]
)
spaces = st.sampled_from(
    [*(b" ", b"\n", b"\t", b"\r", b" /* ; */ ", b" /* /* ' */ ; */ ", b" -- ' ;\n", b" --;\r")]
)
names = st.sampled_from(
    [
        *(b"a", b"B", b"x$1", b"_", b"transaction", b"prepare", b"execute", b"al\xc3\xa9"),
        *(b'"A;b"', b'"a""b"', b'"all"', b'U&"d\\0061ta"', b"U&\"!00E9;\" uescape '!'"),
        *(b"n" * 70, b'"' + b"\xc3\xa9" * 40 + b'"', b'"select"', b"u", b"e", b"N"),
    ]
)
columns = st.lists(st.tuples(strings, st.sampled_from([b"", b" as x$a$", b' "a;"'])), max_size=3)


@st.composite
def sensible_texts(draw: st.DrawFn) -> bytes:
    """A text of statements that the server accepts, spelled as awkwardly as possible."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        shown = b", ".join(string + label for string, label in draw(columns))
        select = b"select" + draw(spaces) + shown
        if draw(st.booleans()):
            head = [b"prepare", draw(names), draw(st.sampled_from([b"", b"(int)"])), b"as"]
            pieces += [*(word + draw(spaces) for word in head)]
        pieces += [select, draw(spaces), b";", draw(spaces)]
    return b"".join(pieces)


@EXAMPLES
@given(text=sensible_texts())
def test_awkward_spellings_are_read_as_the_server_reads_them(
    original: Original, text: bytes
) -> None:
    original.forget()
    found = classify(text)
    tags, sqlstate = original.tags(text)

    assert not found.unsure
    # The server stops at the first name that is taken.
    assert sqlstate in (None, b"42P05")
    done = found.commands[: len(tags)]
    assert sqlstate or len(done) == len(found.commands)
    prepared = [command for command in done if command.kind is CommandKind.PREPARE]
    assert original.prepared() == {command.name for command in prepared}
    for command in prepared:
        assert_it_can_be_prepared_again(original, text, command)


def assert_it_can_be_prepared_again(original: Original, text: bytes, command: Command) -> None:
    """By its parts, and by its own text with another name in it."""
    types = text[command.types_start : command.types_stop]
    body = text[command.body_start : command.body_stop]
    other = quote_identifier(b"tp;1")

    assert original.tags(b"prepare " + other + types + b" as " + body) == ([b"PREPARE"], None)
    assert original.tags(b"deallocate " + other) == ([b"DEALLOCATE"], None)
    renamed = rewrite(text, [(command.name_start, command.name_stop, other)])
    longer = len(renamed) - len(text)
    assert original.tags(renamed[command.start : command.stop + longer]) == ([b"PREPARE"], None)
    assert original.tags(b"deallocate " + other) == ([b"DEALLOCATE"], None)


soup = st.lists(
    strings
    | spaces
    | st.sampled_from(
        [
            *(b"'", b'"', b"$", b";", b"a", b"e", b"E", b"U&", b"1", b"_", b"\\", b"/", b"*", b"-"),
            *(b"$$", b"$a$", b"a$", b"''", b'""', b"--", b"/*", b"*/", b"\n", b"x", b"b", b"1e"),
            *(b"select 1", b";select", b" as ", b"+", b",", b"''", b"0x", b"$1", b"1_0"),
        ]
    ),
    max_size=12,
).map(b"".join)


@EXAMPLES
@given(text=soup, conforming=st.booleans())
def test_whatever_the_server_accepts_has_as_many_statements_here(
    original: Original, text: bytes, conforming: bool
) -> None:
    on = b"on" if conforming else b"off"
    original.tags(b"set escape_string_warning = off; set standard_conforming_strings = " + on)

    agree(original, b"select " + text + b"; select 'x'", conforming)
    agree(original, b"select '" + text + b"'; select 'x'", conforming)
    agree(original, text, conforming)


@EXAMPLES
@given(text=texts)
def test_a_fuzzed_text_that_the_server_accepts_has_as_many_statements_here(
    original: Original, text: bytes
) -> None:
    original.forget()

    agree(original, text.replace(b"\0", b""))


def test_the_comparison_can_tell(original: Original) -> None:
    assert agree(original, b"select 'a' -- ;\n; select 'x;'")
    assert not agree(original, b"select 'a")
    assert not agree(original, b"selec")
