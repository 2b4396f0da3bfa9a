"""Classification, statement by statement: what the server would do, spelled in many ways."""

from __future__ import annotations

import pytest

from protocol.sql.classify import PARSED_MAX, TOKENS_MAX, Classifier, classify
from protocol.sql.command import Command, CommandKind
from protocol.sql.split import (
    ALONE_MAX,
    INSIDE_MAX,
    SPANS_MAX,
    STATEMENTS_MAX,
    STATEMENTS_WITH_NAMES_MAX,
    split,
)

K = CommandKind


def only(text: bytes) -> Command:
    found = classify(text)
    assert not found.unsure
    (command,) = found.commands
    return command


def kinds(text: bytes) -> list[CommandKind]:
    found = classify(text)
    assert not found.unsure
    return [command.kind for command in found.commands]


def body(text: bytes, command: Command) -> bytes:
    return text[command.body_start : command.body_stop]


def written_name(text: bytes, command: Command) -> bytes:
    return text[command.name_start : command.name_stop]


@pytest.mark.parametrize(
    ("text", "name", "types", "prepared"),
    [
        (b"prepare a as select 1", b"a", b"", b"select 1"),
        (b"PREPARE A (int, text) AS SELECT $1;", b"a", b"(int, text)", b"SELECT $1"),
        (b"prepare a(numeric(3,1),int) as select $1 ; ", b"a", b"(numeric(3,1),int)", b"select $1"),
        (b"prepare a as select ')'';--' -- ; end\n;", b"a", b"", b"select ')'';--'"),
        (b"prepare/**/a/*(*/as/* as */select 1", b"a", b"", b"select 1"),
        (b'prepare "A;b" as select 1', b"A;b", b"", b"select 1"),
        (b'prepare "a""b" as select 1', b'a"b', b"", b"select 1"),
        (b"prepare execute as select 1", b"execute", b"", b"select 1"),
        (b"prepare prepare as select 1", b"prepare", b"", b"select 1"),
        (b"prepare transaction as select 1", b"transaction", b"", b"select 1"),
        (b"prepare transaction(int) as select $1", b"transaction", b"(int)", b"select $1"),
        (b"prepare x$1 as select 1", b"x$1", b"", b"select 1"),
        (b"prepare \xc3\x89A as select 1", b"\xc3\x89a", b"", b"select 1"),
        (b"/* c /* nested */ prepare x as */ prepare l1 as select 1", b"l1", b"", b"select 1"),
        (b";; prepare x as select 1", b"x", b"", b"select 1"),
        (b"\tprepare x as select 1", b"x", b"", b"select 1"),
        (b"-- a\rprepare x as select 1", b"x", b"", b"select 1"),
        (b"prepare x as (select 1)", b"x", b"", b"(select 1)"),
    ],
)
def test_prepare_names_a_statement_with_its_types_and_body(
    text: bytes, name: bytes, types: bytes, prepared: bytes
) -> None:
    command = only(text)

    assert command.kind is K.PREPARE
    assert command.name == name
    assert text[command.types_start : command.types_stop] == types
    assert body(text, command) == prepared


@pytest.mark.parametrize("gid", [b"'g'", b"E'g'", b"$$g$$", b"/**/ 'g'", b"U&'g'"])
def test_prepare_transaction_with_a_string_is_two_phase_commit(gid: bytes) -> None:
    command = only(b"PREPARE TRANSACTION " + gid)

    assert command.kind is K.PREPARE_TRANSACTION
    assert command.name is None


