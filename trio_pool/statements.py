"""Who has prepared what: per client, per backend, per pool.

Two kinds of statement names exist and never meet. A client's names are its own, one namespace
for Parse and PREPARE as in PostgreSQL. Server names are the pool's: unguessable, never reused,
never shown. A Statement ties them together: it is what a client prepared, as the server
understood it.

This module only keeps the books. When an entry becomes real, and when it is taken back, is
decided by the effects in `trio_pool.relay`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Final

from protocol.framing import LENGTH_MAX
from protocol.ledger import Owed
from protocol.sql.command import Command
from trio_pool.customs import NO_NAMES, NOTHING_LOCAL, Local, Names
from trio_pool.errors import StatementMemoryExceeded
from trio_pool.functions import Functions
from trio_pool.pins import PIN_EVERYTHING, PinPolicy
from trio_pool.settings import Environment
from trio_pool.watch import Watch

# NAMEDATALEN - 1: PostgreSQL keys prepared statements by the first 63 bytes of the name.
NAME_BYTES: Final = 63

# What a Statement takes beside its text, roughly.
_STATEMENT_BYTES: Final = 512

# What a statement that returns no rows answers to Describe, told from "not known yet" (None).
NO_ROWS: Final = b""


class Statement:
    """Text and types of one prepared statement; equal only to itself.

    `tail` is the Parse message behind its name: text, NUL, the types the client gave.
    `parameters` are the types the server settled on (they must not change on replay), `shape`
    the row description the client may rely on; both None until the server has told.
    `command` is set for statements about statements (PREPARE, EXECUTE, DEALLOCATE), whose text
    must be written anew for each backend; those are never shared. `executes` is what an EXECUTE
    named when it was prepared, None if there was nothing of that name.
    """

    __slots__ = (
        "tail",
        "environment",
        "parameters",
        "shape",
        "command",
        "executes",
        "plain",
        "sets",
        "drops_all",
        "pins",
        "calls",
        "customs",
        "databases",
        "private",
        "refused",
    )

    def __init__(
        self,
        tail: bytes,
        environment: Environment,
        parameters: bytes | None = None,
        shape: bytes | None = None,
        command: Command | None = None,
        private: bool = False,
    ) -> None:
        self.tail = tail
        self.environment = environment
        self.parameters = parameters
        self.shape = shape
        self.command = command
        self.executes: Statement | None = None
        # It certainly leaves nothing behind: then all of the following is False or empty.
        self.plain = False
        # It may change settings.
        self.sets = False
        # It is DEALLOCATE ALL or DISCARD ALL.
        self.drops_all = False
        # Why a client that executes it keeps its backend.
        self.pins: tuple[str, ...] = ()
        # Functions it calls of which it is not known yet what they leave behind.
        self.calls: tuple[str, ...] = ()
        # Custom settings that it makes for its transaction only.
        self.customs: Local = NOTHING_LOCAL
        # Databases that nobody else may be connected to when it is executed.
        self.databases: Names = NO_NAMES
        # Settings that could change its meaning are not known yet: it is nobody else's.
        self.private = private
        # It was not prepared after all: no name may go back to it.
        self.refused = False

    @property
    def text(self) -> bytes:
        """The SQL, without its NUL."""
        return self.tail[: self.tail.find(b"\0")]

    @property
    def replay_tail(self) -> bytes:
        """What to put behind a server name to prepare this again, types pinned down."""
        if self.parameters is None:
            return self.tail
        return self.tail[: self.tail.find(b"\0") + 1] + self.parameters


class ClientStatements:
    """One client's names, its unnamed statement, and what of it is not certain yet."""

    __slots__ = ("names", "unnamed", "tentative", "bytes_held", "bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self.names: dict[bytes, Statement] = {}
        self.unnamed: Statement | None = None
        # Names whose last change the server has not answered yet.
        self.tentative: dict[bytes, Owed] = {}
        self.bytes_held = 0
        self.bytes_max = bytes_max

    def put(self, name: bytes, statement: Statement) -> None:
        """The client's `name` now means `statement`."""
        self.take(name)
        self.names[name] = statement
        self.bytes_held += len(statement.tail)

    def take(self, name: bytes) -> Statement | None:
        """The client's `name` means nothing any more; returns what it meant."""
        statement = self.names.pop(name, None)
        if statement is not None:
            self.bytes_held -= len(statement.tail)
        return statement

    def admit(self, tail_bytes: int) -> None:
        """Raises StatementMemoryExceeded when the client holds too much text already."""
        if self.bytes_held + tail_bytes > self.bytes_max:
            raise StatementMemoryExceeded(self.bytes_max)

    def unsettled(self, name: bytes, segment: int) -> Owed | None:
        """The unanswered change of `name` from an earlier segment than `segment`, if any.

        Within a segment order alone decides (an error silences all that follows), so only an
        earlier segment makes what to send depend on an answer.
        """
        entry = self.tentative.get(name)
        if entry is None:
            return None
        if not entry.open:
            del self.tentative[name]
            return None
        return entry if entry.segment != segment else None


class BackendStatements:
    """What one backend has prepared, least recently used first."""

    __slots__ = ("names", "unsettled", "written", "unnamed", "unnamed_change", "count_max")

    def __init__(self, count_max: int) -> None:
        self.names: OrderedDict[Statement, bytes] = OrderedDict()
        # Statements whose Parse the server has not answered yet, and that Parse.
        self.unsettled: dict[Statement, Owed] = {}
        # Statements about statements: the text this backend has for them.
        self.written: dict[Statement, bytes] = {}
        self.unnamed: Statement | None = None
        # The last request that changed it, where that may still come to nothing.
        self.unnamed_change: Owed | None = None
        self.count_max = max(1, count_max)

    def name_of(self, statement: Statement) -> bytes | None:
        """The server name of `statement` here, marked as just used."""
        name = self.names.get(statement)
        if name is not None and len(self.names) * 2 > self.count_max:
            self.names.move_to_end(statement)
        return name

    def add(self, statement: Statement, server_name: bytes, parse: Owed) -> None:
        """`parse`, which is on its way, prepares `statement` under `server_name`."""
        self.names[statement] = server_name
        self.unsettled[statement] = parse

    def settled(self, statement: Statement) -> None:
        """A Parse of `statement` was answered, after which another may have been sent."""
        parse = self.unsettled.get(statement)
        if parse is not None and not parse.open:
            del self.unsettled[statement]

    def in_doubt(self, statement: Statement, segment: int) -> Owed | None:
        """The unanswered Parse of `statement` in an earlier segment than `segment`, if any.

        An error before it in its own segment would make the server skip it; a message of a
        later segment must not count on it.
        """
        if not self.unsettled:
            return None
        parse = self.unsettled.get(statement)
        return parse if parse is not None and parse.segment != segment else None

    def unnamed_in_doubt(self, segment: int) -> Owed | None:
        """The same for the unnamed statement."""
        change = self.unnamed_change
        if change is None or change.segment == segment:
            return None
        if not change.open:
            self.unnamed_change = None
            return None
        return change

    def drop(self, statement: Statement) -> None:
        """Forget `statement`, whatever was known of it."""
        self.names.pop(statement, None)
        self.unsettled.pop(statement, None)
        self.written.pop(statement, None)

    def drop_name(self, server_name: bytes) -> None:
        """Forget whatever is prepared under `server_name` (rare: it looks at all of them)."""
        for statement in [s for s, name in self.names.items() if name == server_name]:
            self.drop(statement)

    def surplus(self, in_use: Container[Statement]) -> tuple[Statement, bytes] | None:
        """The least recently used statement when there is no room for one more."""
        if len(self.names) < self.count_max:
            return None
        for statement, name in self.names.items():
            if statement not in self.unsettled and statement not in in_use:
                return statement, name
        return None

    def forget_all(self) -> None:
        """The server dropped everything that it had answered for."""
        kept = OrderedDict((s, n) for s, n in self.names.items() if s in self.unsettled)
        self.names = kept
        self.written = {s: text for s, text in self.written.items() if s in kept}


def nobody_is_in_the_way(names: frozenset[bytes]) -> None:
    """A pool without others beside it."""


class PoolStatements:
    """What the clients of one pool share: server names and equal statements."""

    __slots__ = (
        "prefix",
        "_count",
        "_shared",
        "_shared_bytes",
        "missing",
        "_harmless",
        "functions",
        "pin_policy",
        "asks_early",
        "sequences_matter",
        "forgetful",
        "lengths_max",
        "marks",
        "unread_bytes_max",
        "_marks_set",
        "make_way",
    )

    # Limits of what is remembered about texts.
    HARMLESS_MAX: Final = 1024
    HARMLESS_BYTES_MAX: Final = 4096
    SHARED_BYTES_MAX: Final = 16_777_216

    def __init__(self, token: str, pin_policy: PinPolicy = PIN_EVERYTHING) -> None:
        """`token` must be unguessable: it keeps clients from naming the pool's statements."""
        self.prefix = b"_tp_" + token.encode() + b"_"
        self.missing = self.prefix + b"0"
        self.pin_policy = pin_policy
        # Settings are asked for behind the statement that sets them; off in session mode.
        self.asks_early = True
        # A client has read currval or lastval: nobody may find what others left there.
        self.sequences_matter = False
        # What is prepared by SQL lasts for a transaction: nobody needs to know more of it.
        self.forgetful = False
        # By tag, what a client's message may be long (max_packet_size, disable_pqexec).
        self.lengths_max = LENGTH_MAX
        # The channel of the marks that listening clients cross by (trio_pool.channels).
        self.marks = self.prefix + b"marks"
        # What of notifications may wait for one client.
        self.unread_bytes_max = 0
        self._marks_set = 0
        # Told the names in front of a statement that wants databases for itself.
        self.make_way: Callable[[frozenset[bytes]], None] = nobody_is_in_the_way
        self._count = 0
        self._harmless: set[bytes] = set()
        self.functions = Functions()
        # Oldest first. What falls out lives on with the clients who have it; it is only that
        # whoever prepares the same again no longer shares it with them.
        self._shared: dict[tuple[object, ...], Statement] = {}
        self._shared_bytes = 0

    def new_name(self) -> bytes:
        """A server name that was never used before."""
        self._count += 1
        return self.prefix + b"%x" % self._count

    def new_mark(self, process: bytes) -> bytes:
        """A mark that was never set before; in front is the client's process number, in hex."""
        self._marks_set += 1
        return process.hex().encode() + b".%x" % self._marks_set

    def known_harmless(self, tail: bytes) -> bool:
        """Whether `note_harmless` was told of this very Parse."""
        return tail in self._harmless

    def note_harmless(self, tail: bytes) -> None:
        """The text of this Parse leaves nothing behind: it need not be looked at again."""
        if len(tail) > self.HARMLESS_BYTES_MAX:
            return
        if len(self._harmless) >= self.HARMLESS_MAX:
            self._harmless.clear()
        self._harmless.add(tail)

    def watch(self, found: Watch) -> None:
        """The catalogues told which code leaves something behind: every text is looked at anew."""
        self.functions.watch(found)
        self._harmless.clear()

    def shared(self, statement: Statement) -> Statement:
        """The one Statement all clients use that prepared the same and were shown the same."""
        if statement.command is not None or statement.private:
            return statement
        identity = (
            statement.tail,
            statement.environment,
            statement.parameters,
            statement.shape,
        )
        known = self._shared.pop(identity, None)
        if known is None:
            known = statement
            self._shared_bytes += _STATEMENT_BYTES + len(statement.tail)
        self._shared[identity] = known
        while self._shared_bytes > self.SHARED_BYTES_MAX and len(self._shared) > 1:
            oldest = self._shared.pop(next(iter(self._shared)))
            self._shared_bytes -= _STATEMENT_BYTES + len(oldest.tail)
        return known

    def __len__(self) -> int:
        return len(self._shared)
