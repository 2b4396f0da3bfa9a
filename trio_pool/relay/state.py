"""What the relay knows: a client, the backend it holds, and the bytes on their way.

Only data and the smallest helpers live here; what a message means is decided in the modules
that handle it. Invariant: every byte received is relayed, replaced, or dropped on purpose, so
each direction keeps one run of bytes to pass on as they came and cuts it only for an edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.ledger import FAKE, Owed
from protocol.pipeline import Pipeline
from protocol.sql.classify import Classifier
from protocol.tags import TransactionStatus
from trio_pool.channels import Listening
from trio_pool.customs import Names, names_in
from trio_pool.functions import CODE, MAKES_CODE
from trio_pool.pins import KINDS, SEQUENCE, SUSPECT, Pin, Reasons, shortened
from trio_pool.relay.outbox import Outbox
from trio_pool.settings import BackendSettings, ClientSettings
from trio_pool.statements import BackendStatements, ClientStatements, PoolStatements, Statement

if TYPE_CHECKING:
    from trio_pool.relay.about import Plan
    from trio_pool.relay.deeds import Deed
    from trio_pool.relay.effects import UnnamedChange


# Why immutable, here and where a relay begins: an idle client shares them with all others.
NO_STATEMENTS: Final[frozenset[Statement]] = frozenset()
NO_PINS: Final[tuple[Pin, ...]] = ()


class BackendState:
    """The decisions' half of a backend: its ledger, its statements, its settings."""

    __slots__ = (
        "pipeline",
        "statements",
        "settings",
        "doomed",
        "partial",
        "spoiled",
        "first_parse",
        "first_change",
        "sequences_of",
        "process",
    )

    def __init__(self, statements_max: int, settings: BackendSettings) -> None:
        self.pipeline = Pipeline()
        self.statements = BackendStatements(statements_max)
        self.settings = settings
        # Server names nobody uses any more, to be closed on the next occasion.
        self.doomed: list[bytes] = []
        # The beginning of a server message whose end has not arrived.
        self.partial = b""
        # Why this backend must not serve another client, or None.
        self.spoiled: str | None = None
        # Used again and again (naming.own_unnamed_first).
        self.first_parse: Owed | None = None
        self.first_change: UnnamedChange | None = None
        # Whose sequences it knows; None for nobody can tell. Kept up only where it matters.
        self.sequences_of: ClientStatements | None = None
        # The server's number of it, as in a NotificationResponse.
        self.process = b""