@pytest.mark.parametrize(
    ("text", "name", "written"),
    [
        (b"execute a", b"a", b"a"),
        (b"EXECUTE A;", b"a", b"A"),
        (b"execute a(1, ')'';--', $$);$$, (2+3), f('x'))", b"a", b"a"),
        (b'execute "A" (1)', b"A", b'"A"'),
        (b'execute"A"', b"A", b'"A"'),
        (b"execute execute", b"execute", b"execute"),
        (b"execute -- all\n a", b"a", b"a"),
        (b'execute U&"d\\0061ta"', b"data", b'U&"d\\0061ta"'),
        (b"execute u&\"d!0061ta\" uescape '!' (1)", b"data", b"u&\"d!0061ta\" uescape '!'"),
        (b'execute U&"a\\\\b" /**/ UESCAPE \'"\'', None, b""),
        (b'execute U&"\\D83D\\DE00"', b"\xf0\x9f\x98\x80", b'U&"\\D83D\\DE00"'),
        (b'execute U&"\\+01F600"', b"\xf0\x9f\x98\x80", b'U&"\\+01F600"'),
        (b"execute " + b"n" * 70, b"n" * 63, b"n" * 70),
        (b"execute \xc3\xa9" + b"n" * 60 + b"\xc3\xa9", b"\xc3\xa9" + b"n" * 60, None),
    ],
)
def test_execute_names_a_statement(text: bytes, name: bytes | None, written: bytes | None) -> None:
    found = classify(text)
    (command,) = found.commands

    if name is None:
        assert found.unsure
        return
    assert command.kind is K.EXECUTE
    assert command.name == name
    assert written is None or written_name(text, command) == written


@pytest.mark.parametrize(
    ("text", "within"),
    [
        (b"explain execute a(1)", "EXPLAIN"),
        (b"explain analyze execute a", "EXPLAIN"),
        (b"EXPLAIN ANALYSE VERBOSE EXECUTE a", "EXPLAIN"),
        (b"explain verbose execute a", "EXPLAIN"),
        (b"explain (analyze, format json) execute a", "EXPLAIN"),
        (b"explain analyze create table t as execute a", "EXPLAIN"),
        (b"create table t as execute a", "CREATE TABLE AS"),
        (b"create table if not exists s.t (x, y) as execute a(1) with no data", "CREATE TABLE AS"),
        (b"create unlogged table t as execute a", "CREATE TABLE AS"),
        (b"create local temporary table t on commit drop as execute a", "CREATE TABLE AS"),
        (b"create global temp table t on commit delete rows as execute a", "CREATE TABLE AS"),
        (
            b'create table "x y" using heap with (fillfactor=(10)) tablespace ts as execute a',
            "CREATE TABLE AS",
        ),
        (b"create table t without oids as execute a", "CREATE TABLE AS"),
        (b"create table t as execute a", "CREATE TABLE AS"),
    ],
)
def test_an_execute_inside_of_another_statement_is_found(text: bytes, within: str) -> None:
    command = only(text)

    assert command.kind is K.EXECUTE
    assert command.within == within
    assert command.name == b"a"
    assert text[command.name_start : command.name_stop] == b"a"
    assert text[: command.name_start].lower().endswith(b"execute ")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"explain select 1", K.EXPLAIN),
        (b"explain analyze insert into execute values (1)", K.EXPLAIN),
        (b"create table execute (a int)", K.CREATE),
        (b"create table t as select 1", K.CREATE),
        (b"create table t (execute int)", K.CREATE),
        (b"create view v as select 'as execute a'", K.CREATE),
        (b"select prepare('x')", K.OTHER),
        (b"with x as (select 1) select * from x", K.OTHER),
        (b"show all", K.OTHER),
        (b"(select 1)", K.OTHER),
    ],
)
def test_words_alone_do_not_make_an_execute(text: bytes, kind: CommandKind) -> None:
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    ("text", "name", "everything"),
    [
        (b"deallocate a", b"a", False),
        (b"DEALLOCATE PREPARE A", b"a", False),
        (b"deallocate prepare", b"prepare", False),
        (b"deallocate prepare prepare", b"prepare", False),
        (b"deallocate all", None, True),
        (b"deallocate prepare all", None, True),
        (b'deallocate "all"', b"all", False),
        (b'deallocate prepare "all"', b"all", False),
        (b"deallocate all\xc3\xa9", b"all\xc3\xa9", False),
        (b"deallocate all$", b"all$", False),
    ],
)
def test_deallocate_names_one_statement_or_all(
    text: bytes, name: bytes | None, everything: bool
) -> None:
    command = only(text)

    assert (command.kind, command.name, command.all) == (K.DEALLOCATE, name, everything)


