"""The requests of one backend whose replies are outstanding, in the order they were sent.

What becomes of a reply is its entry's `fate`; what was believed when the request was sent is its
`effect`. protocol.pipeline says when an entry is settled, failed or skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from protocol.roles import NO_ROLES, ROLES
from protocol.tags import FrontendTag

RELAY: Final = 0
DROP: Final = 1
FAKE: Final = 2

_PARSE: Final = FrontendTag.PARSE
# Places kept for the next client, when all is answered.
_PLACES_MAX: Final = 64
# Where a client never waits, so many answered ones at least are taken out together.
_ANSWERED_MAX: Final = 1_024


class Effect:
    """What an entry believed, and how to confirm it or take it back.

    Exactly one of `settled`, `failed` and `skipped` is called, once. What a class leaves out
    does nothing.
    """

    __slots__ = ()

    def heard(self, tag: int, body: bytes) -> None:
        """An intermediate reply, or the final one, arrived (before `settled`)."""
        return

    def settled(self) -> None:
        """The server did it."""
        return

    def failed(self) -> None:
        """The server answered this very request with an error."""
        return

    def skipped(self) -> None:
        """The server never looked at it, because of an earlier error."""
        return


class Owed:
    """One request whose reply is outstanding. `open` until its outcome is known."""

    __slots__ = ("kind", "fate", "effect", "reply", "segment", "open", "roles")

    def __init__(
        self,
        kind: int,
        fate: int,
        effect: Effect | None = None,
        reply: bytes = b"",
        segment: int = -1,
    ) -> None:
        self.kind = kind
        self.fate = fate
        self.effect = effect
        self.reply = reply
        self.segment = segment
        self.open = True
        # What each reply is, where all of them are the client's and nobody wants to read them.
        plain = fate == RELAY and (effect is None or kind == _PARSE)
        self.roles = ROLES[kind] if plain else NO_ROLES


# In the place of what has been answered.
_NOBODYS: Final = Owed(0, DROP)


class Ledger:
    """A queue of entries; true while there are any.

    Why no deque: compiled, an item of a list is a look at its place, and one of a deque is a call.
    The places are used again, for making them costs more than all the rest.
    """

    __slots__ = ("head", "_places", "_first", "_behind")

    def __init__(self) -> None:
        # The oldest: the next reply is its own. Why kept: it is asked for at every message.
        self.head: Owed | None = None
        # Outstanding are those from place `_first` to before `_behind`.
        self._places: list[Owed] = []
        self._first = 0
        self._behind = 0

    def __bool__(self) -> bool:
        return self.head is not None

    def __len__(self) -> int:
        return self._behind - self._first

    def __iter__(self) -> Iterator[Owed]:
        return iter(self.outstanding())

    def outstanding(self) -> list[Owed]:
        """All of them, as they are now."""
        return self._places[self._first : self._behind]

    @property
    def last(self) -> Owed | None:
        """The youngest."""
        return None if self.head is None else self._places[self._behind - 1]

    def append(self, entry: Owed) -> None:
        """A request was sent."""
        places, behind = self._places, self._behind
        if behind < len(places):
            places[behind] = entry
        else:
            places.append(entry)
        self._behind = behind + 1
        if self.head is None:
            self.head = entry

    def extend(self, entries: list[Owed]) -> None:
        """Requests were sent together."""
        behind = self._behind
        self._behind = after = behind + len(entries)
        # Why not one by one: it is done for every transaction of most drivers.
        self._places[behind:after] = entries
        if self.head is None:
            self.head = entries[0]

    def drop_head(self) -> Owed | None:
        """The oldest, which there must be, has been answered; the one behind it."""
        places, first = self._places, self._first
        places[first] = _NOBODYS
        first += 1
        if first == self._behind:
            self.clear()
            return None
        if first > _ANSWERED_MAX and 2 * first > self._behind:
            self.replace(places[first : self._behind])
            return self.head
        self._first = first
        head = self.head = places[first]
        return head

    def take_last(self) -> Owed:
        """The youngest, which there must be, leaves the queue."""
        self._behind -= 1
        last = self._places[self._behind]
        self._places[self._behind] = _NOBODYS
        if self._behind == self._first:
            self.head = None
        return last

    def remove(self, entry: Owed) -> None:
        """This one, which stands nowhere else in the queue, will not be answered."""
        self.replace([other for other in self if other is not entry])

    def replace(self, entries: list[Owed]) -> None:
        """These, and no others, are outstanding."""
        self._places = entries
        self._first = 0
        self._behind = len(entries)
        self.head = entries[0] if entries else None

    def clear(self) -> None:
        """All were answered."""
        behind = self._behind
        self._first = self._behind = 0
        self.head = None
        if behind > _PLACES_MAX:
            self._places.clear()
