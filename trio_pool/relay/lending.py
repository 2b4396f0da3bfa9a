"""Taking a backend and giving it back, as far as the books are concerned.

A backend comes with the settings of whoever had it before; what differs from the client's
travels in front of the client's own bytes, its replies dropped.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.pipeline import DROP, Effect, Owed
from protocol.tags import FrontendTag
from trio_pool.relay.about import leave_stand_in
from trio_pool.relay.state import NO_STATEMENTS, BackendState, Relay
from trio_pool.relay.upstream import take_from_client
from trio_pool.settings import applied, difference

_FORGET: Final = b"DISCARD SEQUENCES"


class SettingsRestored(Effect):
    """Our own query that gives the backend the client's settings."""

    __slots__ = ("relay", "backend")

    def __init__(self, relay: Relay, backend: BackendState):
        self.relay = relay
        self.backend = backend

    def settled(self) -> None:
        applied(self.relay.settings, self.backend.settings)


def attach(relay: Relay, backend: BackendState) -> None:
    """`backend` is the client's until `detach`; its waiting messages are handled now."""
    relay.backend = backend
    if backend.settings.environment is not relay.settings.environment:
        _restore_settings(relay, backend)
    if relay.parts:
        proceed(relay)


def _restore_settings(relay: Relay, backend: BackendState) -> None:
    sql = difference(relay.settings, backend.settings)
    if relay.pool.sequences_matter and backend.sequences_of is not relay.client:
        sql = _FORGET if sql is None else _FORGET + b"; " + sql
    if sql is None:
        return
    relay.counters.settings_restored += 1
    relay.to_server.append(frontend.query(sql))
    effect = SettingsRestored(relay, backend)
    backend.pipeline.owe_closing(Owed(FrontendTag.QUERY, DROP, effect))
    backend.statements.unnamed = None


def proceed(relay: Relay) -> None:
    """Handle the client bytes that were kept back."""
    relay.resume = False
    if relay.parts:
        relay.parts_needed = 0
        relay.wants_backend = False
        take_from_client(relay, b"")


def detach(relay: Relay) -> BackendState:
    """The client no longer holds its backend; what belonged to the lease is forgotten."""
    backend = relay.backend
    assert backend is not None
    relay.backend = None
    if relay.pool.sequences_matter:
        # The next one must look.
        backend.settings.environment = None
        backend.sequences_of = relay.client
    if relay.plans:
        _leave_plans(relay, backend)
    # Why the questions: nearly always there is nothing, and a call costs more than a look.
    if relay.portals:
        relay.portals.clear()
    if relay.aliases:
        relay.aliases.clear()
    relay.stale = NO_STATEMENTS
    relay.in_use = NO_STATEMENTS
    relay.unasked = ()
    relay.unnamed_last = None
    relay.query_refused = False
    relay.settings_suspect = False
    relay.counters.transactions += 1
    return backend


def _leave_plans(relay: Relay, backend: BackendState) -> None:
    for plan in relay.plans.values():
        for deed in plan.deeds:
            if deed is not None and not deed.done:
                leave_stand_in(backend, deed)
    relay.plans.clear()
