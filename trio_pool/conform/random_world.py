"""Random scripts about everything a client can do with tables, settings, cursors and COPY.

They extend `random_scripts`, whose language a model understands, by what only a server does.
Data is changed by client 0 alone, so that the order of steps is the order of changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from trio_pool.conform.random_scripts import Segment, names, segment_data
from trio_pool.conform.script import FIND_OUT, Say, Script, Step
from trio_pool.conform.words import COPY_DONE, SYNC, copy_fail, data, describe, once, parse, query
from trio_pool.conform.words import run as use

READS: Final = (
    "select id, v from t order by id",
    "select * from t where id = 1",
    "select a from u order by a",
    "select loud(1)",
    "table other.t",
    "copy t to stdout",
    "select current_setting('datestyle'), current_setting('search_path')",
    "select date '2024-02-01', interval '1 day 02:03'",
    "select 'a\\nb'",
    "select count(*) from pg_cursors",
    "fetch 2 from c",
    "move 1 in c",
    "do $$ begin raise notice 'from do'; end $$",
)
SETS: Final = (
    "set search_path = other",
    "set search_path = public",
    "set local search_path = other",
    "set datestyle = 'german'",
    "set local datestyle = 'SQL, DMY'",
    "set intervalstyle = 'iso_8601'",
    "set standard_conforming_strings = off",
    "set work_mem = '1MB'",
    "select set_config('search_path', 'other', false)",
    "reset search_path",
    "reset all",
    "show search_path",
    "show work_mem",
)
CONTROL: Final = (
    "begin",
    "begin isolation level repeatable read",
    "commit",
    "rollback",
    "commit and chain",
    "savepoint s",
    "rollback to s",
    "release s",
    "declare c cursor for select id from t order by id",
    "close c",
    "close all",
)
CHANGES: Final = (
    "insert into u values (1)",
    "insert into u values (2)",
    "insert into late values (1)",
    "update t set v = v || '!' where id = 2",
    "delete from u",
    "truncate u",
    "alter table t add column extra int default 5",
    "alter table t drop column if exists extra",
    "create table made as select 1 as one",
    "drop table if exists made",
    "call in_two_steps()",
    "call in_one_step()",
)
_ROWS: Final = ("1\n", "2\n3\n", "bad\n", "")


def _one(name: str, text: str) -> bytes:
    return parse(name, text) + describe(name) + use(name) + SYNC


def _copied(extended: bool, rows: Sequence[str], finish: bool) -> bytes:
    end = COPY_DONE if finish else copy_fail("no")
    sent = b"".join(data(row) for row in rows) + end
    text = "copy u from stdin"
    return once(text) + sent + SYNC if extended else query(text) + sent


def _segments(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    lists = st.lists(texts, min_size=1, max_size=3)
    return st.one_of(
        st.builds(_one, names, texts),
        st.builds(lambda several: b"".join(once(text) for text in several) + SYNC, lists),
        st.builds(lambda several: query("; ".join(several)), lists),
    )


copies: Final = st.builds(
    _copied, st.booleans(), st.lists(st.sampled_from(_ROWS), max_size=3), st.booleans()
)
_harmless: Final = st.sampled_from((*READS, *SETS, *CONTROL))
_any: Final = st.sampled_from((*READS, *SETS, *CONTROL, *CHANGES))
_others: Final = st.one_of(segment_data, _segments(_harmless))
_first: Final = st.one_of(segment_data, _segments(_any), _segments(_any), copies)


def _step(segment: Segment) -> Step:
    return Say(segment.client, segment.data, ends(segment.data))


def ends(said: bytes) -> str:
    """How many ReadyForQuery a segment brings, as far as its messages tell."""
    kinds = [chr(kind) for kind in _kinds(said)]
    if "Q" in kinds and len(kinds) > 1 and not {"d", "c", "f"} & set(kinds):
        return FIND_OUT
    return "Z" * max(1, kinds.count("S"))


def _kinds(said: bytes) -> list[int]:
    found: list[int] = []
    while said:
        found.append(said[0])
        said = said[1 + int.from_bytes(said[1:5], "big") :]
    return found


def _named(steps: Sequence[Segment]) -> Script:
    return Script("a random script", tuple(_step(segment) for segment in steps))


def random_scripts(clients: int, length: int = 8) -> st.SearchStrategy[Script]:
    """Scripts of up to `clients` clients, each step of which ends at ReadyForQuery."""
    first = st.builds(Segment, st.just(0), _first)
    others = st.builds(Segment, st.integers(1, clients - 1), _others) if clients > 1 else first
    return st.lists(st.one_of(first, first, others), min_size=1, max_size=length).map(_named)
