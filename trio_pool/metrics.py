"""Readings of what is counted (trio_pool.counting), and the averages made of them.

A mark is taken every stats_period, and averages are what happened between the last two marks, as in
PgBouncer.
"""

from __future__ import annotations

from typing import Final

import attrs

MICROSECONDS: Final = 1_000_000


@attrs.frozen
class Figures:
    """One reading: counts, bytes, and microseconds, in the order of PgBouncer's tables."""

    assignments: int = 0
    transactions: int = 0
    queries: int = 0
    received: int = 0
    sent: int = 0
    transaction_time: int = 0
    query_time: int = 0
    wait_time: int = 0
    client_parses: int = 0
    server_parses: int = 0
    binds: int = 0

    def values(self) -> tuple[int, ...]:
        """All of it, in order."""
        return attrs.astuple(self)

    def plus(self, other: Figures) -> Figures:
        """The sum."""
        pairs = zip(self.values(), other.values(), strict=True)
        return Figures(*(mine + theirs for mine, theirs in pairs))


@attrs.frozen
class Mark:
    """A reading and when it was taken."""

    at: float
    figures: Figures


def averages(older: Mark, newer: Mark) -> Figures:
    """Per second, between two marks; times are per transaction, query and query."""
    seconds = newer.at - older.at
    if seconds <= 0:
        return Figures()
    pairs = zip(newer.figures.values(), older.figures.values(), strict=True)
    change = Figures(*(new - old for new, old in pairs))
    each = Figures(*(int(value / seconds) for value in change.values()))
    return attrs.evolve(
        each,
        transaction_time=_per(change.transaction_time, change.transactions),
        query_time=_per(change.query_time, change.queries),
        wait_time=_per(change.wait_time, change.assignments),
    )


def _per(time: int, count: int) -> int:
    return time // count if count else 0


class Census:
    """How many clients there are, by database and by user."""

    __slots__ = ("_databases", "_users")

    def __init__(self) -> None:
        self._databases: dict[str, int] = {}
        self._users: dict[str, int] = {}

    def count(self, database: str, user: str, change: int) -> None:
        """One client more or less."""
        for known, name in ((self._databases, database), (self._users, user)):
            number = known.get(name, 0) + change
            if number:
                known[name] = number
            else:
                del known[name]

    def of_database(self, name: str) -> int:
        """Clients of this database."""
        return self._databases.get(name, 0)

    def of_user(self, name: str) -> int:
        """Clients that logged in as this user."""
        return self._users.get(name, 0)