@pytest.mark.parametrize(
    ("text", "discards"),
    [
        (b"discard all", b"ALL"),
        (b"DISCARD PLANS;", b"PLANS"),
        (b"discard sequences", b"SEQUENCES"),
        (b"discard temp", b"TEMP"),
        (b"discard temporary", b"TEMP"),
    ],
)
def test_discard_says_what(text: bytes, discards: bytes) -> None:
    command = only(text)

    assert (command.kind, command.discards) == (K.DISCARD, discards)
    assert command.all is (discards == b"ALL")


@pytest.mark.parametrize(
    ("text", "setting", "value", "local"),
    [
        (b"set work_mem = '1MB'", b"work_mem", b"'1MB'", False),
        (b'SET Search_Path TO a, "B" ;', b"search_path", b'a, "B"', False),
        (b"set session x=-1", b"x", b"-1", False),
        (b"set local x to on", b"x", b"on", True),
        (b"set x to default", b"x", None, False),
        (b'set "X"."y" = 1', b"x.y", b"1", False),
        (b"set app . user_id = '7'", b"app.user_id", b"'7'", False),
        (b"set local.x = 1", b"local.x", b"1", False),
        (b"set session.x = 1", b"session.x", b"1", False),
        (b"set local session.x = 1", b"session.x", b"1", True),
        (b"set time zone 'UTC'", b"timezone", b"'UTC'", False),
        (b"set time zone interval '1' hour", b"timezone", b"interval '1' hour", False),
        (b"set time zone local", b"timezone", None, False),
        (b"set local time zone default", b"timezone", None, True),
        (b"set names 'latin1'", b"client_encoding", b"'latin1'", False),
        (b"set names", b"client_encoding", None, False),
        (b"set role joe", b"role", b"joe", False),
        (b"set local role 'joe'", b"role", b"'joe'", True),
        (b"set role none", b"role", b"none", False),
        (b"set role to joe", b"role", b"joe", False),
        (b"set session authorization joe", b"session_authorization", b"joe", False),
        (b"set session session authorization 'x'", b"session_authorization", b"'x'", False),
        (b"set session authorization default", b"session_authorization", None, False),
        (b"set schema 'x'", b"search_path", b"'x'", False),
        (b"set xml option document", b"xmloption", b"document", False),
    ],
)
def test_set_names_the_setting(
    text: bytes, setting: bytes, value: bytes | None, local: bool
) -> None:
    command = only(text)

    assert command.kind is K.SET
    assert (command.setting, command.value, command.local) == (setting, value, local)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"set transaction isolation level serializable", K.SET_TRANSACTION),
        (b"set local transaction read only", K.SET_TRANSACTION),
        (b"set session characteristics as transaction read only", K.SET_CHARACTERISTICS),
        (b"set constraints all deferred", K.SET_CONSTRAINTS),
    ],
)
def test_what_is_set_without_a_setting(text: bytes, kind: CommandKind) -> None:
    command = only(text)

    assert (command.kind, command.setting) == (kind, None)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (b"reset work_mem", b"work_mem"),
        (b"reset a.b", b"a.b"),
        (b"reset role", b"role"),
        (b"reset time zone", b"timezone"),
        (b"reset session authorization", b"session_authorization"),
        (b"reset transaction isolation level", b"transaction_isolation"),
        (b"reset all", None),
    ],
)
def test_reset_names_the_setting_or_all(text: bytes, setting: bytes | None) -> None:
    command = only(text)

    assert (command.kind, command.setting) == (K.RESET, setting)
    assert command.all is (setting is None)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (b"listen Channel", K.LISTEN, b"channel"),
        (b'unlisten "Channel"', K.UNLISTEN, b"Channel"),
        (b"notify c, 'x;y'", K.NOTIFY, b"c"),
        (b"close c", K.CLOSE, b"c"),
        (b"savepoint a", K.SAVEPOINT, b"a"),
        (b"release a", K.RELEASE, b"a"),
        (b"release savepoint a", K.RELEASE, b"a"),
        (b"release savepoint", K.RELEASE, b"savepoint"),
        (b"rollback to a", K.ROLLBACK_TO, b"a"),
        (b"abort work to savepoint a", K.ROLLBACK_TO, b"a"),
        (b"rollback transaction to savepoint savepoint", K.ROLLBACK_TO, b"savepoint"),
    ],
)
def test_channels_cursors_and_savepoints_have_names(
    text: bytes, kind: CommandKind, name: bytes
) -> None:
    command = only(text)

    assert (command.kind, command.name, command.all) == (kind, name, False)


