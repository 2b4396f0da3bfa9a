"""Backends that go: replaced, paused, or closed with their pool.

Those that nobody has go at once. The others are marked, and go when they come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_pool.errors import ConfigurationChanged
from trio_pool.pool.failures import refuse_waiting
from trio_pool.pool.growth import grow

if TYPE_CHECKING:
    from trio_pool.pool.pool import Pool


def close_idle(pool: Pool) -> None:
    """Close every backend that nobody has."""
    for backend in [*pool.idle, *pool.unchecked]:
        pool.discard(backend)


def renew(pool: Pool) -> None:
    """Replace every backend: those that are idle now, the others when they come back."""
    close_idle(pool)
    for backend in pool.backends:
        backend.state.spoiled = backend.state.spoiled or "it is to be replaced"


def outdated(pool: Pool) -> bool:
    """A backend that is to be replaced is still at work."""
    return any(backend.state.spoiled is not None for backend in pool.backends)


def leave(pool: Pool, host: str, addresses: tuple[str, ...]) -> None:
    """`host` is at these addresses now: backends that are elsewhere are replaced."""
    for backend in list(pool.backends):
        if backend.address[0] != host or backend.server_address in addresses:
            continue
        backend.state.spoiled = backend.state.spoiled or "its server's name leads elsewhere"
        if backend.holder is None and not backend.settling:
            pool.discard(backend)


def pause(pool: Pool) -> None:
    """Open and lend nothing until `resume`; backends are closed as they come back."""
    pool.paused = True
    if pool.ear is not None:
        pool.ear.rest()
    renew(pool)


def resume(pool: Pool) -> None:
    """The end of `pause`."""
    pool.paused = False
    grow(pool)


def retire(pool: Pool) -> None:
    """The configuration has no place for this pool: what is at work is its last work."""
    pool.closed = True
    if pool.ear is not None:
        pool.ear.close()
    renew(pool)
    refuse_waiting(pool, ConfigurationChanged())


def close(pool: Pool) -> None:
    """Close every backend; nothing is lent from here on."""
    pool.closed = True
    for backend in list(pool.backends):
        pool.discard(backend)
