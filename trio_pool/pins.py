"""Why a client keeps its backend, and what the operator wants done about it.

A pin is state that lives in one backend and cannot be given to another. It has a reason, the
statement that may have made it, and a beginning; what finds it is trio_pool.relay.pins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from trio_pool.config.kinds import PinAction

TEMPORARY: Final = "temporary objects"
HOLD: Final = "cursor with hold"
LISTEN: Final = "listen"
LOCK: Final = "session advisory lock"
LOAD: Final = "load"
SEQUENCE: Final = "sequence"

# A server can say whether anything of these is left. Nothing tells of a LOAD.
ASKED_ABOUT: Final = frozenset({TEMPORARY, HOLD, LISTEN, LOCK})
# What ends every kind of state that a pin is for.
WIPE: Final = "DISCARD ALL"
_STATEMENT_BYTES_MAX: Final = 200

# Not a kind of state: code that was run and may have left some. Always asked about.
SUSPECT: Final = "code that was not looked into"
# Not a kind of state: the server would not say what the client has set.
UNREAD: Final = "settings that could not be read"

# What the configuration calls them (pin_policy).
KINDS: Final = {
    TEMPORARY: "temp",
    HOLD: "hold",
    LOCK: "lock",
    LISTEN: "listen",
    LOAD: "load",
    SEQUENCE: "sequence",
}

Reasons = tuple[str, ...]


@attrs.define(eq=False)
class Pin:
    """Why a client keeps its backend, and what it said that made it so."""

    reason: str
    statement: str
    # When it began by the pool's clock; 0 until the session has looked.
    since: float = 0.0
    # The server was asked, and did not say that nothing of it is left.
    certain: bool = False
    # The server says that nothing of it is left.
    over: bool = False
    # pin_policy wants a warning only.
    warns: bool = False
    # The functions that are suspected.
    calls: tuple[str, ...] = ()
    # LISTEN: what the server last said the backend listens to.
    channels: frozenset[bytes] = frozenset()


@attrs.define(eq=False)
class PinPolicy:
    """What pin_policy says, by reason."""

    refused: frozenset[str] = frozenset()
    warned: frozenset[str] = frozenset()
    # What another backend can have for the client.
    shared: frozenset[str] = frozenset()

    @classmethod
    def of(cls, actions: Iterable[tuple[str, PinAction]]) -> PinPolicy:
        """The policy that the setting describes."""
        by_kind = dict(actions)
        reasons = {
            action: frozenset(r for r, kind in KINDS.items() if by_kind.get(kind) is action)
            for action in PinAction
        }
        return cls(reasons[PinAction.REFUSE], reasons[PinAction.WARN], reasons[PinAction.SHARE])


def shortened(text: bytes) -> str:
    """A statement for people to recognise: one line of bounded length."""
    line = b" ".join(text[: 2 * _STATEMENT_BYTES_MAX].split())
    more = "..." if len(line) > _STATEMENT_BYTES_MAX or len(text) > 2 * len(line) + 100 else ""
    return line[:_STATEMENT_BYTES_MAX].decode("utf-8", "replace") + more


PIN_EVERYTHING: Final = PinPolicy()