@pytest.mark.parametrize("text", [b"unlisten *", b"close all"])
def test_all_channels_and_all_cursors(text: bytes) -> None:
    command = only(text)

    assert command.all
    assert command.name is None


@pytest.mark.parametrize(
    ("text", "hold"),
    [
        (b"declare c cursor for select 1", False),
        (b"declare c cursor with hold for select 1", True),
        (b"declare c cursor without hold for select 'with hold'", False),
        (b"declare c binary insensitive no scroll cursor with/**/hold for select 1", True),
        (b"declare binary cursor with hold for select 1", True),
    ],
)
def test_a_cursor_with_hold_is_told_from_one_without(text: bytes, hold: bool) -> None:
    command = only(text)

    assert (command.kind, command.hold) == (K.DECLARE, hold)


@pytest.mark.parametrize(
    ("text", "kind", "chain"),
    [
        (b"begin", K.BEGIN, False),
        (b"BEGIN ISOLATION LEVEL SERIALIZABLE", K.BEGIN, False),
        (b"start transaction read only", K.BEGIN, False),
        (b"commit", K.COMMIT, False),
        (b"end work", K.COMMIT, False),
        (b"commit transaction and chain", K.COMMIT, True),
        (b"commit and no chain", K.COMMIT, False),
        (b"rollback and chain", K.ROLLBACK, True),
        (b"abort", K.ROLLBACK, False),
        (b"commit prepared 'g'", K.COMMIT_PREPARED, False),
        (b"rollback prepared 'g'", K.ROLLBACK_PREPARED, False),
    ],
)
def test_transaction_control(text: bytes, kind: CommandKind, chain: bool) -> None:
    command = only(text)

    assert (command.kind, command.chain) == (kind, chain)


@pytest.mark.parametrize(
    ("text", "kind", "temporary"),
    [
        (b"create temp table t (a int)", K.CREATE, True),
        (b"create or replace temporary view v as select 1", K.CREATE, True),
        (b"create local temp sequence s", K.CREATE, True),
        (b"create table pg_temp.t (a int)", K.CREATE, True),
        (b"create table temp (a int)", K.CREATE, False),
        (b"create table t (temp int)", K.CREATE, False),
        (b"select 1 into temp t", K.SELECT_INTO, True),
        (b'select 1 into local temporary "t" from u', K.SELECT_INTO, True),
        (b"select 1 into global temp table t", K.SELECT_INTO, True),
        # A table of that name.
        (b"select 1 into temp", K.OTHER, False),
        (b"select 1 into temp from t", K.OTHER, False),
        (b"select 1 into local where temp", K.OTHER, False),
        (b"select 1 as a into /**/ temporary table t from x", K.SELECT_INTO, True),
        (b"with x as (select 1) select * into local temp t from x", K.SELECT_INTO, True),
        (b"select 1 into pg_temp.t", K.SELECT_INTO, True),
        (b"select 'into temp t'", K.OTHER, False),
        (b"select 1 into--\ntemp t", K.SELECT_INTO, True),
        (b"select 1 into /* /* */ temp */ temp t", K.SELECT_INTO, True),
        (b"select 1 into /* temp */ t", K.OTHER, False),
        (b'select 1 into"pg_temp".t', K.SELECT_INTO, True),
        (b"select 1 INTO\t\n LOCAL TEMP t", K.SELECT_INTO, True),
        (b"select 1 into t", K.OTHER, False),
        (b"explain analyze select 1 into temp t", K.EXPLAIN, True),
        (b"explain analyze create temp table t as select 1", K.EXPLAIN, True),
    ],
)
def test_what_is_created_may_be_temporary(text: bytes, kind: CommandKind, temporary: bool) -> None:
    command = only(text)

    assert (command.kind, command.temporary) == (kind, temporary)


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        (b"copy t from stdin", "FROM STDIN"),
        (b"copy s.t (a, b) from stdin with (format csv)", "FROM STDIN"),
        (b"copy binary t from stdin", "FROM STDIN"),
        (b"copy binary from stdin", "FROM STDIN"),
        (b"copy t to stdout", "TO STDOUT"),
        (b"copy (select 'from stdin') to stdout", "TO STDOUT"),
        (b"copy t from '/file'", None),
        (b"copy t to program 'stdout'", None),
    ],
)
def test_copy_says_which_way_the_data_goes(text: bytes, copies: str | None) -> None:
    command = only(text)

    assert (command.kind, command.copies) == (K.COPY, copies)


