"""What tells which descriptors are ready: epoll, and the same made of other systems' pollers."""

from __future__ import annotations

import select
import selectors
import sys
from typing import Final, Protocol

IN: Final = 1
OUT: Final = 4


class Poller(Protocol):
    """What epoll offers, and what is made of kqueue elsewhere."""

    def fileno(self) -> int:
        """The descriptor that is readable when anything is ready."""

    def register(self, descriptor: int, mask: int, /) -> None:
        """Begin to watch."""

    def modify(self, descriptor: int, mask: int, /) -> None:
        """Watch for something else."""

    def unregister(self, descriptor: int, /) -> None:
        """Stop to watch."""

    def poll(self, timeout: float, count_max: int, /) -> list[tuple[int, int]]:
        """(descriptor, mask) of what is ready, or of so many of it."""

    def close(self) -> None:
        """Release the descriptor."""


def new_poller() -> Poller:
    """The best poller of this system."""
    if sys.platform == "linux":
        return select.epoll()
    return _SelectorPoller()


class _SelectorPoller:
    """The same over the standard library's selector, for systems without epoll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        fileno: int = self._selector.fileno()
        return fileno

    def register(self, descriptor: int, mask: int, /) -> None:
        if mask:
            self._selector.register(descriptor, _to_events(mask))

    def modify(self, descriptor: int, mask: int, /) -> None:
        known = descriptor in self._selector.get_map()
        if known:
            self._selector.unregister(descriptor)
        self.register(descriptor, mask)

    def unregister(self, descriptor: int, /) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def poll(self, timeout: float, count_max: int, /) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)
        return [(key.fd, _to_mask(events)) for key, events in ready[:count_max]]

    def close(self) -> None:
        self._selector.close()


def _to_events(mask: int) -> int:
    readable = selectors.EVENT_READ if mask & IN else 0
    return readable | (selectors.EVENT_WRITE if mask & OUT else 0)


def _to_mask(events: int) -> int:
    readable = IN if events & selectors.EVENT_READ else 0
    return readable | (OUT if events & selectors.EVENT_WRITE else 0)
