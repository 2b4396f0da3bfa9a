"""Who may see texts and give orders on the dashboard: those who may at the console.

A login is checked against the user list (`auth_file`); who is not there costs as much time as who
is. It is remembered by a cookie that scripts cannot read and other sites cannot send; orders also
carry a token that other sites cannot know. A ticket lasts for a while, and no longer than its user
is in `admin_users` or `stats_users`.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs
import trio

from protocol.scram import ScramVerifier, make_verifier, salt_for, same
from protocol.stored_secrets import Md5Secret, PlainSecret, Secret, is_password
from trio_pool.admin.desk import visitor
from trio_pool.credentials import client_secret
from trio_pool.errors import NotAllowed
from trio_pool.journal import Journal

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

COOKIE: Final = "trio_pool_ticket"
# Limits: how long a login lasts, how many there are, and how many passwords an address may try.
TICKET_SECONDS: Final = 3_600.0
_TICKETS_MAX: Final = 100
_FAILURES_MAX: Final = 5
_FAILURE_SECONDS: Final = 60.0
_ADDRESSES_MAX: Final = 1_000


@attrs.frozen
class Ticket:
    """A login that holds."""

    user: str
    is_admin: bool
    token: str = attrs.field(repr=False)


class TooManyFailures(Exception):
    """This address has tried too many passwords lately."""


@attrs.define
class _Remembered:
    user: str
    token: str = attrs.field(repr=False)
    ends_at: float


class Logins:
    """The logins of one dashboard."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tickets: dict[str, _Remembered] = {}
        self._failures: dict[str, deque[float]] = {}

    async def begin(self, user: str, password: str, peer: str) -> str | None:
        """The cookie of a new login; None when it is refused. Raises TooManyFailures."""
        self._refuse_if_too_many(peer)
        # Counted before it is looked at: many at once must not slip through together.
        tries = self._failures.setdefault(peer, deque(maxlen=_FAILURES_MAX))
        tries.append(trio.current_time())
        if not await self._proved(user, password) or self._rank(user) is None:
            log.warning("dashboard login refused user=%r peer=%s", user, peer)
            return None
        tries.pop()
        cookie = secrets.token_urlsafe(32)
        if len(self._tickets) >= _TICKETS_MAX:
            del self._tickets[next(iter(self._tickets))]
        ends_at = trio.current_time() + TICKET_SECONDS
        self._tickets[cookie] = _Remembered(user, secrets.token_urlsafe(32), ends_at)
        log.info("dashboard login user=%r peer=%s", user, peer)
        return cookie

    def ticket(self, cookie: str) -> Ticket | None:
        """What a cookie stands for now."""
        known = self._tickets.get(cookie)
        if known is None:
            return None
        rank = self._rank(known.user)
        if rank is None or trio.current_time() > known.ends_at:
            del self._tickets[cookie]
            return None
        return Ticket(known.user, rank, known.token)

    def end(self, cookie: str) -> None:
        """Forget a login."""
        self._tickets.pop(cookie, None)

    def _rank(self, user: str) -> bool | None:
        """Whether this user may give orders; None when they may not even look."""
        settings = self._server.config.settings
        if user not in settings.admin_users and user not in settings.stats_users:
            return None
        try:
            return visitor(self._server, user).is_admin
        except NotAllowed:
            return None

    def _refuse_if_too_many(self, peer: str) -> None:
        long_ago = trio.current_time() - _FAILURE_SECONDS
        tries = self._failures.get(peer)
        if tries is not None and len(tries) == _FAILURES_MAX and tries[0] > long_ago:
            raise TooManyFailures
        if len(self._failures) >= _ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]

    async def _proved(self, user: str, password: str) -> bool:
        server = self._server
        # What JSON spells need not be text that could be encoded.
        name, said = user.encode("utf-8", "replace"), password.encode("utf-8", "replace")
        secret = client_secret(server.config, user)
        iterations = server.config.settings.scram_iterations
        salt = salt_for(server.mock_key, name)
        return await server.hasher.run(
            functools.partial(_matches, secret, name, said, salt, iterations)
        )


def _matches(
    secret: Secret | None, user: bytes, password: bytes, salt: bytes, iterations: int
) -> bool:
    """Whether it is the password; slow by the same amount, whatever is known of the user."""
    if isinstance(secret, ScramVerifier):
        salt, iterations = secret.salt, secret.iterations
    made = make_verifier(password, salt, iterations)
    if isinstance(secret, ScramVerifier):
        return bool(password) and same(made.stored_key, secret.stored_key)
    if isinstance(secret, PlainSecret | Md5Secret):
        return is_password(secret, user, password)
    return False


def is_token(ticket: Ticket, given: str) -> bool:
    """Whether an order comes from our own page."""
    return hmac.compare_digest(ticket.token.encode(), given.encode("utf-8", "replace"))


def is_here(peer: str) -> bool:
    """Whether an address is this machine's own: only there no network sees a password."""
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_plain_host(host: str) -> bool:
    """Whether a Host header is an address or localhost.

    A name that somebody else owns may be made to lead here, and its pages to read ours.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
