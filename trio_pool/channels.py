"""LISTEN without a pin: which of two ears counts, and who hears what.

A client that listens is *at home* while it holds a backend and *away* while it holds none. At
home its backend itself listens, as on a private server: what LISTEN, UNLISTEN and DISCARD ALL do
in transactions, savepoints, functions and DO blocks, and what pg_listening_channels() shows, is
never guessed. While the client is away its pool's *ear* listens for it: one backend that does
nothing else (trio_pool.ear). The laws:

1. A client leaves home only between two transactions, with nothing outstanding, when the server
   has said to which channels it listens and that nothing else pins it. It comes home before the
   next of its messages is handled.
2. Each crossing has a *mark*: a NOTIFY on a channel of the pool's own, sent by the client's
   backend while that backend and the ear both listen. PostgreSQL shows all sessions of a database
   the same notifications in the same order, that of the commits. So what comes before the mark is
   taken from where the client was, what comes behind it from where it goes: nothing is lost,
   nothing comes twice, and the order holds, whichever of the two hears the mark first.
3. A backend stops listening only when the ear is known to listen, and after the mark.
4. What the client itself notifies comes from its own backend, in front of the ReadyForQuery of its
   transaction, with the process number that the client was given at login. No other
   notification that it is shown bears that number.
5. What the ear hears is delivered at once to clients that are away: they are in no transaction
   and nothing is half said. It is never delivered to a client at home.
6. What an ear has missed that was lost, nobody knows: every client that was away then is told so,
   once another one listens.

Pure: notifications are bodies of NotificationResponse, clients are whatever the caller says.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Final, Generic, TypeVar

HOME: Final = 0
LEAVING: Final = 1
AWAY: Final = 2
RETURNING: Final = 3

NO_CHANNELS: Final[frozenset[bytes]] = frozenset()
_NOBODY: Final[Mapping[object, None]] = {}


def channel_of(note: bytes) -> bytes:
    """The channel of a notification (the body of a NotificationResponse)."""
    return note[4 : note.index(b"\0", 4)]


def payload_of(note: bytes) -> bytes:
    """What the notification says."""
    return note[note.index(b"\0", 4) + 1 : -1]


class Crossing:
    """Two streams of the same notifications, one taken up to the mark, the other behind it."""

    __slots__ = ("mark", "kept_bytes", "_old_ended", "_new_began", "_kept")

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self._old_ended = False
        self._new_began = False
        # What was heard behind the mark by the one who heard it first.
        self._kept: list[bytes] = []
        self.kept_bytes = 0

    @property
    def complete(self) -> bool:
        """Both have heard the mark."""
        return self._old_ended and self._new_began

    def old(self) -> bool:
        """Whether to deliver what the old stream says now."""
        return not self._old_ended

    def new(self, note: bytes) -> bool:
        """Whether to deliver what the new stream says now; if it is too early it is kept."""
        if self._new_began and not self._old_ended:
            self._kept.append(note)
            self.kept_bytes += len(note)
        return self.complete

    def end_old(self) -> list[bytes]:
        """The old stream has come to the mark (or will never): what to deliver now."""
        self._old_ended = True
        kept, self._kept = self._kept, []
        self.kept_bytes = 0
        return kept

    def begin_new(self) -> None:
        """The new stream has come to the mark."""
        self._new_began = True


class Listening:
    """One client that listens and has been away; `channels` are those it left home with."""

    __slots__ = ("channels", "place", "said", "crossing", "answered", "markless", "lost", "tries")

    def __init__(self) -> None:
        self.channels = NO_CHANNELS
        # The statement that made it listen, for people to recognise.
        self.said = ""
        self.place = HOME
        self.crossing: Crossing | None = None
        # The backend has carried out all that the crossing asked of it.
        self.answered = False
        # The ear does not listen to marks yet: none may be set.
        self.markless = False
        # Something may have been missed, and the client has not been told yet.
        self.lost = False
        # How often the way home was tried in vain.
        self.tries = 0

    def set_out(self, place: int, mark: bytes) -> None:
        """Begin to cross: LEAVING or RETURNING."""
        self.place = place
        self.crossing = Crossing(mark)
        self.answered = False

    def arrive(self) -> None:
        """The crossing is over."""
        self.place = AWAY if self.place == LEAVING else HOME
        self.crossing = None
        self.tries = 0

    def turn_back(self) -> None:
        """Nothing came of leaving: the mark was never set."""
        self.place = HOME
        self.crossing = None

    def stay_away(self) -> None:
        """The backend that the client was about to come home to is no good."""
        self.place = AWAY
        self.crossing = None
        # What was behind the mark was left to that backend.
        self.lost = True

    @property
    def complete(self) -> bool:
        """The client may arrive."""
        return self.answered and self.crossing is not None and self.crossing.complete

    def hears_ear(self, note: bytes) -> bool:
        """Whether the client is to be shown now what the ear has heard."""
        crossing = self.crossing
        if crossing is None:
            return self.place == AWAY
        return crossing.new(note) if self.place == LEAVING else crossing.old()

    def hears_backend(self, note: bytes) -> bool:
        """Whether the client is to be shown now what its backend has heard."""
        crossing = self.crossing
        if crossing is None:
            return self.place == HOME
        return crossing.new(note) if self.place == RETURNING else crossing.old()

    def mark_in_ear(self) -> list[bytes]:
        """The ear has heard the mark, or is no more: what to show the client now."""
        assert self.crossing is not None
        if self.place == RETURNING:
            return self.crossing.end_old()
        self.crossing.begin_new()
        return []

    def mark_in_backend(self) -> list[bytes]:
        """The client's backend has heard the mark: what to show the client now."""
        assert self.crossing is not None
        if self.place == LEAVING:
            return self.crossing.end_old()
        self.crossing.begin_new()
        return []


Client = TypeVar("Client", bound=Hashable)


class Register(Generic[Client]):
    """Which clients are to hear what. A client at home stays in it until it has left."""

    __slots__ = ("_channels", "_hearers")

    def __init__(self) -> None:
        self._channels: dict[Client, frozenset[bytes]] = {}
        self._hearers: dict[bytes, dict[Client, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._channels)

    @property
    def clients(self) -> Collection[Client]:
        """Everybody who listens."""
        return self._channels.keys()

    @property
    def channels(self) -> Collection[bytes]:
        """Everything that somebody listens to."""
        return self._hearers.keys()

    def hearers(self, channel: bytes) -> Iterable[Client]:
        """Those who listen to this one, in the order they came."""
        return self._hearers.get(channel, ())

    def count(self, channel: bytes) -> int:
        """How many listen to this one."""
        return len(self._hearers.get(channel, _NOBODY))

    def enter(self, client: Client, channels: frozenset[bytes]) -> None:
        """`client` listens to these from now on, and to nothing else."""
        before = self._channels.get(client, NO_CHANNELS)
        for channel in before - channels:
            self._strike(client, channel)
        for channel in channels - before:
            self._hearers.setdefault(channel, {})[client] = None
        self._channels[client] = channels

    def leave(self, client: Client) -> None:
        """`client` listens no more. Idempotent."""
        for channel in self._channels.pop(client, NO_CHANNELS):
            self._strike(client, channel)

    def _strike(self, client: Client, channel: bytes) -> None:
        hearers = self._hearers[channel]
        del hearers[client]
        if not hearers:
            del self._hearers[channel]