class Counters:
    """Plain integers, incremented inline; rendering is somebody else's business."""

    # Why not read off __slots__: a compiled class has none.
    NAMES: Final = (
        "transactions",
        "kept",
        "queries",
        "replays",
        "parses",
        "binds",
        "evictions",
        "settings_restored",
        "questions",
        "pins",
        "pins_temp",
        "pins_hold",
        "pins_lock",
        "pins_listen",
        "pins_load",
        "pins_sequence",
    )
    __slots__ = NAMES

    def __init__(self) -> None:
        self.transactions = 0
        # Transactions after which the client kept its backend (session mode, pins).
        self.kept = 0
        self.queries = 0
        self.replays = 0
        self.parses = 0
        self.binds = 0
        self.evictions = 0
        self.settings_restored = 0
        # Asked for what a lease has set, or has left that pins.
        self.questions = 0
        self.pins = 0
        self.pins_temp = 0
        self.pins_hold = 0
        self.pins_lock = 0
        self.pins_listen = 0
        self.pins_load = 0
        self.pins_sequence = 0

    def pin(self, reason: str) -> None:
        """A client began to keep its backend for this reason."""
        self.pins += 1
        name = f"pins_{KINDS[reason]}"
        setattr(self, name, getattr(self, name) + 1)

    def add(self, other: Counters) -> None:
        """Count what `other` has counted as well."""
        for name in Counters.NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Relay:
    """One client's conversation, over whichever backend it holds at the moment."""

    __slots__ = (
        "client",
        "settings",
        "pool",
        "classifier",
        "counters",
        "backend",
        "wants_backend",
        "goodbye",
        "server_gone",
        "to_server",
        "to_client",
        "run",
        "parts",
        "parts_bytes",
        "parts_needed",
        "up_passing",
        "up_dropping",
        "down_passing",
        "down_run",
        "hold",
        "resume",
        "query_refused",
        "settings_suspect",
        "setting_segment",
        "pins",
        "pins_suspect",
        "redo",
        "redoing",
        "taken_back",
        "stale",
        "portals",
        "plans",
        "unnamed_last",
        "unasked",
        "in_use",
        "aliases",
        "process",
        "listening",
    )

    def __init__(
        self,
        client: ClientStatements,
        settings: ClientSettings,
        pool: PoolStatements,
        classifier: Classifier,
        counters: Counters,
    ) -> None:
        self.client = client
        self.settings = settings
        self.pool = pool
        self.classifier = classifier
        self.counters = counters
        self.backend: BackendState | None = None
        self.wants_backend = False  # A whole message waits, and there is none.
        self.goodbye = False
        # The server said FATAL: the client has been told, its connection ends.
        self.server_gone = False
        self.to_server = Outbox()
        self.to_client = Outbox()
        self.run = 0
        # Client bytes that could not be handled yet: an incomplete message, or held ones.
        self.parts: list[bytes] = []
        self.parts_bytes = self.parts_needed = 0
        # The rest of a message that is passed on, or dropped, without being collected.
        self.up_passing = self.up_dropping = self.down_passing = 0
        # Where the bytes of the server's chunk begin that pass on unchanged.
        self.down_run = 0
        self.hold: Owed | None = None  # On its outcome depends what the next message must say.
        self.resume = False
        # A replay that a simple Query needed has failed: the Query becomes a Sync.
        self.query_refused = False
        # Something sent on this lease may have changed settings in a way nobody reports.
        self.settings_suspect = False
        self.setting_segment = -1  # That began with a Bind of what sets something.
        # Why the client keeps its backend between transactions.
        self.pins = NO_PINS
        # The client did something since the server was last asked whether they still hold.
        self.pins_suspect = False
        # The client's bytes of a lease that were not answered yet can be said again.
        self.redo = b""
        # Its segment is to be said again as soon as it has ended; all of it was said to a backend
        # that refused the client's settings, and must be said elsewhere.
        self.redoing = self.taken_back = False
        # Statements whose row shape changed since the client was shown it.
        self.stale = NO_STATEMENTS
        # Portals of statements about statements, by portal name.
        self.portals: dict[bytes, Plan] = {}
        # What those statements are to say on the backend held, once it was worked out.
        self.plans: dict[Statement, Plan] = {}
        # The last of the open changes of the unnamed statement.
        self.unnamed_last: UnnamedChange | None = None
        # What was prepared by SQL within a transaction: the server is asked about it later.
        self.unasked: tuple[Deed, ...] = ()
        # Statements that texts on their way refer to by name: they must stay where they are.
        self.in_use = NO_STATEMENTS
        # Server names this client may read about in an error, and what it calls them.
        self.aliases: dict[bytes, bytes] = {}
        self.process = b""  # As the client was given it, in the bytes of a NotificationResponse.
        self.listening: Listening | None = None  # Once the client has been away from home.

    def hold_for(self, entry: Owed) -> None:
        """Handle no more client bytes until `entry` is answered."""
        self.hold = entry

    def pin(self, reasons: Reasons, text: bytes) -> None:
        """`text` may leave such state behind: keep the backend for as long as it lasts."""
        policy = self.pool.pin_policy
        for reason in reasons:
            if reason == SEQUENCE and not sequences_from_before(self, text):
                continue
            warns = reason in policy.warned
            self.pins_suspect = self.pins_suspect or not warns
            # Hazard: one that is over may not have been taken away yet.
            known = next((pin for pin in self.pins if pin.reason == reason), None)
            if known is not None:
                known.over = False
            else:
                self.pins += (Pin(reason, shortened(text), warns=warns),)
                self.counters.pin(reason)

    def suspect(self, calls: tuple[str, ...], text: bytes) -> None:
        """`text` called these: ask about everything that unknown ones may have left behind."""
        innocent = self.pool.functions.innocent
        unknown = tuple(name for name in calls if name not in innocent)
        if not unknown or not self.pool.asks_early:
            return
        self.settings_suspect = self.pins_suspect = True
        if CODE in unknown:
            self.settings.mention(self.pool.functions.customs)
        if MAKES_CODE in unknown:
            self.pool.functions.stale = True
        for pin in self.pins:
            if pin.reason == SUSPECT:
                pin.calls = unknown if pin.over else tuple({*pin.calls, *unknown})
                pin.over = False
                return
        self.pins += (Pin(SUSPECT, shortened(text), calls=unknown),)

    def refuses(self, reasons: Reasons) -> str | None:
        """The first of these that pin_policy refuses."""
        refused = self.pool.pin_policy.refused
        return next((reason for reason in reasons if reason in refused), None)

    def cut(self, data: bytes, stop: int) -> None:
        """Pass on the client's bytes up to `stop` as they came."""
        start = self.run
        if stop > start:
            self.to_server.append(data if stop - start == len(data) else data[start:stop])
        self.run = stop

    def cut_down(self, data: bytes, stop: int) -> None:
        """Pass on the server's bytes up to `stop` as they came."""
        start = self.down_run
        if stop > start:
            self.to_client.append(data if stop - start == len(data) else data[start:stop])
        self.down_run = stop

    def drop_down(self, data: bytes, start: int, stop: int) -> None:
        """Do not pass on the server's message data[start:stop]."""
        self.cut_down(data, start)
        self.down_run = stop

    @property
    def releasable(self) -> bool:
        """The backend may go to another client: nothing of this one is in flight on it."""
        backend = self.backend
        return (
            backend is not None
            and backend.pipeline.quiet
            and self.hold is None
            and not self.up_passing
            and not self.down_passing
            and not backend.partial
        )

    @property
    def mid_message(self) -> bool:
        """The client has received the beginning of a message and not its end."""
        return self.down_passing > 0


