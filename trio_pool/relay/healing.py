"""When a statement we believed in is gone from the backend.

Somebody ran DEALLOCATE ALL where no command tag shows it, in a function or a DO block. The
server then does not know a name of ours (26000). If nothing of the client's transaction was
answered yet, everything it said is said again, after all belief in that backend's statements
is dropped: the replay then prepares what is needed, and the client notices nothing. Otherwise
the transaction has failed anyway and the client is told, in its own terms.
"""

from __future__ import annotations

from protocol.ledger import DROP, Effect, Owed
from protocol.tags import FrontendTag
from trio_pool.relay.state import BackendState, Relay, remember_aliases

_UNKNOWN_STATEMENT = b"C26000\0"


class Redo(Effect):
    """The end of a segment that is said again."""

    __slots__ = ("relay",)

    def __init__(self, relay: Relay):
        self.relay = relay

    def settled(self) -> None:
        relay = self.relay
        said, relay.redo = relay.redo, b""
        relay.parts.insert(0, said)
        relay.parts_bytes += len(said)
        relay.resume = True


def redo_entry(relay: Relay, kind: int) -> Owed:
    """The entry of a Sync or Query that ends what is to be said again; nothing passes it."""
    entry = Owed(kind, DROP, Redo(relay))
    relay.redoing = False
    relay.hold_for(entry)
    return entry


def heal(relay: Relay, backend: BackendState, body: bytes) -> bool:
    """Whether this error is ours to mend: then it is dropped and the segment said again."""
    if _UNKNOWN_STATEMENT not in body or relay.pool.missing in body:
        return False
    pipeline = backend.pipeline
    head = pipeline.owed.head
    simple = head is not None and head.kind == FrontendTag.QUERY
    remember_aliases(relay, backend)
    pipeline.fail()
    backend.statements.forget_all()
    if not relay.redo or relay.up_passing or len(pipeline.owed) > 1:
        return False
    if not pipeline.owed:
        # The Sync is still to come (flow.on_sync).
        relay.redoing = True
        return True
    last = pipeline.owed.take_last()
    if simple and last.effect is not None:
        last.effect.skipped()
        last.open = False
    pipeline.owed.append(redo_entry(relay, last.kind))
    return True
