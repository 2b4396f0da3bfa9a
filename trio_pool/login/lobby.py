"""Everybody who is not logged in yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trio_pool.wire import NOBODY

if TYPE_CHECKING:
    from trio_pool.login.login import Login


class Lobby:
    """The clients between accept and ReadyForQuery, first come first."""

    __slots__ = ("_logins",)

    def __init__(self) -> None:
        self._logins: dict[Login, None] = {}

    def __len__(self) -> int:
        return len(self._logins)

    def __iter__(self) -> Iterator[Login]:
        return iter(list(self._logins))

    def enter(self, login: Login) -> None:
        """`login` has begun."""
        self._logins[login] = None

    def leave(self, login: Login) -> None:
        """`login` has ended, one way or another."""
        self._logins.pop(login, None)

    def expire(self, since: float) -> None:
        """End every login that began at `since` or before."""
        while self._logins:
            oldest = next(iter(self._logins))
            if oldest.since > since:
                return
            self.leave(oldest)
            oldest.expire()

    def close(self) -> None:
        """Close what is left, without a word: the pooler has stopped."""
        for login in self:
            self.leave(login)
            login.wire.close()
            login.wire.turn = NOBODY
