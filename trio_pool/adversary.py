"""The adversarial mode: the worst transaction pooler there could be, which tells what it breaks.

Every transaction runs on a backend of its own, which is opened for it and closed behind it.
Nothing of a session follows its client but what the startup packet said and what
`adversarial_keeps` names. What the server says was left at the end of a transaction is noted with
the statement that made it, and lost.

An application that passes its tests like this survives transaction pooling by any pooler.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from trio_pool.config import Settings
from trio_pool.dependence import PREPARED, SETTING, Dependence, Dependences, text_that_set
from trio_pool.journal import Journal
from trio_pool.monitor import Monitor, monitor_of
from trio_pool.pins import ASKED_ABOUT, KINDS, shortened
from trio_pool.relay.state import NO_PINS
from trio_pool.session import Session

if TYPE_CHECKING:
    from trio_pool.backend import Backend, Holder

log = Journal(__name__)

# The word of `adversarial_keeps` that is no setting.
_PREPARED_FOLLOW: Final = "prepared"


def adversary_of(settings: Settings) -> Adversary | None:
    """The one of a pooler with these settings; None where nobody asked for it."""
    return Adversary(settings.adversarial_keeps) if settings.adversarial else None


class Adversary:
    """Takes from every client of a pooler what it leaves behind, and keeps the list."""

    def __init__(self, keeps: Iterable[str]) -> None:
        self.found = Dependences()
        self._keeps = frozenset(name.lower().encode() for name in keeps)
        self._prepared_follow = _PREPARED_FOLLOW.encode() in self._keeps

    def over(self, holder: Holder | None, backend: Backend) -> None:
        """A transaction of `holder` is over, and its backend is about to be closed. Idempotent."""
        if not isinstance(holder, Session):
            return
        monitor = monitor_of(holder.wire)
        if monitor is None:
            return
        self._take_pins(holder)
        self._take_settings(holder, backend, monitor)
        self._take_statements(holder, monitor)
        monitor.turn_the_page()

    def _take_pins(self, session: Session) -> None:
        relay = session.relay
        for pin in relay.pins:
            unsure = relay.pins_suspect and pin.reason in ASKED_ABOUT
            if pin.reason in KINDS and not (pin.over or pin.warns or unsure):
                self._note(session, pin.reason, b"", pin.statement)
        relay.pins = NO_PINS
        relay.pins_suspect = False

    def _take_settings(self, session: Session, backend: Backend, monitor: Monitor) -> None:
        settings, initial = session.relay.settings, backend.state.settings.initial
        kept: dict[bytes, bytes] = {}
        for name, value in settings.values.items():
            if settings.startup.get(name, initial.get(name)) == value:
                continue
            if not value and name in settings.customs:
                # Its transaction has given it up; PostgreSQL keeps the name.
                continue
            if name.lower() in self._keeps:
                kept[name] = value
            else:
                text = text_that_set(monitor.texts, name)
                self._note(session, SETTING, name, shortened(text))
        settings.lose(kept)

    def _take_statements(self, session: Session, monitor: Monitor) -> None:
        """By SQL they never follow: no plain pooler sees them. By Parse if that was wanted."""
        client = session.relay.client
        for name, statement in list(client.names.items()):
            by_protocol = name in monitor.parsed
            if by_protocol and self._prepared_follow:
                continue
            client.take(name)
            if by_protocol:
                monitor.lost[name] = statement.text
            else:
                self._note(session, PREPARED, name, shortened(statement.text))
        if not self._prepared_follow and client.unnamed is not None:
            monitor.lost[b""] = client.unnamed.text
            client.unnamed = None
        monitor.parsed &= client.names.keys()

    def missed(self, monitor: Monitor, name: bytes) -> None:
        """A client uses a statement that it prepared in an earlier transaction."""
        self._note(monitor.session, PREPARED, name, shortened(monitor.lost[name]))

    def _note(self, session: Session, kind: str, name: bytes, statement: str) -> None:
        found = Dependence(
            kind=kind,
            name=name.decode("utf-8", "replace"),
            statement=statement,
            user=session.user,
            database=session.pool.database.name,
        )
        if self.found.note(found):
            log.warning(
                "session state was not kept (adversarial) pool=%s kind=%s %s: %s",
                session.pool.name,
                kind,
                found.name,
                statement,
            )
