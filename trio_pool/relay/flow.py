"""The client's messages that carry no names: Sync, Flush, COPY data, Terminate.

PostgreSQL ignores Sync and Flush while it reads COPY data, and COPY messages when it does not
(docs, "COPY Operations"); so does the relay, which keeps one answer for every Sync it sends.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.ledger import FAKE, Effect, Owed
from protocol.pipeline import HIDDEN, PLAIN
from protocol.tags import FrontendTag
from trio_pool.relay.healing import redo_entry
from trio_pool.relay.holding import wait_for_all
from trio_pool.relay.questions import ask_for_settings, only_sets
from trio_pool.relay.state import Relay, link_of

_ISOLATION: Final = b"default_transaction_isolation"
_READ_COMMITTED: Final = b"read committed"

# What drivers end most requests with: Describe and Execute of the unnamed portal, and Sync.
FINISH: Final = frontend.describe_portal(b"") + frontend.execute(b"", 0) + frontend.sync()


def may_finish(relay: Relay) -> bool:
    """Whether `FINISH` is nothing but its three messages: no special portal, no COPY, no redo."""
    backend = link_of(relay)
    if relay.portals or relay.redoing or relay.settings_suspect:
        return False
    return not backend.pipeline.copying_in


def drop_message(relay: Relay, data: bytes, start: int, stop: int) -> None:
    """Do not pass this message on."""
    relay.cut(data, start)
    relay.run = stop


def on_sync(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Sync ends a segment, and the skipping after an error."""
    backend = link_of(relay)
    pipeline = backend.pipeline
    if pipeline.copying_in:
        drop_message(relay, data, start, stop)
        return True
    # Only where the client waits: what it says next would have to wait for the answer.
    asks = relay.settings_suspect and stop == len(data) and only_sets(relay, backend)
    pipeline.skipping = False
    entry = redo_entry(relay, FrontendTag.SYNC) if relay.redoing else PLAIN[FrontendTag.SYNC]
    pipeline.owe_closing(entry)
    if asks:
        relay.cut(data, stop)
        ask_for_settings(relay, backend)
    return True


def on_flush(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Flush has no reply of its own."""
    if link_of(relay).pipeline.copying_in:
        drop_message(relay, data, start, stop)
    return True


def has_prepared(relay: Relay) -> bool:
    """Whether nothing would be lost if the client's open segment ended here, and it says no more.

    Drivers prepare and ask for the answers by Flush; the Sync that would end the lease comes with
    the first execution, if ever. A private server keeps a transaction open meanwhile, in which
    nothing was done. Where transactions keep their snapshot, Parse has taken it already.
    """
    backend = link_of(relay)
    if not backend.pipeline.only_prepared or backend.partial or relay.hold is not None:
        return False
    if relay.up_passing or relay.up_dropping or relay.down_passing:
        return False
    return relay.settings.values.get(_ISOLATION, _READ_COMMITTED) == _READ_COMMITTED


def end_segment(relay: Relay) -> None:
    """Say the Sync that the client has not said; its answer is nobody's."""
    relay.to_server.append(frontend.sync())
    link_of(relay).pipeline.owe_closing(HIDDEN[FrontendTag.SYNC])


class LastWords(Effect):
    """Behind all that a client said before it left, with no Sync to come.

    A server shows it an error, and what it has answered in front of that; else nothing.
    """

    __slots__ = ("relay",)

    def __init__(self, relay: Relay):
        self.relay = relay

    def settled(self) -> None:
        self.relay.to_client.clear()


def hear_out(relay: Relay) -> bool:
    """Let the server answer what it was not asked to answer; whether there is anything to wait for.

    Not where something is executed, which may take long.
    """
    backend = link_of(relay)
    pipeline = backend.pipeline
    if not pipeline.owed or any(entry.kind == FrontendTag.EXECUTE for entry in pipeline.owed):
        return False
    wait_for_all(relay, backend, LastWords(relay))
    return True


def on_copy_data(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Data for a COPY that is running, or may be about to."""
    pipeline = link_of(relay).pipeline
    if not pipeline.copying_in and not pipeline.owed:
        drop_message(relay, data, start, stop)
    return True


def on_copy_end(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """CopyDone or CopyFail: from here on the server answers Sync again."""
    pipeline = link_of(relay).pipeline
    if pipeline.copying_in:
        pipeline.copying_in = False
    elif pipeline.owed:
        # Sent before the server said it is ready for data: remember where the data ended.
        pipeline.owed.append(Owed(FrontendTag.COPY_DONE, FAKE))
    else:
        drop_message(relay, data, start, stop)
    return True


def on_terminate(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """The client leaves; the backend does not."""
    relay.goodbye = True
    drop_message(relay, data, start, stop)
    return True
