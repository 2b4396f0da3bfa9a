"""Taking a backend and giving it back, as far as the books are concerned.

A backend comes with the settings of whoever had it before; what differs from the client's
travels in front of the client's own bytes, its replies dropped. It is a transaction block: should
the server refuse a part of it, the block is left open and failed, in which the client's own
statements, on their way already, are refused as well. The session then ends
(relay.replies, errors.SettingsNotRestored).
"""

from __future__ import annotations

import re
from typing import Final

from protocol import frontend
from protocol.backend import parameter_status
from protocol.ledger import DROP, Owed
from protocol.tags import FrontendTag
from trio_pool.channels import AWAY
from trio_pool.relay.about import leave_plan
from trio_pool.relay.crossing import begin_to_return
from trio_pool.relay.effects import Indispensable
from trio_pool.relay.state import NO_STATEMENTS, BackendState, Relay
from trio_pool.relay.upstream import take_from_client
from trio_pool.settings import applied, difference, told_otherwise

_FORGET: Final = b"DISCARD SEQUENCES"
# Why the modes: what the last client has as defaults must neither block nor fail this.
_TOGETHER: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE; %b; COMMIT"

# Words that end a failed block, so that something behind them may have been done in it.
_LEAVES: Final = re.compile(rb"\b(?:rollback|abort|commit|end)\b")


class SettingsRestored(Indispensable):
    """Our own query that gives the backend the client's settings."""

    __slots__ = ("relay", "backend")

    def __init__(self, relay: Relay, backend: BackendState):
        self.relay = relay
        self.backend = backend

    def settled(self) -> None:
        self.relay.taken_back = False
        applied(self.relay.settings, self.backend.settings)
        _tell(self.relay, self.backend)


def attach(relay: Relay, backend: BackendState) -> None:
    """`backend` is the client's until `detach`; its waiting messages are handled now."""
    relay.backend = backend
    if backend.settings.environment is not relay.settings.environment:
        _restore_settings(relay, backend)
    if relay.parts:
        proceed(relay)


def _restore_settings(relay: Relay, backend: BackendState) -> None:
    listening = relay.listening
    if listening is not None and listening.place == AWAY:
        relay.settings.come_back()
        begin_to_return(relay, backend, listening)
        # No backend has these settings if it has not been given them.
        if backend.settings.environment is relay.settings.environment:
            return
    sql = difference(relay.settings, backend.settings)
    if relay.pool.sequences_matter and backend.sequences_of is not relay.client:
        sql = _FORGET if sql is None else _FORGET + b"; " + sql
    if sql is None:
        _tell(relay, backend)
        return
    relay.counters.settings_restored += 1
    relay.to_server.append(frontend.query(_TOGETHER % sql))
    effect = SettingsRestored(relay, backend)
    backend.pipeline.owe_closing(Owed(FrontendTag.QUERY, DROP, effect))
    backend.statements.unnamed = None


def _tell(relay: Relay, backend: BackendState) -> None:
    """Report what is in force and was not before the server read its configuration again."""
    for name, value in told_otherwise(relay.settings, backend.settings):
        relay.settings.reported(name, value)
        relay.to_client.append(parameter_status(name, value))
    backend.settings.environment = relay.settings.environment


def proceed(relay: Relay) -> None:
    """Handle the client bytes that were kept back."""
    relay.resume = False
    if relay.parts:
        relay.parts_needed = 0
        relay.wants_backend = False
        take_from_client(relay, b"")


def take_back(relay: Relay) -> bool:
    """The backend refused the client's settings: keep what the client said for another one.

    False when the session cannot go on: it was refused before, or what was said is not known any
    more. Otherwise nothing of it was done, the pipeline is abandoned, and the caller detaches.
    """
    backend, said, listening = relay.backend, relay.redo, relay.listening
    if listening is not None and listening.crossing is not None:
        # Nothing was said: all of it waits for the client to be at home.
        said = b""
    elif not said:
        return False
    if backend is None or relay.taken_back or relay.up_passing or relay.up_dropping:
        return False
    head = backend.pipeline.owed.head
    if head is None or not isinstance(head.effect, SettingsRestored):
        return False
    if _LEAVES.search(said.lower()):
        return False
    backend.pipeline.abandon()
    if listening is not None and listening.crossing is not None:
        listening.stay_away()
        relay.settings.depart()
    relay.taken_back = True
    relay.redo = b""
    relay.redoing = False
    relay.hold = None
    relay.to_server.clear()
    relay.to_client.clear()
    if said:
        relay.parts.insert(0, said)
    relay.parts_bytes = sum([len(part) for part in relay.parts])
    relay.wants_backend = True
    return True


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
    relay.setting_segment = -1
    relay.counters.transactions += 1
    return backend


def _leave_plans(relay: Relay, backend: BackendState) -> None:
    for plan in {*relay.plans.values(), *relay.portals.values()}:
        leave_plan(backend, plan)
    relay.plans.clear()
