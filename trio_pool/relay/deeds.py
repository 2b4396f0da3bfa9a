"""What PREPARE and DEALLOCATE in a text do to the books, and how that is taken back.

A Deed is done when the server reports its command done. What the server understood of a statement
that SQL prepared is asked behind it: PREPARE itself says nothing.
"""

from __future__ import annotations

import attrs

from protocol import frontend
from protocol.ledger import DROP, Owed
from protocol.pipeline import HIDDEN
from protocol.tags import FrontendTag
from trio_pool.relay.effects import Description
from trio_pool.relay.state import BackendState, Relay
from trio_pool.statements import Statement


@attrs.define(eq=False)
class Deed:
    """What one command does to the books when the server reports it done."""

    prepares: bool
    name: bytes
    statement: Statement
    server_name: bytes
    # The server name is a stand-in's: the statement itself is not on this backend.
    stand_in: bool = False
    done: bool = False
    # What the client's name meant before it was done.
    before: Statement | None = None


def do_deed(relay: Relay, backend: BackendState, deed: Deed) -> None:
    """The server reports the command done: the books follow."""
    deed.done = True
    if deed.prepares:
        # The portal may be gone, and its name the client's for something else by now.
        deed.before = relay.client.names.get(deed.name)
        relay.client.put(deed.name, deed.statement)
        backend.statements.names[deed.statement] = deed.server_name
    else:
        relay.client.take(deed.name)
        if not deed.stand_in:
            backend.statements.drop_name(deed.server_name)


def undo_deed(relay: Relay, backend: BackendState, deed: Deed) -> None:
    """Take back a deed that was believed too early."""
    deed.done = False
    if deed.prepares:
        if relay.client.names.get(deed.name) is deed.statement:
            relay.client.take(deed.name)
            if deed.before is not None and not deed.before.refused:
                relay.client.put(deed.name, deed.before)
        backend.statements.drop(deed.statement)
        return
    if deed.name not in relay.client.names and not deed.statement.refused:
        relay.client.put(deed.name, deed.statement)
    leave_stand_in(backend, deed)
    if not deed.stand_in:
        backend.statements.names.setdefault(deed.statement, deed.server_name)


def leave_stand_in(backend: BackendState, deed: Deed) -> None:
    """A stand-in that was not deallocated after all is closed on the next occasion."""
    if deed.stand_in:
        backend.doomed.append(deed.server_name)


def ask_about_prepared(relay: Relay, backend: BackendState) -> None:
    """Ask what the server understood of all that was prepared by SQL, in a segment of our own.

    Only outside of a transaction: a question that fails would make the client's fail.
    """
    asked = False
    for deed in relay.unasked:
        if backend.statements.names.get(deed.statement) == deed.server_name:
            entry = ask_about(relay, backend, deed)
            assert isinstance(entry.effect, Description)
            entry.effect.alone = True
            backend.pipeline.owe(entry)
            asked = True
    relay.unasked = ()
    if asked:
        relay.to_server.append(frontend.sync())
        backend.pipeline.owe_closing(HIDDEN[FrontendTag.SYNC])


def ask_about(relay: Relay, backend: BackendState, deed: Deed) -> Owed:
    """Send a Describe of what PREPARE made; the caller puts its entry into the ledger."""
    relay.to_server.append(frontend.describe_statement(deed.server_name))
    effect = Description(relay, backend, deed.name, deed.statement, deed.server_name)
    return Owed(FrontendTag.DESCRIBE, DROP, effect)
