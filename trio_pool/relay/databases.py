"""What drops, renames, moves or copies a database: nobody else may be connected to it then.

A client's own backends are there for longer than the client. So the pool is told of the names in
front of the statement, and closes what no client needs any more (trio_pool.server.vacating).
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from protocol.sql.identifiers import identifier
from protocol.sql.lexer import TokenKind, tokens
from trio_pool.customs import NO_NAMES, Names
from trio_pool.relay.state import Relay

# As Command.keyword has them.
DATABASE_VERBS: Final = (b"CREATE", b"ALTER", b"DROP")
# Limit: all that matters is said at the beginning; options follow.
_TOKENS_MAX: Final = 64


def make_way(relay: Relay, text: bytes) -> None:
    """Tell the pool, if `text` is such a statement, which is about to be carried out."""
    names = databases_wanted(relay, text)
    if names:
        relay.pool.make_way(names)


def databases_wanted(relay: Relay, text: bytes) -> Names:
    """What `text` names, if it is such a statement. Others are left alone: only words are read."""
    if b"database" not in text.lower():
        return NO_NAMES
    return databases_named(text, relay.settings.standard_conforming_strings)


def databases_named(text: bytes, conforming: bool = True) -> frozenset[bytes]:
    """Every name in a CREATE, ALTER or DROP DATABASE, also of what is no database."""
    found = list(islice(tokens(text, 0, None, conforming), _TOKENS_MAX))
    if len(found) < 3 or found[0][0] is not TokenKind.WORD:
        return frozenset()
    verb, what = (text[start:stop].upper() for _, start, stop in found[:2])
    if verb not in DATABASE_VERBS or what != b"DATABASE":
        return frozenset()
    names = [identifier(text, token) for token in found[2:]]
    return frozenset([name for name in names if name is not None])
