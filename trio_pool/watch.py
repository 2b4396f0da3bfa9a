"""What a server's catalogues say about code that leaves something behind in its session.

A trigger, a default, a rule or a policy may call set_config, lock or make temporary tables, and
the statement that sets it off shows no word of it. So each pool asks once, when its first backend
is open, and again when a client creates such code or some minutes have passed: which functions say
so in their bodies, which functions, tables and views lead to them. What names one of these is
asked about like a DO block; everything else costs a look at None.

Not found: bodies in C, names put together at run time, operators, casts, and what a body of the
kind BEGIN ATOMIC calls of the server's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from protocol.backend import decode_data_row
from trio_pool.customs import NO_NAMES, Names, names_in

# Limits: beyond, the catalogue has too much of it to be told apart by names.
NAMES_MAX: Final = 1_000
_BODY_CHARACTERS_MAX: Final = 20_000

# In a body without its comments and without calls of set_config that end with the transaction. A
# command is the first word of a statement; UPDATE has a SET, but not there.
_STATEMENT: Final = r"(^|[;''$]|\mbegin\M|\mthen\M|\melse\M|\mloop\M)\s*"
_WORDS: Final = (
    r"\mset_config\M"
    r"|\mpg_(try_)?advisory_lock(_shared)?\M"
    r"|\mcreate\s+((local|global)\s+)?temp(orary)?\M(?!.*\mon\s+commit\s+drop\M)"
    r"|\minto\s+temp(orary)?\M"
    r"|\mwith\s+hold\M"
    f"|{_STATEMENT}"
    r"(set|reset|listen|load)\s+(?!local\M|constraints\M|transaction\M)[a-z"
    '"]'
)
_LOCAL_CALL: Final = (
    r"\mset_config\s*\(([^;()]|\(([^;()]|\(([^;()]|\([^;()]*\))*\))*\))*,\s*true\s*\)"
)

# Kind (f or r), name, and the body of what has one. One Query, so that the path is the
# statement's own.
LOOK: Final = (
    "SET LOCAL search_path = pg_catalog;"
    " WITH RECURSIVE bodies AS MATERIALIZED ("
    "SELECT p.oid AS id, lower(p.proname::text) AS name,"
    " regexp_replace(lower(p.prosrc), '--[^\\n]*', ' ', 'g') AS body"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    " WHERE l.lanname NOT IN ('internal', 'c') AND p.oid >= 16384"
    "), calls AS MATERIALIZED ("
    "SELECT ':funcid (' || string_agg(oid::text, '|') || ')\\M' AS pattern"
    " FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN"
    " ('set_config', 'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock',"
    " 'pg_try_advisory_lock_shared')"
    "), found (kind, id, name) AS ("
    "SELECT 'f', id, name FROM bodies"
    f" WHERE CASE WHEN position('set_config' IN body) = 0 THEN body"
    f" ELSE regexp_replace(body, '{_LOCAL_CALL}', ' ', 'g') END ~ '{_WORDS}'"
    " UNION SELECT 'r', c.oid, lower(c.relname::text) FROM calls, LATERAL ("
    "SELECT adrelid FROM pg_catalog.pg_attrdef WHERE adbin::text ~ pattern"
    " UNION ALL SELECT polrelid FROM pg_catalog.pg_policy"
    " WHERE concat(polqual::text, polwithcheck::text) ~ pattern"
    " UNION ALL SELECT ev_class FROM pg_catalog.pg_rewrite"
    " WHERE ev_class >= 16384 AND ev_action::text ~ pattern"
    ") AS says (id) JOIN pg_catalog.pg_class c ON c.oid = says.id"
    " UNION SELECT more.* FROM found, LATERAL ("
    "SELECT 'f', b.id, b.name FROM bodies b WHERE position(found.name IN b.body) > 0"
    r" AND b.body ~ ('\m' || regexp_replace(found.name, '\W', '.', 'g') || '\M')"
    " UNION ALL SELECT 'f', d.objid, lower(p.proname::text) FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.objid WHERE d.classid = 'pg_proc'::regclass"
    " AND d.refclassid = 'pg_proc'::regclass AND found.kind = 'f' AND d.refobjid = found.id"
    " UNION ALL SELECT 'r', c.oid, lower(c.relname::text) FROM pg_catalog.pg_class c"
    " WHERE c.oid IN ("
    "SELECT tgrelid FROM pg_catalog.pg_trigger"
    " WHERE found.kind = 'f' AND tgfoid = found.id AND tgenabled <> 'D'"
    " UNION ALL SELECT coalesce(a.adrelid, nullif(n.conrelid, 0), y.polrelid, w.ev_class)"
    " FROM pg_catalog.pg_depend d"
    " LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid"
    " LEFT JOIN pg_catalog.pg_constraint n"
    " ON d.classid = 'pg_constraint'::regclass AND n.oid = d.objid"
    " LEFT JOIN pg_catalog.pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid"
    " LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid"
    " WHERE d.refobjid = found.id AND d.refclassid ="
    " CASE found.kind WHEN 'f' THEN 'pg_proc'::regclass ELSE 'pg_class'::regclass END"
    " AND (found.kind = 'f' OR d.classid = 'pg_rewrite'::regclass)"
    " UNION ALL SELECT inhparent FROM pg_catalog.pg_inherits"
    " WHERE found.kind = 'r' AND inhrelid = found.id"
    " UNION ALL SELECT confrelid FROM pg_catalog.pg_constraint WHERE found.kind = 'r'"
    " AND conrelid = found.id AND contype = 'f' AND confrelid <> found.id"
    " AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')))"
    ") AS more (kind, id, name))"
    f" SELECT found.kind, found.name, left(b.body, {_BODY_CHARACTERS_MAX})"
    " FROM found LEFT JOIN bodies b ON found.kind = 'f' AND b.id = found.id"
    f" ORDER BY 1, 2 LIMIT {NAMES_MAX}"
).encode()


@attrs.frozen
class Watch:
    """What a text must not name to be taken for harmless, and custom settings made there."""

    pattern: re.Pattern[str] | None = None
    customs: Names = NO_NAMES


NOTHING_WATCHED: Final = Watch()


def watch_for(rows: Iterable[bytes]) -> Watch:
    """The Watch that the answer to `LOOK` asks for; `rows` are the bodies of its DataRows."""
    names: set[str] = set()
    customs = NO_NAMES
    for row in rows:
        _, name, body = decode_data_row(row).values
        if name:
            names.add(name.decode("utf-8", "replace"))
        if body:
            customs |= names_in(body)
    if not names:
        return NOTHING_WATCHED
    # Why latin-1: that is how texts are looked at.
    spelled = sorted(re.escape(name.encode().decode("latin-1")) for name in names)
    return Watch(re.compile(rf"\b(?:{'|'.join(spelled)})\b"), customs)