def test_one_command_for_each_statement_in_order() -> None:
    text = b"begin; prepare a as select 1;; execute a ; /* ; */ deallocate a; select ';'; commit;"

    assert kinds(text) == [K.BEGIN, K.PREPARE, K.EXECUTE, K.DEALLOCATE, K.OTHER, K.COMMIT]
    assert [text[c.start : c.stop] for c in classify(text).commands] == [
        b"begin",
        b"prepare a as select 1",
        b"execute a",
        b"deallocate a",
        b"select ';'",
        b"commit",
    ]


@pytest.mark.parametrize("text", [b"", b" \n", b";", b";;;", b"-- nothing", b"/* ; */ ; --"])
def test_a_text_without_statements_has_no_commands(text: bytes) -> None:
    assert kinds(text) == []


def test_an_unknown_statement_is_other_with_its_first_word() -> None:
    command = only(b"vacuum (analyze) t")

    assert (command.kind, command.keyword) == (K.OTHER, b"VACUUM")


def test_the_text_ends_at_its_first_nul() -> None:
    assert kinds(b"select 1\0; execute a") == [K.OTHER]


@pytest.mark.parametrize(
    "text",
    [
        b"select 'a; execute b",
        b'select "a; execute b',
        b"select $a$ ; execute b",
        b"/* /* */ execute b",
        b"prepare",
        b"prepare a.b as select 1",
        b"set",
        b"select 1_000$a$; execute b; $a$",
        b'execute U&"\\D83D"',
        b'execute U&"\\zzzz"',
        b'execute ""',
    ],
)
def test_what_cannot_be_told_is_unsure(text: bytes) -> None:
    assert classify(text).unsure


def test_without_standard_conforming_strings_a_backslash_escapes_a_quote() -> None:
    text = rb"select 'a\'; execute a; --'"

    assert kinds(text) == [K.OTHER, K.EXECUTE]
    found = classify(text, standard_conforming_strings=False)
    assert [command.kind for command in found.commands] == [K.OTHER]


@pytest.mark.parametrize(
    ("statement", "most"), [(b'reset "a";', PARSED_MAX), (b"reset a;", SPANS_MAX)]
)
def test_a_text_of_very_many_statements_is_unsure_rather_than_slow(
    statement: bytes, most: int
) -> None:
    found = classify(statement * (most + 1))

    assert found.unsure
    assert len(found.commands) == most


@pytest.mark.parametrize(
    "text",
    [b"execute a(1);" * (STATEMENTS_MAX + 1), b'reset "a";' * (PARSED_MAX + 1) + b"execute a"],
)
def test_no_execute_stands_beyond_the_limits(text: bytes) -> None:
    found = classify(text)

    assert not found.unsure
    assert len(found.commands) == text.count(b";") + (not text.endswith(b";"))
    assert found.commands[-1].name == b"a"


def test_there_is_a_limit_to_the_statements_of_every_text() -> None:
    found = split(b"execute a;" * (STATEMENTS_WITH_NAMES_MAX + 1))

    assert found.unsure
    assert len(found.spans) == STATEMENTS_WITH_NAMES_MAX


def test_ordinary_statements_far_into_a_text_are_found_together_and_counted() -> None:
    plain = b"insert into t values ('a;b', 1); update t set a = 1;\n"
    text = plain * ALONE_MAX + b"set a = 1; execute e; " + plain * 2 + b"select 'e'"

    commands = classify(text).commands

    assert sum(command.count for command in commands) == 2 * ALONE_MAX + 7
    assert len(commands) == ALONE_MAX + 5
    assert [(command.kind, command.count) for command in commands[ALONE_MAX:]] == [
        (K.OTHER, ALONE_MAX),
        (K.SET, 1),
        (K.EXECUTE, 1),
        (K.OTHER, 4),
        (K.OTHER, 1),
    ]


