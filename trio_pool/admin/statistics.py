"""The tables of figures, per database, and the marks that their averages are made of.

PgBouncer's columns and units: bytes, counts, microseconds; averages are per second, those of
times per transaction or query, over the last whole stats_period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.admin.views import Row, View
from trio_pool.config import CONSOLE
from trio_pool.console.tables import TABLES
from trio_pool.counting import Statistics
from trio_pool.journal import Journal
from trio_pool.metrics import Figures, Mark, averages

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

_LOOK_SECONDS: Final = 1.0


class Books:
    """The statistics of every database that was ever asked for, and their last two marks."""

    def __init__(self, now: float) -> None:
        self.by_database: dict[str, Statistics] = {}
        self._older: dict[str, Mark] = {}
        self._newer: dict[str, Mark] = {}
        self._started = now
        self.marked_at = now

    def of(self, name: str) -> Statistics:
        """The statistics of a database, which begin with the first question for them."""
        known = self.by_database.get(name)
        if known is None:
            known = self.by_database[name] = Statistics()
        return known

    def mark(self, server: Server, now: float) -> None:
        """A stats_period is over."""
        self._older, self.marked_at = self._newer, now
        self._newer = {name: Mark(now, figures) for name, figures in totals(server).items()}
        if server.config.settings.log_stats:
            _log(self.average(None))

    def average(self, name: str | None) -> Figures:
        """The averages of one database, or (None) of all together."""
        if name is not None:
            older = self._older.get(name, Mark(self._started, Figures()))
            return averages(older, self._newer.get(name, Mark(self._started, Figures())))
        return averages(self._sum(self._older), self._sum(self._newer))

    def _sum(self, marks: Mapping[str, Mark]) -> Mark:
        total, at = Figures(), self._started
        for mark in marks.values():
            total, at = total.plus(mark.figures), mark.at
        return Mark(at, total)


def _log(average: Figures) -> None:
    log.info(
        "stats: %d xacts/s, %d queries/s, %d client parses/s, %d server parses/s, %d binds/s, "
        "in %d B/s, out %d B/s, xact %d us, query %d us, wait %d us",
        *(average.transactions, average.queries, average.client_parses, average.server_parses),
        *(average.binds, average.received, average.sent),
        *(average.transaction_time, average.query_time, average.wait_time),
    )


def totals(server: Server) -> dict[str, Figures]:
    """The present figures of every database."""
    flowing: dict[str, tuple[int, int]] = {}
    for session in server.sessions.values():
        name = session.pool.database.name
        received, sent = flowing.get(name, (0, 0))
        flowing[name] = (received + session.wire.received, sent + session.wire.sent)
    for passage in server.passages:
        name, wire = passage.pool.database.name, passage.client.wire
        received, sent = flowing.get(name, (0, 0))
        flowing[name] = (received + wire.received, sent + wire.sent)
    return {
        name: statistics.figures(*flowing.get(name, (0, 0)))
        for name, statistics in server.books.by_database.items()
    }


def _each(server: Server) -> dict[str, tuple[Figures, Figures]]:
    """(totals, averages) per database; the console's own are always zero."""
    found = {name: (f, server.books.average(name)) for name, f in totals(server).items()}
    return found | {CONSOLE: (Figures(), Figures())}


def stats(server: Server) -> Iterable[Row]:
    """Totals and averages side by side."""
    for name, (total, average) in _each(server).items():
        yield (name, *total.values(), *average.values())


def stats_totals(server: Server) -> Iterable[Row]:
    """Totals alone."""
    for name, (total, _) in _each(server).items():
        yield (name, *total.values())


def stats_averages(server: Server) -> Iterable[Row]:
    """Averages alone."""
    for name, (_, average) in _each(server).items():
        yield (name, *average.values())


def all_totals(server: Server) -> Iterable[Row]:
    """One list over all databases: the columns of STATS as names."""
    total = Figures()
    for figures in totals(server).values():
        total = total.plus(figures)
    values = (*total.values(), *server.books.average(None).values())
    names = [column.name.decode() for column in TABLES["STATS"][1:]]
    return zip(names, values, strict=True)


async def keep_books(server: Server) -> None:
    """Take a mark every stats_period, for ever."""
    while True:
        # Why not the whole period at once: a reload may shorten it.
        await trio.sleep(_LOOK_SECONDS)
        server.forget_unused(trio.current_time())
        period, now = server.config.settings.stats_period, trio.current_time()
        if now - server.books.marked_at >= max(period, _LOOK_SECONDS):
            server.books.mark(server, now)


VIEWS: Final[dict[str, View]] = {
    "STATS": stats,
    "STATS_AVERAGES": stats_averages,
    "STATS_TOTALS": stats_totals,
    "TOTALS": all_totals,
}
