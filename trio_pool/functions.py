"""Which functions leave nothing behind in the session that calls them, as far as a pool knows.

A function may do anything in its body, and its name does not say what. So the server is asked
after the first few transactions in which a SELECT calls it; one that never left anything is
innocent from then on, one that did is asked about for ever.
"""

from __future__ import annotations

import re
from typing import Final

from trio_pool.customs import NO_NAMES, Names
from trio_pool.shapes import Shapes
from trio_pool.watch import Watch

# Words before a parenthesis that are no functions; functions of the server that everybody calls;
# and those that are noticed by their names alone (trio_pool.relay.pins, trio_pool.settings).
INNOCENT: Final = frozenset(
    re.findall(
        r"\w+",
        """
    all and any array as between by case cast coalesce cross distinct else except exists filter
    from full greatest group having ilike in inner intersect into is join lateral least left like
    limit not notnull nullif offset on or order outer over overlaps partition right row rows
    select set similar some symmetric then union using values when where window with within
    xmlelement abs age array_agg array_length array_position array_to_json array_to_string avg
    bigint bool_and bool_or btrim ceil char char_length character chr clock_timestamp
    col_description concat concat_ws count current_database current_schema current_schemas
    current_setting current_timestamp date_part date_trunc decimal decode dense_rank encode every
    exp extract first_value float floor format format_type gen_random_uuid generate_series
    has_schema_privilege has_table_privilege initcap interval json_agg json_build_object jsonb_agg
    jsonb_build_object json_object_agg jsonb_object_agg jsonb_set lag last_value lead length ln
    log lower lpad ltrim make_date max md5 min mod now numeric obj_description
    pg_advisory_xact_lock pg_backend_pid pg_encoding_to_char pg_get_constraintdef pg_get_expr
    pg_get_indexdef pg_get_userbyid pg_get_viewdef pg_is_in_recovery pg_relation_size pg_sleep
    pg_table_is_visible pg_total_relation_size pg_try_advisory_xact_lock position power
    quote_ident quote_literal random rank regexp_match regexp_matches regexp_replace repeat
    replace reverse round row_number row_to_json rpad rtrim sign split_part sqrt starts_with
    statement_timestamp string_agg set_config pg_advisory_lock pg_advisory_lock_shared
    pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
    pg_advisory_xact_lock_shared pg_listening_channels pg_notify pg_try_advisory_lock
    pg_try_advisory_lock_shared currval lastval nextval setval string_agg string_to_array strpos
    substr substring sum time timestamp timestamptz to_char to_date to_json to_jsonb to_number
    to_regclass to_regtype to_timestamp to_tsquery to_tsvector translate trim trunc ts_rank unnest
    upper varchar version
    """,
    )
)

_GUILTY: Final = -1
# What a DO block calls, which may be anything.
CODE: Final = "do"
# What makes code that other statements may set off.
MAKES_CODE: Final = "create"
_NEVER_TRUSTED: Final = {CODE: _GUILTY, MAKES_CODE: _GUILTY}


class Functions:
    """What one pool has learned; names as they are written, in lower case and without schema."""

    __slots__ = ("innocent", "pattern", "customs", "stale", "shapes", "_trials")

    # Limit: names remembered; beyond, the pool learns anew.
    NAMES_MAX: Final = 20_000
    TRIALS: Final = 3

    def __init__(self) -> None:
        self.innocent: set[str] = set(INNOCENT)
        # What no harmless text names, and the custom settings that are made there.
        self.pattern: re.Pattern[str] | None = None
        self.customs: Names = NO_NAMES
        # The catalogues were not asked since a client has made code.
        self.stale = True
        # Of texts that were harmless as far as all this tells.
        self.shapes = Shapes()
        self._trials: dict[str, int] = dict(_NEVER_TRUSTED)

    def watch(self, found: Watch) -> None:
        """What the catalogues told."""
        self.pattern, self.customs = found.pattern, found.customs
        self.shapes.clear()

    def watched(self, text: bytes) -> tuple[str, ...]:
        """What a text calls that names code which leaves something behind: anything, or nothing."""
        pattern = self.pattern
        if pattern is None or pattern.search(text.lower().decode("latin-1")) is None:
            return ()
        return (CODE,)

    def learn(self, calls: tuple[str, ...], guilty: bool) -> None:
        """The server was asked after a transaction that called these."""
        if len(self._trials) + len(self.innocent) > self.NAMES_MAX:
            self._trials = dict(_NEVER_TRUSTED)
            self.innocent = set(INNOCENT)
            self.shapes.clear()
        for name in calls:
            passed = self._trials.get(name, 0)
            if guilty or passed == _GUILTY:
                self._trials[name] = _GUILTY
            elif passed + 1 < self.TRIALS:
                self._trials[name] = passed + 1
            else:
                self._trials.pop(name, None)
                self.innocent.add(name)