def link_of(relay: Relay) -> BackendState:
    """The backend held; asking without one is a bug."""
    backend = relay.backend
    assert backend is not None
    return backend


def emit_fakes(relay: Relay, pipeline: Pipeline) -> None:
    """Answer what has come to the head of the queue and was never asked of the server."""
    while (head := pipeline.owed.head) is not None and head.fate == FAKE:
        reply = pipeline.settle().reply
        if reply:
            relay.to_client.append(reply)


def sequences_from_before(relay: Relay, text: bytes) -> bool:
    """Whether a text that reads its session's sequences wants those of an earlier transaction.

    It does when it begins one and does not advance any itself. From the first such text on, no
    client of the pool finds what another one left (lending.attach).
    """
    relay.pool.sequences_matter = True
    lowered = text.lower()
    return (
        link_of(relay).pipeline.status == TransactionStatus.IDLE
        and b"nextval" not in lowered
        and b"insert" not in lowered
    )


def suspect_settings(relay: Relay, text: bytes) -> None:
    """This text may change settings: the server is asked before the backend changes hands."""
    relay.settings_suspect = True
    relay.settings.mention(names_in(text))


def make_customs(relay: Relay, backend: BackendState, names: Names) -> None:
    """The client makes these custom settings for its transaction, after which they are empty.

    Why without asking: row-level security does this in every transaction.
    """
    if not (names <= relay.settings.customs and names <= backend.settings.customs):
        backend.settings.make(names)
        if backend.pipeline.status == TransactionStatus.FAILED:
            return
        relay.settings.make(names)
        # Told at the end of the transaction, when all is answered.
        relay.settings_suspect = relay.settings_suspect or relay.settings.too_many
        if backend.settings.environment is not None:
            backend.settings.environment = relay.settings.environment


def remember_aliases(relay: Relay, backend: BackendState) -> None:
    """Server names are about to be forgotten that errors still on their way may mention."""
    for name, statement in relay.client.names.items():
        server_name = backend.statements.names.get(statement)
        if server_name is not None:
            relay.aliases.setdefault(server_name, name)
