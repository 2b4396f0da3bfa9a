"""Client bytes are held back until the server, which is asked to at once, has answered."""

from __future__ import annotations

from protocol import frontend
from protocol.ledger import FAKE, Effect, Owed
from protocol.tags import FrontendTag
from trio_pool.relay.state import BackendState, Relay


def wait(relay: Relay, entry: Owed) -> None:
    """Let the server answer now, and the client's bytes wait until it has."""
    relay.to_server.append(frontend.flush())
    relay.hold_for(entry)


def wait_for_all(relay: Relay, backend: BackendState, effect: Effect) -> None:
    """The same for everything that was said so far, behind which `effect` is settled."""
    # Why an entry of our own: those without an effect do not say when they are answered.
    entry = Owed(FrontendTag.CLOSE, FAKE, effect)
    backend.pipeline.owe_unheard(entry)
    wait(relay, entry)
