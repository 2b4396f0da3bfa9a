"""From the name of a server to its addresses, remembered for as long as the settings say.

The system's resolver is asked in a thread, once for everybody who waits for the same name. What
it said holds for dns_max_ttl, that there is no such name for dns_nxdomain_ttl. Whoever connects to
a name of several addresses begins with the next one each time; an address that does not answer
at once does not hold up the others.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

import attrs
import trio

from trio_pool.config import Settings
from trio_pool.journal import Journal

log = Journal(__name__)

# Limit: names that are remembered; the oldest is forgotten first.
_NAMES_MAX: Final = 1_000
# How long an attempt is alone before the next address is tried besides (RFC 8305).
_ALONE_SECONDS: Final = 0.25


@attrs.frozen
class Known:
    """What the resolver said of a name, and until when that holds."""

    addresses: tuple[str, ...]
    failure: OSError | None
    until: float


class Resolver:
    """The names that were looked up; `on_change` is told when one leads elsewhere than before."""

    def __init__(
        self, on_change: Callable[[str, tuple[str, ...]], None] = lambda name, addresses: None
    ) -> None:
        self.known: dict[str, Known] = {}
        self.pending: dict[str, trio.Event] = {}
        self._on_change = on_change
        self._turns = 0

    async def connect(self, host: str, port: int, settings: Settings) -> trio.SocketStream:
        """A connection to the first address of `host` that answers. Raises OSError."""
        addresses = await self.addresses(host, settings)
        self._turns += 1
        first = self._turns % len(addresses)
        return await _first_of(addresses[first:] + addresses[:first], port)

    async def addresses(self, host: str, settings: Settings) -> tuple[str, ...]:
        """All addresses of a name, at least one. Raises OSError when it has none."""
        if _is_address(host):
            return (host,)
        while (under_way := self.pending.get(host)) is not None:
            await under_way.wait()
        known = self.known.get(host)
        if known is None or trio.current_time() >= known.until:
            known = await self._look_up(host, settings)
        if known.failure is not None:
            raise OSError(*known.failure.args) from known.failure
        return known.addresses

    async def _look_up(self, host: str, settings: Settings) -> Known:
        done = self.pending[host] = trio.Event()
        try:
            addresses, failure = await _ask(host)
        finally:
            del self.pending[host]
            done.set()
        seconds = settings.dns_max_ttl if failure is None else settings.dns_nxdomain_ttl
        before = self.known.pop(host, None)
        known = self.known[host] = Known(addresses, failure, trio.current_time() + seconds)
        if len(self.known) > _NAMES_MAX:
            del self.known[next(iter(self.known))]
        if before is not None and addresses and set(before.addresses) != set(addresses):
            log.info("%s is at %s now", host, ", ".join(addresses))
            self._on_change(host, addresses)
        return known


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


async def _ask(host: str) -> tuple[tuple[str, ...], OSError | None]:
    try:
        found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        # UnicodeError: a name that can be nobody's (IDNA).
        return (), failure if isinstance(failure, OSError) else OSError(f"{host}: {failure}")
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found)), None


async def _first_of(addresses: tuple[str, ...], port: int) -> trio.SocketStream:
    """Try one after the other, each a little later than the last. Raises OSError."""
    streams: list[trio.SocketStream] = []
    failures: list[OSError] = []

    async def attempt(address: str, failed: trio.Event, scope: trio.CancelScope) -> None:
        try:
            stream = await trio.open_tcp_stream(address, port)
        except OSError as failure:
            failures.append(failure)
            failed.set()
            return
        streams.append(stream)
        scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                attempt_one = functools.partial(attempt, address, failed, nursery.cancel_scope)
                nursery.start_soon(attempt_one)
                with trio.move_on_after(_ALONE_SECONDS):
                    await failed.wait()
        for late in streams[1:]:
            await late.aclose()
    except BaseException:
        # Hazard: the pool may be stopped just when one has succeeded.
        for stream in streams:
            await trio.aclose_forcefully(stream)
        raise
    if not streams:
        raise failures[0]
    return streams[0]
