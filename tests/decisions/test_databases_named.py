"""Which databases a statement wants for itself."""

from __future__ import annotations

import pytest

from trio_pool.functions import Functions
from trio_pool.relay.databases import databases_named
from trio_pool.relay.hints import harmless


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"drop database shop", b"shop"),
        (b"DROP DATABASE IF EXISTS Shop WITH (FORCE);", b"shop"),
        (b'Drop Database "My ""Shop"""', b'My "Shop"'),
        (b" \n/* by */ drop -- it\n database\tshop ", b"shop"),
        (b"create database copy with owner me template shop", b"shop"),
        (b"create database copy template=shop", b"shop"),
        (b"alter database shop rename to store", b"shop"),
        (b'alter database U&"sh\\006Fp" set tablespace fast', b"shop"),
    ],
)
def test_it_is_named_and_never_passes_for_harmless(text: bytes, name: bytes) -> None:
    assert name in databases_named(text)
    assert not harmless(text, Functions())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"drop",
        b"drop database",
        b"drop table database",
        b"create table database_users (name text)",
        b"alter table t add column database text",
        b"comment on database shop is 'x'",
        b"select 'drop database shop'",
        b"-- drop database shop\nselect 1",
    ],
)
def test_other_statements_want_none(text: bytes) -> None:
    assert databases_named(text) == frozenset()


@pytest.mark.parametrize("text", [b"drop table t", b"alter table t add column database text"])
def test_other_changes_of_the_schema_are_as_harmless_as_ever(text: bytes) -> None:
    assert harmless(text, Functions())
