"""The books of a pool, and the line: who has which backend, and who is next.

What every transaction does is here: a backend is lent, rests while its client thinks, and comes
back; and with it how a backend enters the books and leaves them.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from protocol import frontend
from protocol.framing import LARGE_BYTES_MAX, length_limits
from protocol.tags import FrontendTag, TransactionStatus
from trio_pool.backend import Backend, Holder
from trio_pool.config import Database, Limits, PoolMode, Settings
from trio_pool.counting import Statistics
from trio_pool.credentials import ServerLogin
from trio_pool.customs import Names
from trio_pool.errors import Ending, SessionFailed
from trio_pool.journal import Journal
from trio_pool.pins import PIN_EVERYTHING, PinPolicy
from trio_pool.pool.caps import Caps
from trio_pool.pool.errands import check, look
from trio_pool.pool.failures import failing
from trio_pool.pool.growth import grow, make_room, must_make_room
from trio_pool.resolver import Resolver
from trio_pool.settings import Environments
from trio_pool.statements import PoolStatements
from trio_pool.switchboard import Clock
from trio_pool.tls_settings import NO_ENCRYPTION

if TYPE_CHECKING:
    from trio_pool.adversary import Adversary
    from trio_pool.ear import Ear
    from trio_pool.trial import Greeting

log = Journal(__name__)


def _pin_policy_of(settings: Settings) -> PinPolicy:
    """What is configured; an adversary wants to hear of everything that is left."""
    return PIN_EVERYTHING if settings.adversarial else PinPolicy.of(settings.pin_policy)


def _lengths_max(settings: Settings) -> list[int]:
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
        self.login = login
        self.caps = caps
        self.open_soon = open_soon
        # Who has what: backends are out, idle, or unchecked; the latter have been idle for so long
        # that they are asked whether they live before they are lent.
        self.backends: set[Backend] = set()
        self.idle: list[Backend] = []
        self.unchecked: deque[Backend] = deque()
        self.waiting: deque[Holder] = deque()
        self.opening = 0
        self.checking = 0  # Backends that serve whoever waits once we have our answer.
        self.owned = 0  # Connections to the server that are one client's alone.
        self.ear: Ear | None = None  # Listens for clients that hold no backend.
        self.closed = False
        # Nothing is opened or lent until `resume`; what is out is closed when it comes back.
        self.paused = False
        self.now = now  # The janitor's clock: good enough for timeouts, free to read.
        self.tended_at = now  # When the janitor was last here.
        self.used_at = now  # When somebody last had to do with it (Server.forget_unused).
        self.looked_at = now  # When the server was last asked for code that leaves something.
        # Why no backend could be opened the last time, if that is so (trio_pool.pool.failures).
        self.failure: Ending | None = None
        self.failed_at = now
        self.failures_in_a_row = 0
        self.failure_lasts = False
        self.turns = -1  # Attempts to open a backend, for load_balance_hosts.
        self.encryption = NO_ENCRYPTION  # Of connections to servers.
        self.adversary: Adversary | None = None  # Who takes away what sessions leave.
        # The switchboard's and the server's.
        self.clock = Clock()
        self.resolver = Resolver()
        self.statistics = Statistics()  # Shared by all pools of a database.
        # What a server says of itself at login; None until a backend was opened once.
        self.parameters: dict[bytes, bytes] | None = None
        # What to tell a client with these startup settings, once the server has accepted them.
        self.tried: dict[tuple[tuple[bytes, bytes], ...], Greeting] = {}
        self.environments = Environments()
        self.statements = PoolStatements(secrets.token_hex(8), _pin_policy_of(settings))
        self.statements.forgetful = settings.adversarial
        self.statements_max = settings.max_prepared_statements
        # Why last: compiled code need not look whether what was there before `self` went elsewhere
        # is there.
        self.adopt(limits, settings)

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
        self.statements.pin_policy = _pin_policy_of(settings)
        self.statements.asks_early = not self.session_mode
        self.statements.lengths_max = _lengths_max(settings)
        self.statements.unread_bytes_max = settings.max_client_notification_bytes
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
        backend = idle.pop(0) if self.round_robin else idle.pop()
        if backend.state.settings.customs and not holder.suits(backend):
            idle.append(backend)
            suitable = self._idle_for(holder)
            if suitable is None:
                return None
            backend = suitable
        # As `_hold`, which would be one more call for every transaction.
        backend.holder = holder
        backend.held_since = self.now
        backend.busy_since = self.clock.now
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
                self.lend(backend, holder)
                return
        why = failing(self)
        if why is not None:
            holder.refused(why)
            return
        # Never 0, which means "not waiting".
        holder.waiting_since = max(self.now, 1e-9)
        self.waiting.append(holder)
        if self.unchecked and len(self.waiting) > self.checking:
            check(self, self.unchecked.pop())
        grow(self)
        make_room(self)

    def withdraw(self, holder: Holder) -> None:
        """The holder waits no longer."""
        if holder in self.waiting:
            self.waiting.remove(holder)

    def _hold(self, backend: Backend, holder: Holder) -> None:
        backend.holder = holder
        backend.held_since = self.now
        backend.busy_since = self.clock.now

    def lend(self, backend: Backend, holder: Holder) -> None:
        """Let the holder have this backend, which nobody has, and tell it so."""
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
            self.count_lease(backend)
        if backend.cancels:
            backend.settling = True
        elif self.closed or backend.state.spoiled is not None or self.now > backend.expires_at:
            self.discard(backend)
        elif self.waiting:
            self._serve_next(backend)
        else:
            backend.idle_since = self.now
            self.idle.append(backend)

    def count_lease(self, backend: Backend) -> None:
        """A lease ends that the janitor's clock has seen."""
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
                if place > self.opening + self.checking and must_make_room(self):
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
        self.lend(backend, holder)

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

    def discard(self, backend: Backend) -> None:
        """Close a backend, whatever it is doing. Idempotent."""
        if backend not in self.backends:
            return
        self.backends.discard(backend)
        for resting in (self.idle, self.unchecked):
            if backend in resting:
                resting.remove(backend)
        backend.holder = None
        self.caps.count(self.database.name, self.user, -1)
        try:
            if not backend.wire.broken and not backend.wire.sending:
                backend.wire.put(frontend.terminate())
        finally:
            backend.wire.close()
        backend.state.pipeline.abandon()
        log.info("backend closed backend=%d pool=%s", backend.number, self.name)
        grow(self)

    def opened(self, backend: Backend, parameters: dict[bytes, bytes]) -> None:
        """A backend has logged in."""
        self.opening -= 1
        self.failure = None
        self.failures_in_a_row = 0
        self.parameters = parameters
        self.environments.begin(parameters)
        if self.paused:
            backend.state.spoiled = "the pool was paused"
        self.backends.add(backend)
        # Whoever is next has it from now: this comes from a task, not from a sweep.
        self.clock.read()
        # Nobody has held it so far.
        backend.held_since = self.now
        if self.statements.functions.stale and backend.state.spoiled is None:
            look(self, backend)
        else:
            self.give_back(backend)
