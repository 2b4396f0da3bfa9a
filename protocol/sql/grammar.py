"""The grammar of the statements that touch a session, over a line of symbols.

It follows src/backend/parser/gram.y only as far as a statement's effect depends on it, and never
looks beyond: what is wrong later in the statement is for the server to refuse. `symbols` explains
what it is given. A rule leaves columns of the line under these labels: name, types, body,
setting, value; and it tags the command with its kind and other facts.
"""

from __future__ import annotations

from typing import Final

import pyparsing as pp

from protocol.sql.grammar_settings import reset_rule, set_rule
from protocol.sql.grammar_words import (
    ANY_SYMBOL,
    all_of_them,
    keywords,
    kind,
    labelled,
    name,
    one_of,
    parentheses,
    qualified,
    some_name,
    string,
    tag,
)

_prepare = (keywords("PREPARE TRANSACTION") + string + kind("prepare transaction")) | (
    keywords("PREPARE")
    + name
    + pp.Opt(labelled(r"\(\)", "types"))
    + keywords("AS")
    + labelled(ANY_SYMBOL, "body")
    + kind("prepare")
)
_execute = keywords("EXECUTE") + name + kind("execute")
_deallocate = (
    keywords("DEALLOCATE")
    # Why in this order: PREPARE is also a name that a statement may have.
    + ((keywords("PREPARE") + (all_of_them | name)) | all_of_them | name)
    + kind("deallocate")
)
_discard = (
    keywords("DISCARD")
    + (
        (all_of_them + tag("discards", "ALL"))
        | (keywords("PLANS") + tag("discards", "PLANS"))
        | (keywords("SEQUENCES") + tag("discards", "SEQUENCES"))
        | (one_of("TEMP TEMPORARY") + tag("discards", "TEMP"))
    )
    + kind("discard")
)

_listen = keywords("LISTEN") + name + kind("listen")
_unlisten = (
    keywords("UNLISTEN") + ((pp.Literal("*").suppress() + tag("all")) | name) + kind("unlisten")
)
_notify = keywords("NOTIFY") + name + kind("notify")

_cursor_option = one_of("BINARY INSENSITIVE ASENSITIVE SCROLL") | keywords("NO SCROLL")
_declare = (
    keywords("DECLARE")
    + name
    + pp.ZeroOrMore(_cursor_option)
    + keywords("CURSOR")
    + pp.Opt((keywords("WITH HOLD") + tag("hold")) | keywords("WITHOUT HOLD"))
    + kind("declare")
)
_close = keywords("CLOSE") + (all_of_them | name) + kind("close")

_block = pp.Opt(one_of("WORK TRANSACTION"))
_chained = _block + pp.Opt(keywords("AND CHAIN") + tag("chain"))
_begin = (keywords("BEGIN") | keywords("START TRANSACTION")) + kind("begin")
_commit = one_of("COMMIT END") + (
    (keywords("PREPARED") + kind("commit prepared")) | (_chained + kind("commit"))
)
_to_savepoint = _block + keywords("TO") + ((keywords("SAVEPOINT") + name) | name)
_rollback = one_of("ROLLBACK ABORT") + (
    (keywords("PREPARED") + kind("rollback prepared"))
    | (_to_savepoint + kind("rollback to"))
    | (_chained + kind("rollback"))
)
_savepoint = keywords("SAVEPOINT") + name + kind("savepoint")
_release = keywords("RELEASE") + ((keywords("SAVEPOINT") + name) | name) + kind("release")

_temporary = pp.Opt(one_of("LOCAL GLOBAL")) + one_of("TEMPORARY TEMP") + tag("temporary")
_storage = (
    pp.Opt(keywords("USING") + some_name)
    + pp.Opt((keywords("WITH") + parentheses) | keywords("WITHOUT OIDS"))
    + pp.Opt(
        keywords("ON COMMIT") + (keywords("DROP") | (one_of("DELETE PRESERVE") + keywords("ROWS")))
    )
    + pp.Opt(keywords("TABLESPACE") + some_name)
)
_create_as_execute = (
    keywords("CREATE")
    + pp.Opt(_temporary | keywords("UNLOGGED"))
    + keywords("TABLE")
    + pp.Opt(keywords("IF NOT EXISTS"))
    + qualified
    + pp.Opt(parentheses)
    + _storage
    + keywords("AS")
    + _execute
)
_create_other = keywords("CREATE") + pp.Opt(keywords("OR REPLACE")) + pp.Opt(_temporary)
_create = (_create_as_execute + tag("within", "CREATE TABLE AS")) | (_create_other + kind("create"))
_explain_options = parentheses | (pp.Opt(one_of("ANALYZE ANALYSE")) + pp.Opt(keywords("VERBOSE")))
_explain = (
    keywords("EXPLAIN")
    + _explain_options
    + (
        ((_execute | _create_as_execute) + tag("within", "EXPLAIN"))
        | (pp.Opt(_create_other) + kind("explain"))
    )
)

_copied = (qualified + pp.Opt(parentheses)) | parentheses
_copy_direction = (
    (keywords("FROM") + one_of("STDIN STDOUT") + tag("copies", "FROM STDIN"))
    | (keywords("TO") + one_of("STDIN STDOUT") + tag("copies", "TO STDOUT"))
    | one_of("FROM TO")
)
_copy = (
    keywords("COPY")
    + ((_copied + _copy_direction) | (keywords("BINARY") + _copied + _copy_direction))
    + kind("copy")
)

RULES: Final[dict[str, pp.ParserElement]] = {
    "ABORT": _rollback,
    "BEGIN": _begin,
    "CALL": keywords("CALL") + kind("call"),
    "CLOSE": _close,
    "COMMIT": _commit,
    "COPY": _copy,
    "CREATE": _create,
    "DEALLOCATE": _deallocate,
    "DECLARE": _declare,
    "DISCARD": _discard,
    "DO": keywords("DO") + kind("do"),
    "END": _commit,
    "EXECUTE": _execute,
    "EXPLAIN": _explain,
    "LISTEN": _listen,
    "LOAD": keywords("LOAD") + kind("load"),
    "LOCK": keywords("LOCK") + kind("lock"),
    "NOTIFY": _notify,
    "PREPARE": _prepare,
    "RELEASE": _release,
    "RESET": reset_rule,
    "ROLLBACK": _rollback,
    "SAVEPOINT": _savepoint,
    "SET": set_rule,
    "START": _begin,
    "UNLISTEN": _unlisten,
}
"""The rule for each first word. Other statements have none: they are what they are."""


def parse(keyword: str, line: str) -> pp.ParseResults | None:
    """What the rule for this first word finds in the line; None if the line does not follow it."""
    try:
        return RULES[keyword].parse_string(line)
    except pp.ParseBaseException:
        return None
