"""SET and RESET, in all their forms (src/backend/parser/gram.y, VariableSetStmt).

A setting is found under the label `setting`, one column for each part of its name, or under
`known_as` when the statement has a name of its own for it, such as TIME ZONE.
"""

from __future__ import annotations

import pyparsing as pp

from protocol.sql.grammar_words import (
    ANY_SYMBOL,
    NAME_SYMBOL,
    all_of_them,
    end,
    keywords,
    kind,
    labelled,
    tag,
)

_variable = pp.DelimitedList(labelled(NAME_SYMBOL, "setting*"), delim=".")
_default = keywords("DEFAULT") + end
_value = _default | labelled(ANY_SYMBOL, "value")
_transaction_modes = keywords("TRANSACTION") + kind("set transaction")
_characteristics = keywords("SESSION CHARACTERISTICS") + kind("set session characteristics")


def _known_as(setting: str) -> pp.ParserElement:
    return tag("known_as", setting) + kind("set")


_assignment = (_variable + (keywords("TO") | pp.Literal("=").suppress()) + _value + kind("set")) | (
    _variable + keywords("FROM CURRENT") + kind("set")
)
_set_in_words = (
    _transaction_modes
    | _characteristics
    | (keywords("TIME ZONE") + _known_as("timezone") + ((keywords("LOCAL") + end) | _value))
    | (keywords("SESSION AUTHORIZATION") + _known_as("session_authorization") + _value)
    | (keywords("XML OPTION") + _known_as("xmloption") + _value)
    | (keywords("NAMES") + _known_as("client_encoding") + pp.Opt(_value))
    | (keywords("ROLE") + _known_as("role") + _value)
    | (keywords("SCHEMA") + _known_as("search_path") + _value)
)
_set_something = _assignment | _set_in_words
# Why the words without a scope first: SESSION, LOCAL and the like may begin a setting's name.
set_rule = keywords("SET") + (
    _set_something
    | (keywords("CONSTRAINTS") + kind("set constraints"))
    | (keywords("LOCAL") + tag("local") + _set_something)
    | (keywords("SESSION") + _set_something)
)
reset_rule = (
    keywords("RESET")
    + (
        (all_of_them + end)
        | (keywords("TIME ZONE") + tag("known_as", "timezone"))
        | (keywords("SESSION AUTHORIZATION") + tag("known_as", "session_authorization"))
        | (keywords("TRANSACTION ISOLATION") + tag("known_as", "transaction_isolation"))
        | _variable
    )
    + kind("reset")
)
