"""The backends of one database and user, lent first come first served.

All bookkeeping is synchronous and happens in the sweep itself: a released backend goes to the
next holder in line without a task in between. Opening a backend waits, so it is a task of the
server's nursery (trio_pool.opening); what it finds is told to those who wait.

Law: no decision survives an await; nothing in here has one.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from protocol import frontend
from protocol.framing import LARGE_BYTES_MAX, length_limits
from protocol.tags import FrontendTag, TransactionStatus
from trio_pool.backend import Backend, Holder
from trio_pool.config import Database, Limits, PoolMode, Settings
from trio_pool.credentials import ServerLogin
from trio_pool.customs import Names
from trio_pool.errand import Answer, Errand
from trio_pool.errors import ConfigurationChanged, Ending, SessionFailed
from trio_pool.metrics import Statistics
from trio_pool.pins import PIN_EVERYTHING, PinPolicy
from trio_pool.resolver import Resolver
from trio_pool.settings import Environments
from trio_pool.statements import PoolStatements
from trio_pool.switchboard import Clock
from trio_pool.tls_settings import NO_ENCRYPTION
from trio_pool.watch import LOOK, watch_for

if TYPE_CHECKING:
    from trio_pool.adversary import Adversary
    from trio_pool.ear import Ear
    from trio_pool.trial import Greeting

log = logging.getLogger(__name__)

# The first pause after a backend could not be opened; it doubles up to server_login_retry.
_RETRY_SECONDS = 0.1
# Code made behind the pool's back is found after so long at the latest.
_LOOK_SECONDS = 300.0


def pin_policy_of(settings: Settings) -> PinPolicy:
    """What is configured; an adversary wants to hear of everything that is left."""
    return PIN_EVERYTHING if settings.adversarial else PinPolicy.of(settings.pin_policy)


class Caps:
    """Backends per database and per user over all pools (max_db_, max_user_connections)."""

    __slots__ = ("by_database", "by_user", "ears_by_database", "ears_by_user")

    def __init__(self) -> None:
        self.by_database: dict[str, int] = {}
        self.by_user: dict[str, int] = {}
        # Those among them that only listen.
        self.ears_by_database: dict[str, int] = {}
        self.ears_by_user: dict[str, int] = {}

    def count(self, database: str, user: str, change: int) -> None:
        """One backend more or less."""
        self.by_database[database] = self.by_database.get(database, 0) + change
        self.by_user[user] = self.by_user.get(user, 0) + change

    def count_ear(self, database: str, user: str, change: int) -> None:
        """One ear more or less."""
        self.ears_by_database[database] = self.ears_by_database.get(database, 0) + change
        self.ears_by_user[user] = self.ears_by_user.get(user, 0) + change


def lengths_max(settings: Settings) -> list[int]:
    """What a message of each type may be long: disable_pqexec and max_packet_size."""
    refused = (FrontendTag.QUERY,) if settings.disable_pqexec else ()
    return length_limits(settings.max_packet_size or LARGE_BYTES_MAX, refused)


class Pool:
    """Backends and those who wait for one. `open_soon` starts a task that opens a backend."""

    def __init__(
        self,
        database: Database,
        user: str,
        limits: Limits,
        settings: Settings,
        login: ServerLogin,
        caps: Caps,
        open_soon: Callable[[Pool], None],
        now: float,
    ) -> None:
        self.database = database
        self.user = user
        self.backends: set[Backend] = set()
        self.environments = Environments()
        self.adopt(limits, settings)
        self.login = login
        self.statements_max = settings.max_prepared_statements
        self.statements = PoolStatements(secrets.token_hex(8), pin_policy_of(settings))
        self.statements.asks_early = not self.session_mode
        self.statements.forgetful = settings.adversarial
        self.statements.lengths_max = lengths_max(settings)
        self.idle: deque[Backend] = deque()
        self.waiting: deque[Holder] = deque()
        self.opening = 0
        self.closed = False
        # Nothing is opened or lent until `resume`; what is out is closed when it comes back.
        self.paused = False
        # Idle for so long that they are asked whether they live before they are lent.
        self.unchecked: deque[Backend] = deque()
        self._checking = 0
        # Connections to the server that are one client's alone.
        self._owned = 0
        self._looked_at = now
        self.turns = -1  # Attempts to open a backend, for load_balance_hosts.
        # When somebody last had anything to do with it (Server.forget_unused).
        self.used_at = now
        # How connections to servers are encrypted.
        self.encryption = NO_ENCRYPTION
        # Who takes away what sessions leave (adversarial).
        self.adversary: Adversary | None = None
        # The switchboard's and the server's.
        self.clock = Clock()
        self.resolver = Resolver()
        # Shared by all pools of a database.
        self.statistics = Statistics()
        # What a server says of itself at login; None until a backend was opened once.
        self.parameters: dict[bytes, bytes] | None = None
        # What to tell a client with these startup settings, once the server has accepted them.
        self.tried: dict[tuple[tuple[bytes, bytes], ...], Greeting] = {}
        self.failure: Ending | None = None
        self.failed_at = now
        self._failures = 0
        self._lasting = False
        # The janitor's clock: good enough for timeouts, free to read.
        self.now = now
        self.tended_at = now  # When the janitor was last here.
        self.ear: Ear | None = None  # Listens for clients that hold no backend.
        self._caps = caps
        self._open_soon = open_soon

    def adopt(self, limits: Limits, settings: Settings) -> None:
        """What is configured from now on; what every lease asks for is made ready to hand."""
        self.limits = limits
        self.settings = settings
        # A backend stays with its client until the client leaves.
        self.session_mode = limits.pool_mode is PoolMode.SESSION and not settings.adversarial
        # No transaction blocks.
        self.statement_mode = limits.pool_mode is PoolMode.STATEMENT
        self.round_robin = settings.server_round_robin
        self.resets_always = settings.server_reset_query_always or settings.adversarial
        self.shares_customs = settings.share_custom_setting_names
        self.environments.count_max = settings.max_client_settings
        self.environments.bytes_max = settings.max_client_settings_bytes
        for backend in self.backends:
            backend.live_for(limits.server_lifetime)

    @property
    def name(self) -> str:
        """How logs call it."""
        return f"{self.database.name}/{self.user}"

    def lend_idle(self, holder: Holder) -> Backend | None:
        """One that is idle, at once: `holder` need not be told. Raises IndexError if none is.

        None if none of them suits the holder.
        """
        idle = self.idle
        backend = idle.popleft() if self.round_robin else idle.pop()
        if backend.state.settings.customs and not holder.suits(backend):
            idle.append(backend)
            suitable = self._idle_for(holder)
            if suitable is None:
                return None
            backend = suitable
        self._hold(backend, holder)
        return backend

    def lend_alike(self, holder: Holder, customs: Names) -> Backend | None:
        """The same for a holder with these custom settings: first those that know them already."""
        for backend in self.idle if self.round_robin else reversed(self.idle):
            if backend.state.settings.customs == customs:
                self.idle.remove(backend)
                self._hold(backend, holder)
                return backend
        return self.lend_idle(holder)

    def _idle_for(self, holder: Holder) -> Backend | None:
        for backend in reversed(self.idle):
            if not backend.state.settings.customs or holder.suits(backend):
                self.idle.remove(backend)
                return backend
        return None

    def request(self, holder: Holder) -> None:
        """Lend a backend now, or as soon as it is this holder's turn."""
        if self.idle:
            backend = self.lend_idle(holder)
            if backend is not None:
                self._lend(backend, holder)
                return
        if self.failing is not None:
            holder.refused(self.failing)
            return
        # Never 0, which means "not waiting".
        holder.waiting_since = max(self.now, 1e-9)
        self.waiting.append(holder)
        if self.unchecked and len(self.waiting) > self._checking:
            self._check(self.unchecked.pop())
        self.grow()
        self.make_room()

    def make_room(self) -> None:
        """Where no idle backend suits whoever waits, the one that was idle for longest goes."""
        if self.idle and self._must_make_room():
            self.discard(self.idle[0])

    def _must_make_room(self) -> bool:
        """Whether someone waits for whom no backend can be opened before another is closed."""
        if len(self.waiting) <= self.opening + self._checking or not self._may_open():
            return False
        return not self._has_room()

    def withdraw(self, holder: Holder) -> None:
        """The holder waits no longer."""
        if holder in self.waiting:
            self.waiting.remove(holder)

    def _hold(self, backend: Backend, holder: Holder) -> None:
        backend.holder = holder
        backend.held_since = self.now
        backend.busy_since = self.clock.now

    def _lend(self, backend: Backend, holder: Holder) -> None:
        self._hold(backend, holder)
        try:
            holder.granted(backend)
        except Exception:
            # A bug of ours in one session must not end the one whose turn it happens in.
            log.exception("a holder failed on its backend backend=%d", backend.number)
            self.discard(backend)
            holder.backend_lost(SessionFailed())

    def give_back(self, backend: Backend) -> None:
        """The backend is clean: it goes to the next in line, or is idle."""
        backend.holder = None
        if backend.busy_since:
            self.statistics.query_seconds += self.clock.now - backend.busy_since
            backend.busy_since = 0.0
        # Why the janitor's clock will do: its steps cancel out in a sum. It has seldom moved.
        if self.now != backend.held_since:
            self._count_lease(backend)
        if backend.cancels:
            backend.settling = True
        elif self.closed or backend.state.spoiled is not None or self.now > backend.expires_at:
            self.discard(backend)
        elif self.waiting:
            self._serve_next(backend)
        else:
            self._rest(backend)

    def _count_lease(self, backend: Backend) -> None:
        held = self.now - backend.held_since
        self.statistics.lease_seconds += held
        self.statistics.leases.count(held)

    def _rest(self, backend: Backend) -> None:
        backend.idle_since = self.now
        self.idle.append(backend)

    def _serve_next(self, backend: Backend) -> None:
        """Lend to the first in line whom this backend suits.

        Nobody is passed over for whom no other one is being opened: then this one makes room.
        """
        waiting = self.waiting
        place = 0
        if backend.state.settings.customs:
            while place < len(waiting) and not waiting[place].suits(backend):
                place += 1
                if place > self.opening + self._checking and self._must_make_room():
                    self.discard(backend)
                    return
        if place == len(waiting):
            self._rest(backend)
            return
        holder = waiting[place]
        del waiting[place]
        if self.now != holder.waiting_since:
            waited = self.now - holder.waiting_since
            self.statistics.wait_seconds += waited
            self.statistics.waits.count(waited)
        self._lend(backend, holder)

    def rest(self, backend: Backend) -> None:
        """All was answered, and the client keeps the backend: the time of its query is over."""
        now = self.clock.now
        if backend.busy_since:
            self.statistics.query_seconds += now - backend.busy_since
            backend.busy_since = 0.0
            in_transaction = backend.state.pipeline.status != TransactionStatus.IDLE
            backend.resting_since = now if in_transaction else 0.0

    def go_on(self, backend: Backend) -> None:
        """The client says something again: the opposite of `rest`."""
        now = backend.busy_since = self.clock.now
        if backend.resting_since:
            self.statistics.idle_seconds += now - backend.resting_since
            backend.resting_since = 0.0
        else:
            # Another transaction on a backend that the client has kept.
            backend.again_since = self.now

    def settle(self, backend: Backend, certain: bool) -> None:
        """One cancel request has ended; `certain` when the server is known to have acted on it.

        The last one lets a backend that waited for it go on, behind one empty round trip: a
        signal that is still on its way then hits nobody's query.
        """
        backend.cancels -= 1
        if not certain:
            backend.state.spoiled = "a cancel request may still arrive"
        if backend.cancels or not backend.settling:
            return
        backend.settling = False
        if backend.state.spoiled is not None:
            self.discard(backend)
        else:
            self._send(backend, Errand(lambda _: frontend.sync(), lambda _, a: a.error is None))

    def _send(self, backend: Backend, errand: Errand) -> None:
        """Our own question, which is no client's query."""
        self._lend(backend, errand)
        backend.busy_since = 0.0

    def doubt(self, backend: Backend) -> None:
        """An idle backend was not heard of for server_check_delay: ask before it is lent."""
        self.idle.remove(backend)
        self.unchecked.append(backend)

    def _check(self, backend: Backend) -> None:
        """Ask, and lend to whoever waits if the server answers."""

        def done(backend: Backend | None, answer: Answer) -> bool:
            self._checking -= 1
            alive = answer.error is None and answer.ending is None
            if not alive:
                self.grow()
            return alive

        self._checking += 1
        query = (self.settings.server_check_query or "").encode()
        self._send(backend, Errand(lambda _: frontend.query(query), done))

    def reset(self, backend: Backend, query: str) -> None:
        """Wipe what a session has left, then give back; a backend that will not be wiped goes."""

        def done(backend: Backend | None, answer: Answer) -> bool:
            if backend is not None and answer.error is None:
                backend.state.settings.reset()
                backend.state.statements.forget_all()
            return answer.error is None

        if self.adversary is not None:
            self.adversary.over(backend.holder, backend)
            self.discard(backend)
            self._open_spare()
            return
        if not query:
            self.give_back(backend)
            return
        if self.now != backend.held_since:
            # The client's lease ends here: what follows is ours.
            self._count_lease(backend)
        self._send(backend, Errand(lambda _: frontend.query(query.encode()), done))

    def _open_spare(self) -> None:
        """Who comes next finds a backend, though each serves one transaction only."""
        if not (self.idle or self.waiting or self.opening) and self._has_room():
            self._begin_opening()

    def discard(self, backend: Backend) -> None:
        """Close a backend, whatever it is doing. Idempotent."""
        if backend not in self.backends:
            return
        self.backends.discard(backend)
        for resting in (self.idle, self.unchecked):
            if backend in resting:
                resting.remove(backend)
        backend.holder = None
        self._caps.count(self.database.name, self.user, -1)
        try:
            if not backend.wire.broken and not backend.wire.sending:
                backend.wire.put(frontend.terminate())
        finally:
            backend.wire.close()
        backend.state.pipeline.abandon()
        log.info("backend closed backend=%d pool=%s", backend.number, self.name)
        self.grow()

    def grow(self) -> None:
        """Open as many backends as are waited for and allowed."""
        while len(self.waiting) > self.opening + self._checking and self._has_room():
            self._begin_opening()

    def keep_minimum(self) -> None:
        """Open what min_pool_size asks for, while there are clients to serve (janitor)."""
        short = self.limits.min_pool_size - len(self.backends) - self.opening
        if short > 0 and self.failure is None and self._has_room():
            self._begin_opening()

    def _begin_opening(self) -> None:
        self.opening += 1
        self._caps.count(self.database.name, self.user, 1)
        self._open_soon(self)

    def _may_open(self) -> bool:
        return not self.closed and not self.paused and self.now >= self._retry_at()

    def _has_room(self) -> bool:
        if not self._may_open():
            return False
        limits = self.limits
        if limits.pool_size and len(self.backends) + self.opening >= self._size():
            return False
        return self._within_caps()

    def _within_caps(self) -> bool:
        """The database and the user may have one more."""
        limits = self.limits
        by_database = self._caps.by_database.get(self.database.name, 0)
        if limits.max_db_connections and by_database >= limits.max_db_connections:
            return False
        by_user = self._caps.by_user.get(self.user, 0)
        return not limits.max_user_connections or by_user < limits.max_user_connections

    def has_room_for_own(self) -> bool:
        """Whether a client may have a connection to the server for itself alone now.

        Idle backends that stand in its way are closed.
        """
        if self.closed or self.paused:
            return False
        while not self._within_caps() and self.idle:
            self.discard(self.idle[0])
        return self._within_caps()

    def count_own(self, change: int) -> None:
        """A client has one such connection more or less; it is none of the pool's backends."""
        self._caps.count(self.database.name, self.user, change)
        self._owned += change
        if change < 0:
            self.grow()

    @property
    def failing(self) -> Ending | None:
        """Why nobody gets a backend at present, when that will not change by waiting."""
        hopeless = self._lasting and not self.backends and not self.opening
        return self.failure if hopeless and self.now < self._retry_at() else None

    def _retry_at(self) -> float:
        """When to try the server again: soon after a first failure, then ever later."""
        if self.failure is None:
            return float("-inf")
        if self._lasting:
            return self.failed_at + self.settings.server_login_retry
        soon: float = _RETRY_SECONDS * 2 ** min(self._failures, 10)
        return self.failed_at + min(soon, self.settings.server_login_retry)

    def keep_ear(self, ear: Ear | None) -> None:
        """Have this ear from now on, or none."""
        change = (ear is not None) - (self.ear is not None)
        self._caps.count_ear(self.database.name, self.user, change)
        self.statements.unread_bytes_max = self.settings.max_client_notification_bytes
        self.ear = ear

    @property
    def may_have_ear(self) -> bool:
        """The ears of all pools leave at least half of the allowed connections to clients."""
        limits, caps, own = self.limits, self._caps, self.ear is None
        of_database = caps.ears_by_database.get(self.database.name, 0) + own
        of_user = caps.ears_by_user.get(self.user, 0) + own
        return (not limits.max_db_connections or 2 * of_database <= limits.max_db_connections) and (
            not limits.max_user_connections or 2 * of_user <= limits.max_user_connections
        )

    @property
    def fits(self) -> bool:
        """There are no more backends than pool_size allows."""
        return not self.limits.pool_size or len(self.backends) <= self.limits.pool_size

    def _size(self) -> int:
        """pool_size, the ear, and the reserve when someone has waited too long."""
        limits, settings = self.limits, self.settings
        reserve = 0
        if limits.reserve_pool_size and self.waiting and settings.reserve_pool_timeout:
            if self.now - self.waiting[0].waiting_since >= settings.reserve_pool_timeout:
                reserve = limits.reserve_pool_size
        return limits.pool_size + reserve + (self.ear is not None)

    def opened(self, backend: Backend, parameters: dict[bytes, bytes]) -> None:
        """A backend has logged in."""
        self.opening -= 1
        self.failure = None
        self._failures = 0
        self.parameters = parameters
        if self.paused:
            backend.state.spoiled = "the pool was paused"
        self.backends.add(backend)
        # Whoever is next has it from now: this comes from a task, not from a sweep.
        self.clock.read()
        # Nobody has held it so far.
        backend.held_since = self.now
        if self.statements.functions.stale and backend.state.spoiled is None:
            self._look(backend)
        else:
            self.give_back(backend)

    def look_again(self) -> None:
        """Ask once in a while for code that was made where nobody here could see it (janitor)."""
        if self.idle and self.now - self._looked_at > _LOOK_SECONDS:
            self._look(self.idle.popleft())

    def _look(self, backend: Backend) -> None:
        """Ask which code leaves something behind (trio_pool.watch), then give the backend back."""
        if self.closed or not self.statements.asks_early:
            self.give_back(backend)
            return
        self._looked_at = self.now
        self.statements.functions.stale = False
        # Whoever waits gets this one in a moment.
        self._checking += 1

        def done(backend: Backend | None, answer: Answer) -> bool:
            self._checking -= 1
            if answer.error is None and answer.ending is None:
                self.statements.watch(watch_for(answer.rows))
            else:
                log.warning("the catalogues could not be asked for code pool=%s", self.name)
                self.grow()
            return True

        self._lend(backend, Errand(lambda _: frontend.query(LOOK), done))

    def not_opened(self, why: Ending, lasting: bool) -> None:
        """A backend could not be opened; `lasting` when trying again soon is no use.

        Then whoever waits is told. A server that is full, starting or unreachable is tried
        again, and clients wait as long as query_wait_timeout lets them.
        """
        self.opening -= 1
        self._caps.count(self.database.name, self.user, -1)
        self.failure = why
        self.failed_at = self.now
        self._failures += 1
        self._lasting = lasting
        if lasting and not self.backends:
            self.refuse_waiting(why)

    def refuse_waiting(self, why: Ending) -> None:
        """Nobody who waits will get a backend."""
        refused = list(self.waiting)
        self.waiting.clear()
        for holder in refused:
            holder.refused(why)

    def renew(self) -> None:
        """Replace every backend: those that are idle now, the others when they come back."""
        self.close_idle()
        for backend in self.backends:
            backend.state.spoiled = backend.state.spoiled or "it is to be replaced"

    def close_idle(self) -> None:
        """Close every backend that nobody has."""
        for backend in [*self.idle, *self.unchecked]:
            self.discard(backend)

    @property
    def outdated(self) -> bool:
        """A backend that is to be replaced is still at work."""
        return any(backend.state.spoiled is not None for backend in self.backends)

    def leave(self, host: str, addresses: tuple[str, ...]) -> None:
        """`host` is at these addresses now: backends that are elsewhere are replaced."""
        for backend in list(self.backends):
            if backend.address[0] != host or backend.server_address in addresses:
                continue
            backend.state.spoiled = backend.state.spoiled or "its server's name leads elsewhere"
            if backend.holder is None and not backend.settling:
                self.discard(backend)

    def pause(self) -> None:
        """Open and lend nothing until `resume`; backends are closed as they come back."""
        self.paused = True
        if self.ear is not None:
            self.ear.rest()
        self.renew()

    def resume(self) -> None:
        """The end of `pause`."""
        self.paused = False
        self.grow()

    def retire(self) -> None:
        """The configuration has no place for this pool: what is at work is its last work."""
        self.closed = True
        if self.ear is not None:
            self.ear.close()
        self.renew()
        self.refuse_waiting(ConfigurationChanged())

    def close(self) -> None:
        """Close every backend; nothing is lent from here on."""
        self.closed = True
        for backend in list(self.backends):
            self.discard(backend)

    @property
    def never_worked(self) -> bool:
        """No backend was ever opened, and nobody waits for one or has one of its own."""
        return self.parameters is None and not self.opening and not self.waiting and not self._owned
