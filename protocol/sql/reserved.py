"""Words that cannot name a prepared statement unless quoted.

PREPARE takes a name as its grammar's ColId: any identifier and any keyword but the two reserved
kinds (parser/kwlist.h, RESERVED_KEYWORD and TYPE_FUNC_NAME_KEYWORD). The sets only grow
between versions by words that no older server would refuse; those of all supported versions
stand here.
"""

from __future__ import annotations

from typing import Final

RESERVED: Final = frozenset(
    b"""
    all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create current_catalog current_date current_role current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign from
    grant group having in initially intersect into lateral leading limit localtime localtimestamp
    not null offset on only or order placing primary references returning select session_user
    some symmetric system_user table then to trailing true union unique user using variadic when
    where window with
    authorization binary collation concurrently cross current_schema freeze full ilike inner is
    isnull join left like natural notnull outer overlaps right similar tablesample verbose
    """.split()
)


def may_name(word: bytes) -> bool:
    """Whether a word, as written in SQL, can be the name of a prepared statement."""
    return word.lower() not in RESERVED
