"""The ear of a pool: one backend that listens for all clients that are away (trio_pool.channels).

Why one per pool and not one per database, although any role may listen to any channel: so the
ear is opened like every other backend of the pool, with a login that the clients it serves have,
and goes with its pool. It begins as the backend of the first client that listens, which stays
behind when the client leaves; then no second connection is needed. It counts in
max_db_connections and max_user_connections, and comes on top of pool_size: clients never wait for
a place that it takes.

When it is to be replaced (server_lifetime, RECONNECT, RELOAD) a second one listens before the
first one stops, with a mark as for any other crossing: nothing is missed. When it is lost, or
PAUSE closes it, another is opened as soon as that can be, and who was away is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.backend import notice_response
from trio_pool.backend import Backend
from trio_pool.channels import AWAY, Crossing, Listening, Register, channel_of, payload_of
from trio_pool.ear.link import Link, listen_to
from trio_pool.errors import NotificationsUnread
from trio_pool.journal import Journal
from trio_pool.pins import WIPE
from trio_pool.pool.caps import keep_ear
from trio_pool.pool.errands import reset
from trio_pool.pool.growth import fits
from trio_pool.relay.crossing import as_shown, frame_of, set_mark

if TYPE_CHECKING:
    from trio_pool.pool import Pool
    from trio_pool.session import Session

log = Journal(__name__)

# Whatever the last client had set is undone; an ear is silent for long, and must not end for it.
_PREPARE: Final = (
    b"SET SESSION AUTHORIZATION DEFAULT; RESET ALL;"
    b" SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings"
    b" WHERE name OPERATOR(pg_catalog.=) 'idle_session_timeout';"
    b" SET application_name TO 'trio-pool ear'; "
)
LOST: Final = notice_response(
    "WARNING",
    # Class 01 is that of warnings; subclasses from T on are for implementations.
    "01T01",
    "notifications may have been lost",
    hint="The pooler's connection that listens for this client was lost and opened again:"
    " look again at whatever the notifications are about.",
)


class Ear:
    """Who of a pool's clients listens to what, and the backend that listens for them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.register: Register[Session] = Register()
        self.link: Link | None = None
        # What is to take the link's place, and the mark between the two.
        self.successor: Link | None = None
        self._swap: Crossing | None = None
        self._by_process: dict[bytes, Session] = {}
        # Who would leave home as soon as the ear listens to its channels.
        self._eager: dict[Session, None] = {}
        # Who has been waiting for the ear to hear a mark, and since when.
        self.awaited: dict[Session, float] = {}
        # What one read brought for each client.
        self._batches: dict[Session, list[bytes]] = {}

    # Clients.

    def take_over(self, session: Session, backend: Backend, channels: frozenset[bytes]) -> None:
        """There is no ear: the backend of a client that leaves stays behind as one."""
        self.enter(session, channels)
        if self.link is not None:
            self._discard(self.link)
        link = self.link = Link(self)
        link.listens |= channels
        link.confirmed |= channels
        backend.holder = link
        link.granted(backend)

    def enter(self, session: Session, channels: frozenset[bytes]) -> None:
        """`session` listens to these now."""
        self.register.enter(session, channels)
        self._by_process[session.relay.process.hex().encode()] = session

    def listens_for(self, session: Session, channels: frozenset[bytes]) -> bool:
        """Whether `session` may leave home; if not yet, it is tried again when it may."""
        self.enter(session, channels)
        link = self.link
        if link is None:
            self._open()
        elif link.backend is not None:
            if channels <= link.confirmed and self.pool.statements.marks in link.confirmed:
                return True
            missing = channels - link.listens
            if missing and self._swap is None:
                link.listen(missing)
        self._eager[session] = None
        return False

    def forget(self, session: Session) -> None:
        """`session` listens no more, or has ended. Idempotent."""
        self.register.leave(session)
        self._by_process.pop(session.relay.process.hex().encode(), None)
        self._eager.pop(session, None)
        self.awaited.pop(session, None)
        self._batches.pop(session, None)

    # What is heard.

    def heard(self, link: Link, note: bytes) -> None:
        """A notification came on `link`."""
        swap = self._swap
        if swap is None:
            if link is self.link:
                self._tell(note)
        elif channel_of(note) == self.pool.statements.marks and payload_of(note) == swap.mark:
            if link is self.link:
                for kept in swap.end_old():
                    self._tell(kept)
            else:
                swap.begin_new()
            self._swap_if_done()
        elif swap.old() if link is self.link else swap.new(note):
            self._tell(note)

    def _tell(self, note: bytes) -> None:
        channel = channel_of(note)
        if channel == self.pool.statements.marks:
            self._tell_mark(payload_of(note))
            return
        frame = frame_of(note)
        for session in self.register.hearers(channel):
            listening = session.relay.listening
            if listening is not None:
                shown = as_shown(session.relay, note, b"")
                if listening.hears_ear(shown):
                    batch = self._batches.setdefault(session, [])
                    batch.append(frame if shown is note else frame_of(shown))

    def _tell_mark(self, mark: bytes) -> None:
        session = self._by_process.get(mark.partition(b".")[0])
        if session is not None:
            self._put(session, self._batches.pop(session, []))
            session.mark_heard(mark)

    def flush(self) -> None:
        """Send what one read has brought."""
        batches, self._batches = self._batches, {}
        for session, frames in batches.items():
            self._put(session, frames)

    def _put(self, session: Session, frames: list[bytes]) -> None:
        if not frames or session.ended.is_set():
            return
        session.wire.put(b"".join(frames))
        most = self.pool.settings.max_client_notification_bytes
        if 0 < most < session.wire.unsent_bytes:
            # Nobody else may have to wait for one that does not read.
            session.end(NotificationsUnread())

    # The backend.

    def begin(self, link: Link) -> None:
        """`link` has a backend: listen to everything, and from when on if it is a successor."""
        backend, pool = link.backend, self.pool
        assert backend is not None
        if link is not self.link and link is not self.successor:
            link.backend = None
            pool.give_back(backend)
            return
        backend.state.statements.unnamed = None
        backend.state.settings.reset()
        channels = frozenset(self.register.channels)
        sql = b"; ".join(listen_to(channel) for channel in sorted(channels))
        if link is self.successor:
            # Hazard: all that the link listens to, which nothing changes while there are two.
            mark = pool.statements.new_mark(b"")
            self._swap = Crossing(mark)
            sql = sql + b"; " + set_mark(pool.statements.marks, mark)
        else:
            sql = sql + b"; " + listen_to(pool.statements.marks)
        link.ask(_PREPARE + sql.removeprefix(b"; "), channels | {pool.statements.marks})

    def confirmed(self, link: Link) -> None:
        """`link` listens to more than before."""
        if link is self.successor:
            self._swap_if_done()
            return
        if link is not self.link or link.asked:
            return
        for session in list(self.register.clients):
            session.ear_confirmed()
            listening = session.relay.listening
            if listening is not None and listening.place == AWAY:
                tell_if_lost(session, listening)
        eager, self._eager = self._eager, {}
        for session in eager:
            session.leave_home()

    def _swap_if_done(self) -> None:
        swap, successor, link = self._swap, self.successor, self.link
        if swap is None or successor is None or not swap.complete or successor.asked:
            return
        self.link, self.successor, self._swap = successor, None, None
        if link is not None:
            self._discard(link)

    def lost(self, link: Link, why: str = "") -> None:
        """`link` has no backend any more, or gets none."""
        if link is self.successor:
            self.successor = self._swap = None
        elif link is self.link:
            if why:
                log.warning("the ear is lost pool=%s: %s", self.pool.name, why)
            self.flush()
            self.link = None
            if self.successor is not None:
                # It may have missed what the link had not told yet.
                self._discard(self.successor)
                self.successor = self._swap = None
            for session in list(self.register.clients):
                session.ear_lost()

    def drop(self, link: Link, why: str) -> None:
        """Make an end of `link`, which is no use."""
        self._discard(link)
        self.lost(link, why)

    def _discard(self, link: Link) -> None:
        backend, link.backend = link.backend, None
        if backend is not None:
            self.pool.discard(backend)
        elif link.waiting_since:
            self.pool.withdraw(link)

    def _open(self) -> None:
        if not (self.pool.paused or self.pool.closed):
            link = self.link = Link(self)
            self.pool.request(link)

    # What the pool does with it.

    @property
    def has_backend(self) -> bool:
        """It listens, if not to everything yet."""
        return self.link is not None and self.link.backend is not None

    @property
    def ready(self) -> bool:
        """It listens to all that it was told to."""
        link = self.link
        return link is not None and link.backend is not None and not link.asked

    def tend(self, now: float) -> None:
        """Everything that time does to it (janitor)."""
        link = self.link
        if not self.register:
            self.close()
        elif link is None:
            self._open()
        elif self._hangs(now):
            self.drop(link, "it does not answer")
        elif link.backend is not None and self.successor is None:
            unused = link.listens - {self.pool.statements.marks} - set(self.register.channels)
            if unused and not link.asked:
                link.unlisten(unused)
            if link.backend.state.spoiled is not None or now > link.backend.expires_at:
                self.successor = Link(self)
                self.pool.request(self.successor)

    def _hangs(self, now: float) -> bool:
        patience = self.pool.settings.server_connect_timeout
        since = [link.asked[0][0] for link in (self.link, self.successor) if link and link.asked]
        since += self.awaited.values()
        return 0 < patience < now - min(since, default=now)

    def rest(self) -> None:
        """The pool is paused: nothing stays open."""
        if self.link is not None:
            self.drop(self.link, "the pool was paused")

    def close(self) -> None:
        """Nobody listens any more: the backend becomes one like all others, if there is room."""
        keep_ear(self.pool, None)
        link, self.link = self.link, None
        for each in (link, self.successor):
            if each is not None:
                backend, pool = each.backend, self.pool
                if backend is None or each.asked or not fits(pool) or pool.closed:
                    self._discard(each)
                else:
                    each.backend = None
                    reset(pool, backend, WIPE)
        self.successor = self._swap = None
        for session in list(self.register.clients):
            session.ear_lost()


def tell_if_lost(session: Session, listening: Listening) -> None:
    """Somebody listens for the client again: if it may have missed something, say so."""
    if listening.lost:
        listening.lost = False
        session.wire.put(LOST)
