"""What the server is asked at the end of a lease: the session's settings, and what still pins.

Words in the client's texts only raise the suspicion; the truth is read from the server while
the backend is held, behind the client's own messages. Its answers are dropped.
"""

from __future__ import annotations

from typing import Final

from protocol import frontend
from protocol.ledger import DROP, Owed
from protocol.pipeline import CLOSES_SEGMENT
from protocol.tags import BackendTag, FrontendTag, TransactionStatus
from trio_pool.pins import ASKED_ABOUT, LISTEN, SUSPECT, UNREAD, Pin
from trio_pool.relay.effects import Question
from trio_pool.relay.pins import QUESTION
from trio_pool.relay.state import BackendState, Relay
from trio_pool.settings import decode_answer
from trio_pool.watch import LOOK, watch_for

# How a row of the answer begins that names a channel.
_CHANNEL: Final = f"{LISTEN} ".encode()


class SettingsRead(Question):
    """Our own question for the session's settings, at the end of a lease that may set some."""

    __slots__ = ("relay", "backend", "found", "customs")

    def __init__(self, relay: Relay, backend: BackendState):
        super().__init__()
        self.relay = relay
        self.backend = backend
        self.found: dict[bytes, bytes] = {}
        self.customs: set[bytes] = set()

    def heard(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.DATA_ROW:
            name, value, custom = decode_answer(body)
            if custom:
                self.customs.add(name)
            elif b"." in name:
                self.relay.settings.learn(name)
            if (name, value) not in self.backend.settings.unset:
                self.found[name] = value

    def settled(self) -> None:
        relay = self.relay
        # It was dropped by our Query, whatever became of the client's own Parse in front of it.
        self.backend.statements.unnamed = None
        if self.broken:
            # The client keeps its backend, and is asked again when it has said more.
            relay.settings_suspect = True
            if all(pin.reason != UNREAD for pin in relay.pins):
                relay.pins += (Pin(UNREAD, ""),)
            return
        self.backend.settings.make(frozenset(self.customs))
        self.backend.settings.read(self.found)
        for pin in relay.pins:
            pin.over = pin.over or pin.reason == UNREAD
        relay.settings.read(self.found)

    def failed(self) -> None:
        self.backend.spoiled = "its settings could not be read"

    def skipped(self) -> None:
        self.failed()


# What may stand alone in its segment with the question right behind it: none of these leaves a
# transaction open, in which the question could fail, or wants data.
_ALONE: Final = (b"set", b"reset", b"select", b"with", b"discard", b"do", b"call", b"update")


def note_setter(relay: Relay, backend: BackendState, text: bytes) -> None:
    """A Bind of a statement that may set something: perhaps its segment holds nothing else."""
    pipeline = backend.pipeline
    if pipeline.status != TransactionStatus.IDLE or not text.lstrip().lower().startswith(_ALONE):
        return
    # Whatever else ends a segment may have begun a transaction.
    if all(entry.fate == DROP or entry.kind not in CLOSES_SEGMENT for entry in pipeline.owed):
        relay.setting_segment = pipeline.segment


def only_sets(relay: Relay, backend: BackendState) -> bool:
    """Whether the segment that a Sync now ends is one statement of those that `note_setter` saw.

    Then the question travels behind it in the client's own send.
    """
    pipeline = backend.pipeline
    if relay.setting_segment != pipeline.segment or not relay.pool.asks_early or relay.redoing:
        return False
    if relay.pins:
        # All is asked together at the end.
        return False
    binds = [entry for entry in pipeline.owed if entry.kind == FrontendTag.BIND]
    return len(binds) == 1 and not pipeline.skipping


def ask_what_is_left(relay: Relay, backend: BackendState) -> bool:
    """Ask all that is not known, in one round trip; False when there is nothing to ask."""
    unread = any(pin.reason == UNREAD and not pin.over for pin in relay.pins)
    pins = bool(relay.pins) and relay.pins_suspect
    settings = relay.settings_suspect and (pins or not unread)
    relay.pins_suspect = False
    if settings:
        ask_for_settings(relay, backend)
    if pins:
        ask_for_pins(relay, backend)
    functions = relay.pool.functions
    code = functions.stale and relay.pool.asks_early and not unread
    if code:
        _ask_for_code(relay, backend)
    return settings or pins or code


def ask_for_settings(relay: Relay, backend: BackendState) -> None:
    """Read the truth about the session's settings before the backend changes hands."""
    relay.settings_suspect = False
    relay.counters.questions += 1
    relay.to_server.append(frontend.query(relay.settings.question))
    effect = SettingsRead(relay, backend)
    entry = Owed(FrontendTag.QUERY, DROP, effect)
    backend.pipeline.owe_closing(entry)
    backend.statements.unnamed = None
    # What the client prepares next is understood under settings that are not known yet.
    relay.hold_for(entry)


class PinsRead(Question):
    """Our own question what state is left that pins the client."""

    __slots__ = ("relay", "backend", "left", "channels", "values")

    def __init__(self, relay: Relay, backend: BackendState):
        super().__init__()
        self.relay = relay
        self.backend = backend
        self.left: set[str] = set()
        self.channels: set[bytes] = set()
        # What the client had set when it was asked.
        self.values = relay.settings.values

    def heard(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.DATA_ROW:
            if body.startswith(_CHANNEL, 6):
                self.channels.add(body[6 + len(_CHANNEL) :])
            else:
                self.left.add(body[6:].decode())

    def settled(self) -> None:
        if self.broken:
            return
        if self.channels:
            self.left.add(LISTEN)
        pins = self.relay.pins
        for pin in pins:
            pin.over |= pin.reason in ASKED_ABOUT and pin.reason not in self.left
            pin.certain = not pin.over
        known = {pin.reason for pin in pins}
        said = pins[-1].statement if pins else ""
        found = sorted(self.left - known - self.relay.pool.pin_policy.warned)
        for reason in found:
            self.relay.counters.pin(reason)
            self.relay.pins += (Pin(reason, said),)
        for pin in self.relay.pins:
            if pin.reason == LISTEN:
                pin.channels = frozenset(self.channels)
        guilty = bool(found) or self.relay.settings.values is not self.values
        for pin in pins:
            if pin.reason == SUSPECT:
                pin.over = True
                self.relay.pool.functions.learn(pin.calls, guilty)

    def failed(self) -> None:
        """The client keeps its backend: that is never wrong."""


def ask_for_pins(relay: Relay, backend: BackendState) -> None:
    """Ask whether the client still needs this very backend."""
    relay.pins_suspect = False
    relay.counters.questions += 1
    relay.to_server.append(frontend.query(QUESTION))
    entry = Owed(FrontendTag.QUERY, DROP, PinsRead(relay, backend))
    backend.pipeline.owe_closing(entry)
    backend.statements.unnamed = None
    relay.hold_for(entry)


class CodeRead(Question):
    """Our own question which code leaves something behind, after a client has made some."""

    __slots__ = ("relay", "rows")

    def __init__(self, relay: Relay):
        super().__init__()
        self.relay = relay
        self.rows: list[bytes] = []

    def heard(self, tag: int, body: bytes) -> None:
        if tag == BackendTag.DATA_ROW:
            self.rows.append(body)

    def settled(self) -> None:
        if not self.broken:
            self.relay.pool.watch(watch_for(self.rows))

    def failed(self) -> None:
        """What was known stays known."""


def _ask_for_code(relay: Relay, backend: BackendState) -> None:
    relay.pool.functions.stale = False
    relay.counters.questions += 1
    relay.to_server.append(frontend.query(LOOK))
    entry = Owed(FrontendTag.QUERY, DROP, CodeRead(relay))
    backend.pipeline.owe_closing(entry)
    backend.statements.unnamed = None
    relay.hold_for(entry)
