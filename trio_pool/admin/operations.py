"""What an operator can do to a running pool, and what of it lasts.

An order is carried out by changing what the pools may do and then, where the command says so,
waiting until they have done it. Texts of refusals are PgBouncer's, codes PostgreSQL's.
Law: no order takes a backend from a client in a transaction, save KILL and KILL_CLIENT.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from trio_pool.admin import sockets, statistics, views
from trio_pool.admin.reload import change_setting, reload, renew
from trio_pool.config import CONSOLE, ConfigError
from trio_pool.console import TABLES, Answer, Command, Done, Failure, Rows
from trio_pool.console.tables import HELP
from trio_pool.errors import ForcedDisconnect
from trio_pool.journal import Journal
from trio_pool.pool import Pool, closing

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

# How often an order that waits looks whether it is done.
_LOOK_SECONDS: Final = 0.02
_VIEWS: Final = {**views.VIEWS, **sockets.VIEWS, **statistics.VIEWS}
# SQLSTATEs: the pool is not in the state that the order needs; the object does not exist.
_WRONG_STATE: Final = "55000"
_NO_DATABASE: Final = "3D000"


class OrderRefused(Exception):
    """The order cannot be carried out; nothing was changed."""

    def __init__(self, message: str, sqlstate: str = _WRONG_STATE, hint: str | None = None) -> None:
        super().__init__(message)
        self.failure = Failure(message, sqlstate, hint)


class Operations:
    """The switches that orders set, and the orders themselves."""

    def __init__(self, server: Server) -> None:
        self.paused_all = False
        self.suspended = False
        self.paused: set[str] = set()
        self.disabled: set[str] = set()
        # What an order leaves to be done once its answer is on its way.
        self.afterwards: Callable[[], None] | None = None
        self._server = server
        self._orders: dict[str, Callable[[str], Awaitable[None]]] = {
            "DISABLE": self._disable,
            "ENABLE": self._enable,
            "KILL": self._kill,
            "KILL_CLIENT": self._kill_client,
            "PAUSE": self.pause,
            "RECONNECT": self._reconnect,
            "RELOAD": self.reload,
            "RESUME": self.resume,
            "SHUTDOWN": self._shutdown,
            "SUSPEND": self._suspend,
            "WAIT_CLOSE": self._wait_close,
        }

    def show(self, table: str) -> Answer:
        """The table as it is now."""
        if table == "HELP":
            return Done("SHOW", notice="Console usage", detail=HELP)
        return Rows(TABLES[table], list(_VIEWS[table](self._server)))

    async def carry_out(self, command: Command) -> Answer:
        """Obey; the answer says what came of it."""
        try:
            if command.verb == "SET":
                change_setting(self._server, command.argument, command.value)
                return Done(f"SET {command.argument}={command.value}")
            log.info("%s command issued", f"{command.verb} {command.argument}".rstrip())
            await self._orders[command.verb](command.argument)
        except OrderRefused as refused:
            return refused.failure
        except ConfigError as error:
            what = "SET" if command.verb == "SET" else "RELOAD"
            return Failure(f"{what} failed: {error}", "F0000", "The old configuration stays.")
        return Done(command.verb)

    def holds(self, database: str) -> bool:
        """Whether backends of this database may be opened and lent."""
        return self.paused_all or database in self.paused

    # Holding up and letting go.

    async def pause(self, database: str = "") -> None:
        """No backend is lent any more; done once every backend is back, and closed."""
        self._refuse_if_held_up()
        if database:
            self._known(database, "pause")
            self.paused.add(database)
        else:
            self.paused_all = True
        for pool in self._pools(database):
            closing.pause(pool)
        try:
            await self._until(lambda: self._is_empty(database) or not self._is_paused(database))
        except trio.Cancelled:
            # Who breaks off the waiting does not want the pause any more (as in PgBouncer).
            self._let_go(database)
            raise
        if not self._is_paused(database):
            raise OrderRefused("PAUSE was ended by RESUME")

    async def resume(self, database: str = "") -> None:
        """Lend again."""
        if database:
            self._known(database, "resume")
            if database not in self.paused:
                raise OrderRefused(f"database {database} is not paused")
        elif self._server.shutdown.stopping:
            raise OrderRefused("pooler is shutting down", "57P01")
        elif not (self.paused_all or self.suspended):
            raise OrderRefused("pooler is not paused/suspended")
        self._let_go(database)

    def _let_go(self, database: str) -> None:
        if database:
            self.paused.discard(database)
        else:
            self.paused_all = False
            self.end_suspension()
        for pool in self._pools(database):
            if not self.holds(pool.database.name):
                closing.resume(pool)

    def end_suspension(self) -> None:
        """Let everything move again, if it was held still."""
        if self.suspended:
            self.suspended = False
            self._server.suspension.end()

    async def _suspend(self, database: str) -> None:
        """Nothing moves any more, once all that was received has been sent on."""
        self._refuse_if_held_up()
        if self.paused:
            raise OrderRefused("cannot suspend with paused databases")
        with trio.move_on_after(self._server.config.settings.suspend_timeout):
            await self._until(self._server.suspension.nothing_unsent)
        self.suspended = True
        self._server.suspension.begin()

    async def _kill(self, database: str) -> None:
        """Every client and every backend goes at once; new clients wait for RESUME."""
        self._refuse_if_held_up()
        if database:
            self._known(database, "kill")
            self.paused.add(database)
        else:
            self.paused |= {pool.database.name for pool in self._pools("")}
        pools = set(self._pools(database))
        for session in list(self._server.sessions.values()):
            if session.pool in pools:
                session.end(ForcedDisconnect())
        self._server.passages.end_all(ForcedDisconnect(), database)
        for pool in pools:
            closing.pause(pool)
            for backend in list(pool.backends):
                pool.discard(backend)

    async def _kill_client(self, text: str) -> None:
        if not text.isdigit():
            raise OrderRefused("invalid client pointer supplied", "22023")
        for client in (*self._server.sessions.values(), *self._server.passages):
            if client.number == int(text):
                client.end(ForcedDisconnect())
                return
        raise OrderRefused("client not found", "42704")

    async def _reconnect(self, database: str) -> None:
        """Every backend is replaced, those at work when they come back."""
        if database:
            self._known(database, "reconnect")
        for pool in self._pools(database):
            renew(self._server, pool)

    async def _wait_close(self, database: str) -> None:
        """Done once every backend that is to be closed has been."""
        if database:
            self._known(database, "wait in")
        await self._until(lambda: not any(closing.outdated(pool) for pool in self._pools(database)))

    async def _disable(self, database: str) -> None:
        self._named(database, "disable")
        self.disabled.add(database)

    async def _enable(self, database: str) -> None:
        self._named(database, "enable")
        self.disabled.discard(database)

    # The whole process.

    async def reload(self, argument: str = "") -> None:
        """Read the configuration again. Raises ConfigError, and then nothing has changed."""
        await reload(self._server)

    async def _shutdown(self, how: str) -> None:
        server = self._server
        if how == "WAIT_FOR_SERVERS":
            server.shutdown.drain_sessions()
            self.afterwards = server.shutdown.stop_when_empty
        elif how == "WAIT_FOR_CLIENTS":
            server.shutdown.close_entrance()
            self.afterwards = server.shutdown.stop_when_empty
        else:
            # As with PgBouncer there is no answer: the end of the connection is it.
            server.shutdown.stop_now()
            await trio.sleep_forever()

    # What orders have in common.

    def _refuse_if_held_up(self) -> None:
        if self.paused_all or self.suspended:
            raise OrderRefused("already suspended/paused")

    def _named(self, database: str, verb: str) -> None:
        if not database:
            raise OrderRefused("a database is required", "42601")
        self._known(database, verb)

    def _known(self, database: str, verb: str) -> None:
        if database == CONSOLE:
            raise OrderRefused(f"cannot {verb} admin db: {database}")
        if self._server.config.database(database) is None:
            raise OrderRefused(f"no such database: {database}", _NO_DATABASE)

    def _pools(self, database: str) -> Iterable[Pool]:
        pools = list(self._server.pools.values())
        return [pool for pool in pools if database in ("", pool.database.name)]

    def _is_paused(self, database: str) -> bool:
        return database in self.paused if database else self.paused_all

    def _is_empty(self, database: str) -> bool:
        return not any(pool.backends or pool.opening for pool in self._pools(database))

    @staticmethod
    async def _until(done: Callable[[], bool]) -> None:
        # Why no event: what is waited for is the sum of what many pools do, and rare.
        while not done():  # noqa: ASYNC110
            await trio.sleep(_LOOK_SECONDS)
