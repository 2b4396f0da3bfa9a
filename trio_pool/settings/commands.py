"""SQL that sets settings, and asks for all that a session has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trio_pool.settings.environments import canonical


def quote_literal(value: bytes) -> bytes:
    """A string constant that reads the same whatever standard_conforming_strings says."""
    quoted = value.replace(b"'", b"''")
    if b"\\" in quoted:
        return b"E'" + quoted.replace(b"\\", b"\\\\") + b"'"
    return b"'" + quoted + b"'"


def rank(name: bytes) -> int:
    """Who we are comes first, as whom we act comes last: rights depend on both."""
    return {b"session_authorization": 0, b"role": 2}.get(name, 1)


def set_config(name: bytes, literal: bytes, local: bytes = b"false") -> bytes:
    """A call that sets `name` to what `literal` says."""
    return b"pg_catalog.set_config(" + quote_literal(name) + b", " + literal + b", %b)" % local


def set_all(values: dict[bytes, bytes]) -> bytes:
    """SQL that sets all of these, which must not be empty."""
    calls = [set_config(name, quote_literal(values[name])) for name in sorted(values, key=rank)]
    return b"SELECT " + b", ".join(calls)


# Every setting of the session, whatever made it one, and whether it is a custom one. Why
# current_setting: pg_settings shows values in base units and hides these two, which decide about
# rights. Those of the transaction alone are taken for the session's when they were set once.
QUESTION: Final = (
    b"SELECT name, pg_catalog.current_setting(name), false FROM %b"
    b" WHERE source OPERATOR(pg_catalog.=) 'session'"
    b" AND name OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation',"
    b" 'transaction_read_only', 'transaction_deferrable'])"
    b" UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text, false"
    b" UNION ALL SELECT 'role', pg_catalog.current_setting('role'), false"
)
# Those that no library has defined; pg_settings does not list them.
_CUSTOM_QUESTION: Final = (
    b"WITH known AS (SELECT name, source FROM pg_catalog.pg_settings) %b"
    b" UNION ALL SELECT name, pg_catalog.current_setting(name, true), true"
    b" FROM pg_catalog.unnest(%b::pg_catalog.text[]) AS custom (name)"
    b" WHERE pg_catalog.current_setting(name, true) IS NOT NULL"
    b" AND NOT EXISTS (SELECT FROM known"
    b" WHERE pg_catalog.lower(known.name) OPERATOR(pg_catalog.=) custom.name)"
)


def question(customs: Collection[bytes]) -> bytes:
    """SQL that asks for every setting of the session, the custom ones by name."""
    if not customs:
        return QUESTION % b"pg_catalog.pg_settings"
    names = b",".join([b'"' + name + b'"' for name in sorted(customs)])
    return _CUSTOM_QUESTION % (QUESTION % b"known", quote_literal(b"{" + names + b"}"))


def decode_answer(row: bytes) -> tuple[bytes, bytes, bool]:
    """Name, value and whether it is custom in one DataRow body of the answer to `question`."""
    name_stop = 6 + int.from_bytes(row[2:6], "big")
    value_stop = name_stop + 4 + int.from_bytes(row[name_stop : name_stop + 4], "big")
    name, value = row[6:name_stop], row[name_stop + 4 : value_stop]
    return canonical(name), value, row[value_stop + 4 :] == b"t"