@pytest.mark.parametrize("text", [b"select %s into temp t", b"select %s, 'into temp t'"])
def test_what_a_very_long_select_may_make_temporary_it_does(text: bytes) -> None:
    assert only(text % b", ".join([b"1"] * TOKENS_MAX)).temporary


def test_a_very_long_select_of_other_words_makes_nothing_temporary() -> None:
    numbers = b", ".join([b"1"] * TOKENS_MAX)

    assert not only(b"select 'temp', %s into t" % numbers).temporary


def test_a_long_copy_is_looked_through_for_its_end() -> None:
    plain, nested = (
        b"copy (select %s) to stdout" % b", ".join([item] * INSIDE_MAX) for item in (b"1", b"(1)")
    )

    assert only(plain).copies == "TO STDOUT"
    assert classify(nested).unsure


@pytest.mark.parametrize(
    "inside",
    [
        b"select ')'",
        b"select e'\\')'",
        b"select $$)$$, $a$)$a$, $1",
        b'select ")", a$$, $1',
        b"select ')' ')'",
        b"select 1 -- )\n",
        b"select 1 /* ) /* ) */ ) */",
        b"select (1 - 2) / 3, U&'\\0029'",
        b"select ((1)), b')', x')', n')'",
    ],
)
def test_the_end_of_parentheses_is_where_the_server_finds_it(inside: bytes) -> None:
    assert only(b"copy (%s) to stdout" % inside).copies == "TO STDOUT"
    assert classify(b"copy (%s to stdout" % inside).unsure


def test_a_classifier_answers_the_same_within_its_bytes() -> None:
    classifier = Classifier(bytes_max=10_000)

    for number in range(100):
        text = b"execute a(%d)" % number
        assert classifier.classify(text) == classify(text)
        assert classifier.classify(text) == classify(text)
        assert classifier.bytes_used <= classifier.bytes_max


def test_a_classifier_keeps_the_two_meanings_of_a_backslash_apart() -> None:
    classifier = Classifier(bytes_max=100_000)
    text = rb"select 'a\'; execute a; --'"

    assert len(classifier.classify(text, True).commands) == 2
    assert len(classifier.classify(text, False).commands) == 1
    assert len(classifier.classify(text, True).commands) == 2


def test_a_text_too_large_to_remember_is_still_classified() -> None:
    classifier = Classifier(bytes_max=1_000)
    text = b"execute a('" + b"x" * 10_000 + b"')"

    assert classifier.classify(text) == classify(text)
    assert classifier.bytes_used == 0


@pytest.mark.parametrize(
    "rest",
    [
        *(b"a = 1", b"a=1", b"a to 1", b"A To on", b"a.B = 'x;y'", b"a = E'x', b", b"a to b, 'c'"),
        *(b"a = default", b"a = defaults", b"a to DEFAULT -- now", b"a = -1", b"a = --\n1"),
        *(b"role = x", b"role to 'x'", b"time = 1", b"session to 1", b"local = 1", b"names to x"),
        *(b"local to to 1", b"session authorization to 1", b"transaction = 1", b"schema to x"),
        *(b"a =1", b"a to", b"a to'x'", b"a= 'x", b"a.b.c = 1", b"a = (1)", b"x" * 70 + b" = 1"),
    ],
)
def test_a_set_means_the_same_whatever_stands_behind_its_first_word(rest: bytes) -> None:
    """The plainest forms take a shortcut, which a comment keeps a text from."""
    plain, commented = classify(b"set " + rest), classify(b"set/**/ " + rest)

    assert plain.unsure == commented.unsure
    for one, other in zip(plain.commands, commented.commands, strict=True):
        assert (one.kind, one.setting, one.value) == (other.kind, other.setting, other.value)
        assert (one.local, one.name, one.all) == (other.local, other.name, other.all)
