"""A client from its first byte to the ReadyForQuery that opens its session.

Nothing is believed before authentication: packets are small, only password messages are
read, no backend is borrowed for a stranger, and an unknown database is reported only to
those who proved who they are. The startup parameters are then tried on a real backend, once
per distinct set, so that the client is told what a private server would have told it.

A login is a turn of the switchboard: it takes one step after the other within the sweep, for as
long as no step has to wait. What has to (PBKDF2 in a thread, a first backend, a setting that was
never tried) is done by a task of the server's nursery, after which the same step is taken again
and finds what it needs. Law: no decision survives a wait; every step reads the state anew.
"""

from __future__ import annotations

import functools
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVarTuple

import attrs
import trio

from protocol import startup
from protocol.auth import Accepted, AuthMethod, authenticate, authenticate_by_password
from protocol.backend import backend_key_data, ready_for_query
from protocol.errors import AuthenticationRefused, ProtocolViolation
from protocol.exchange import Exchange
from protocol.framing import FrameReader
from protocol.scram import ScramVerifier, mock_verifier
from protocol.startup import CancelRequest, SSLRequest
from protocol.startup_message import Replication, StartupMessage
from protocol.stored_secrets import PlainSecret, Secret, verifier_for
from trio_pool.admin.desk import is_owner, visitor
from trio_pool.admin.desk import welcome as console_welcome
from trio_pool.card import Card
from trio_pool.conduct import resumed
from trio_pool.config import AuthType, HbaRule, RolesUnknown, TlsMode, Visit
from trio_pool.credentials import SecretLookup, method_of, secret_lookup
from trio_pool.errors import (
    ClientLoginTimeout,
    Ending,
    LoginsExceeded,
    NoSuchDatabase,
    SessionFailed,
    TlsRequired,
    TooManyClients,
    UnsupportedReplication,
)
from trio_pool.farewell import fatal
from trio_pool.hooks import Client, Hooks, call
from trio_pool.judges import Judge, judge_for
from trio_pool.passage import OwnBackend
from trio_pool.pool import Pool
from trio_pool.process import account_name
from trio_pool.settings import ClientSettings
from trio_pool.tls import ALPN, TlsFailed, TlsSocket
from trio_pool.trial import Wanted, greeting_for, try_settings, welcome
from trio_pool.wire import NOBODY, Socket, Wire, endpoints, is_local, peer_account, plain_of

if TYPE_CHECKING:
    from trio_pool.server import Server

log = logging.getLogger(__name__)

_REFUSALS: Final = (Ending, AuthenticationRefused, ProtocolViolation)
_PASSWORD_BYTES_MAX: Final = 65_540
_TLS_RECORD: Final = b"\x16"
_TLS_OPTIONAL: Final = (TlsMode.DISABLE, TlsMode.ALLOW, TlsMode.PREFER)
_READY: Final = ready_for_query()
# SSLRequest and GSSENCRequest may each come once before the startup packet.
_NEGOTIATIONS_MAX: Final = 2


@attrs.define(eq=False)
class Arrival:
    """A client that has logged in; `rest` is what it sent behind its login."""

    wire: Wire
    card: Card
    pool: Pool
    settings: ClientSettings
    key: tuple[int, bytes]
    rest: bytes


@attrs.frozen
class Found:
    """What a server said of a user: its secret, or that it has none."""

    secret: Secret | None = attrs.field(repr=False)


class Login:
    """One client that is not logged in yet; the turn of its wire."""

    __slots__ = (
        "wire",
        "since",
        "_server",
        "_step",
        "_received",
        "_negotiations",
        "_card",
        "_exchange",
        "_frames",
        "_accepted",
        "_waiting",
        "_found",
        "_direct",
        "_binding",
        "_judge",
        "_method",
        "_own",
        "_roles",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.since = trio.current_time()
        self._server = server
        # Why no bound method: it would make a cycle, which only the collector could free.
        self._step: Step = Login._negotiate
        self._received = b""
        self._negotiations = 0
        self._card: Card | None = None
        self._exchange: Exchange[Accepted] | None = None
        self._frames: FrameReader | None = None
        self._accepted: Accepted | None = None
        self._waiting: trio.CancelScope | None = None
        # What a server knows of a user that the user list does not have, once it was asked.
        self._found: Found | None = None
        self._direct = False
        # Of the certificate that this client was shown: a reload may have brought another.
        self._binding: bytes | None = None
        # Who judges the password, if it is not a matter of a secret.
        self._judge: Judge | None = None
        self._method: AuthMethod | None = None
        # Those that the user is a member of, once somebody has asked.
        self._roles: frozenset[str] | None = None
        # A connection to the server that is to be this client's alone.
        self._own: OwnBackend | None = None
        self.wire = Wire(sock, server.switchboard, self)

    # The turn of the wire.

    def on_bytes(self, data: bytes) -> None:
        """The stranger sent bytes."""
        self._received = self._received + data if self._received else data
        if self._waiting is None:
            self._advance()

    def on_closed(self) -> None:
        """The stranger left; nobody is told."""
        log.debug("client left during login")
        if self._waiting is not None:
            self._waiting.cancel()
        self._server.lobby.leave(self)
        self.wire.close()
        self.wire.turn = NOBODY
        self._server.client_left()

    def on_drained(self) -> None:
        """Everything said has been sent."""

    def on_failure(self, failure: Exception) -> None:
        """A bug of ours, logged by the switchboard."""
        self._refuse(SessionFailed())

    def expire(self) -> None:
        """The time for the login is over."""
        if self._waiting is not None:
            self._waiting.cancel()
        else:
            self._refuse(ClientLoginTimeout())

    # The steps. Each returns the next one, or None when it needs more bytes or has to wait.

    def _advance(self) -> None:
        step: Step | None = self._step
        try:
            while step is not None:
                self._step = step
                step = step(self)
        except _REFUSALS as why:
            self._refuse(why)

    def _negotiate(self) -> Step | None:
        """Read packets until one says what the client wants."""
        data = self._received
        if data[:1] == _TLS_RECORD and self._may_encrypt:
            # Direct TLS: what has come is the beginning of the handshake.
            self._received = b""
            self._encrypt(data)
            return None
        if len(data) < 4:
            return None
        stop = 4 + startup.packet_bytes(data[:4])
        if len(data) < stop:
            return None
        known = self._server.cards.find(data[:stop], self._server.config)
        if known is not None:
            self._card, self._received = known, data[stop:]
            return Login._admit
        packet, self._received = data[4:stop], data[stop:]
        try:
            request = startup.decode_startup(packet)
        except ProtocolViolation as violation:
            log.info("login refused: %s", violation.message)
            self._dismiss(startup.refusal(packet, violation))
            return None
        if isinstance(request, StartupMessage):
            self._card = Card(data[:stop], request, self._server.config)
            return Login._admit
        if isinstance(request, CancelRequest):
            self._server.lobby.leave(self)
            self._server.start_cancel(self.wire.give_up()[0], request)
            self.wire.turn = NOBODY
            return None
        self._negotiations += 1
        if self._negotiations > _NEGOTIATIONS_MAX:
            raise ProtocolViolation("too many requests for encryption")
        if not (isinstance(request, SSLRequest) and self._may_encrypt):
            self.wire.put(b"N")
            return Login._negotiate
        if self._received:
            # Hazard: taken as encrypted, it would let anybody on the way put words in.
            raise ProtocolViolation("received unencrypted data after SSL request")
        self.wire.put(b"S")
        self._encrypt(b"")
        return None

    @property
    def _may_encrypt(self) -> bool:
        """TLS is offered here, and has not begun. As at a server, not over unix sockets."""
        sock = self.wire.sock
        offered = self._server.encryption.client is not None
        return offered and not isinstance(sock, TlsSocket) and not is_local(sock)

    def _encrypt(self, received: bytes) -> None:
        """From here on every byte is a TLS record's; `received` begins the handshake."""
        context = self._server.encryption.client
        assert context is not None
        self._binding = self._server.encryption.binding
        sock, unsent = self.wire.give_up()
        self.wire.turn = NOBODY
        encrypted = TlsSocket(
            plain_of(sock), context, server_side=True, received=received, unsent=unsent
        )
        self._direct = bool(received)
        self.wire = Wire(encrypted, self._server.switchboard, self)
        if received:
            try:
                encrypted.shake()
            except TlsFailed as failure:
                log.info("login refused: %s", failure)
                self.on_closed()

    def _check_encryption(self) -> None:
        """Raises TlsRequired, and ProtocolViolation for direct TLS without its ALPN."""
        sock, mode = self.wire.sock, self._server.config.settings.client_tls_sslmode
        if isinstance(sock, TlsSocket):
            if self._direct and sock.protocol != ALPN:
                raise ProtocolViolation(
                    "received direct SSL connection request without ALPN protocol negotiation"
                )
        elif mode not in _TLS_OPTIONAL and not is_local(sock):
            raise TlsRequired()

    def _admit(self) -> Step:
        """Refuse who cannot be served at all, before anything else is done for them."""
        card, server = self._said, self._server
        if server.clients > server.config.settings.max_client_conn and not card.at_console:
            raise TooManyClients()
        if server.config.settings.max_login_failures:
            self._refuse_offender()
        self._check_encryption()
        if card.message.replication is not Replication.NONE and card.at_console:
            raise UnsupportedReplication()
        if card.negotiation:
            self.wire.put(card.negotiation)
        return Login._challenge

    @property
    def _said(self) -> Card:
        """What the client has said, and what the present configuration makes of it."""
        card, config = self._card, self._server.config
        assert card is not None
        if card.config is not config:
            card = self._card = Card(card.packet, card.message, config)
        return card

    @property
    def _is_owner(self) -> bool:
        """It is our own account, at the console: there is nothing to prove."""
        card = self._said
        return card.at_console and is_owner(card.user, peer_account(self.wire.sock))

    def _choose_method(self) -> AuthMethod | None:
        """How the client is to prove itself; None when the connection itself was the proof.

        Raises AuthenticationRefused.
        """
        config = self._server.config
        if self._is_owner:
            return None
        if config.settings.auth_type is AuthType.CERT:
            self._check_name("certificate", certified_name(self.wire.sock), None)
            return None
        if config.settings.auth_type is not AuthType.HBA:
            self._judge = judge_for(config, None, self._address)
            return self._server.auth_method
        # Hazard: without its file (SET auth_type = hba) nobody may come in, not everybody.
        rule = config.hba.rule_for(self._visit) if config.hba is not None else None
        if rule is None or rule.method == "reject":
            raise AuthenticationRefused("login rejected", "28000", "See auth_hba_file.")
        if rule.method == "cert":
            self._check_name("certificate", certified_name(self.wire.sock), rule)
        elif rule.method == "peer":
            self._check_name("peer", account_name(peer_account(self.wire.sock)), rule)
        self._judge = judge_for(config, rule, self._address)
        return method_of(rule)

    @property
    def _address(self) -> str:
        """Where the client is, for those who are asked whether it may come in."""
        return endpoints(self.wire.sock)[0][0]

    @property
    def _visit(self) -> Visit:
        local = is_local(self.wire.sock)
        return Visit(
            database=self._said.database,
            user=self._said.user,
            address=None if local else endpoints(self.wire.sock)[0][0],
            encrypted=isinstance(self.wire.sock, TlsSocket),
            # As at a server: a logical one is for a database, like any other client.
            replication=self._said.message.replication is Replication.PHYSICAL,
            roles=self._roles,
        )

    def _check_name(self, proof: str, name: str | None, rule: HbaRule | None) -> None:
        hba, user = self._server.config.hba, self._said.user
        if name is not None:
            means = name == user
            if rule is not None and hba is not None:
                means = hba.means(rule, name, user)
            if means:
                return
        raise AuthenticationRefused(f'{proof} authentication failed for user "{user}"', "28000")

    def _challenge(self) -> Step | None:
        """Begin the conversation in which the client proves who it is."""
        server, user = self._server, self._said.message.user
        try:
            method = self._method = self._choose_method()
        except RolesUnknown:
            return self._wait(self._look_up_roles)
        if method is None:
            self._accepted = Accepted()
            return Login._settle
        if self._judge is not None:
            judge, name = self._judge, self._said.user
            return self._ask(authenticate_by_password(user, functools.partial(judge.check, name)))
        secret = self._secret
        if secret is None and self._found is None and self._lookup is not None:
            return self._wait(self._look_up, self._lookup)
        if secret is None and method is AuthMethod.MD5:
            method = server.method_for_strangers
        elif secret is None and method is AuthMethod.PLAIN:
            secret = self._stand_in()
        if method is AuthMethod.SCRAM and isinstance(secret, PlainSecret):
            known = server.verifiers.get(user)
            if known is None or known[0] != secret.password:
                return self._wait(self._derive, secret)
            secret = known[1]
        return self._ask(
            authenticate(
                method,
                user,
                secret,
                random_bytes=secrets.token_bytes,
                mock_key=server.mock_key,
                iterations=server.config.settings.scram_iterations,
                binding=self._binding,
            )
        )

    def _stand_in(self) -> Secret | None:
        """For the password of somebody whom nobody knows: as much work as for most others."""
        server = self._server
        if server.method_for_strangers is not AuthMethod.SCRAM:
            return None
        iterations = server.config.settings.scram_iterations
        self._found = Found(mock_verifier(server.mock_key, self._said.message.user, iterations))
        return self._found.secret

    def _ask(self, exchange: Exchange[Accepted]) -> Step:
        """Put the first question, if there is any."""
        self._exchange = exchange
        try:
            self.wire.put(next(exchange))
        except StopIteration as stop:
            self._accepted = stop.value
            return Login._settle
        self._frames = FrameReader(_PASSWORD_BYTES_MAX)
        return Login._converse

    @property
    def _secret(self) -> Secret | None:
        """The user list's secret comes first, as with PgBouncer."""
        secret = self._said.secret
        return self._found.secret if secret is None and self._found is not None else secret

    @property
    def _lookup(self) -> SecretLookup | None:
        if self._method is AuthMethod.ANY:
            return None
        return secret_lookup(self._server.config, self._said.database)

    async def _look_up(self, lookup: SecretLookup) -> None:
        """Ask a server for the secret."""
        server = self._server
        settings = server.config.settings
        secret = await server.lookups.secret_of(
            self._said.message.user, lookup, settings, server.encryption
        )
        self._found = Found(secret)

    async def _look_up_roles(self) -> None:
        """Ask a server which groups the user belongs to. Raises AuthenticationRefused."""
        server, card = self._server, self._said
        lookup = secret_lookup(server.config, card.database)
        if lookup is None:
            # Hazard: to pass over the line could let in whom it was to keep out.
            raise AuthenticationRefused("login rejected", "28000", "See auth_hba_file.")
        settings = server.config.settings
        self._roles = await server.lookups.roles_of(
            card.message.user, lookup, settings, server.encryption
        )

    async def _derive(self, secret: PlainSecret) -> None:
        """The verifier of a plain password, computed once per user."""
        server, user = self._server, self._said.message.user
        iterations = server.config.settings.scram_iterations
        made = await server.hasher.run(
            functools.partial(verifier_for, secret, user, server.mock_key, iterations)
        )
        assert made is not None
        server.verifiers[user] = (secret.password, made)

    def _converse(self) -> Step | None:
        """Play the exchange with every message that has come."""
        frames, exchange = self._frames, self._exchange
        assert frames is not None and exchange is not None
        frames.feed(self._received)
        self._received = b""
        while self._accepted is None:
            message = frames.next_frame()
            if message is None:
                return None
            if self._is_slow:
                return self._wait(self._check, exchange, message)
            try:
                self.wire.put(exchange.send(message))
            except StopIteration as stop:
                self._accepted = stop.value
        self._received = frames.rest()
        return Login._settle

    @property
    def _is_slow(self) -> bool:
        """Whether the next message is judged elsewhere, or by PBKDF2: a password and a verifier."""
        if self._judge is not None:
            return True
        if self._method is not AuthMethod.PLAIN:
            return False
        return isinstance(self._secret, ScramVerifier)

    async def _check(self, exchange: Exchange[Accepted], message: tuple[int, bytes]) -> None:
        threads = self._server.hasher if self._judge is None else self._server.judges
        out, self._accepted = await threads.run(functools.partial(resumed, exchange, message))
        self.wire.put(out)

    def _settle(self) -> Step | None:
        """Find the pool and what its server says to these settings."""
        accepted, server, card = self._accepted, self._server, self._said
        assert accepted is not None
        if card.at_console:
            self._enter_console(accepted)
            return None
        pool = server.pool_for(card)
        if pool is None:
            raise NoSuchDatabase(f"no such database: {card.database}")
        server.refuse_if_full(card)
        if pool.user == card.user:
            pool.login.learn(accepted.password, accepted.keys)
            if self._found is not None:
                pool.login.secret = self._found.secret
        if card.message.replication is not Replication.NONE:
            return self._pass_through(pool, card, accepted)
        if pool.parameters is None:
            return self._wait(welcome, pool)
        wanted = self._wanted(card)
        greeting = greeting_for(pool, wanted)
        if greeting is None:
            return self._wait(try_settings, pool, wanted)
        if server.hooks is not None:
            self._tell(server.hooks, card)
        server.cards.remember(card)
        key = server.new_cancel_key(card.minor)
        self.wire.put(accepted.closing + greeting.opening + backend_key_data(*key) + _READY)
        server.lobby.leave(self)
        server.seat(Arrival(self.wire, card, pool, greeting.settings.copy(), key, self._received))
        return None

    def _pass_through(self, pool: Pool, card: Card, accepted: Accepted) -> Step | None:
        """A replication client has a backend of its own, and no session of a pool."""
        server, own = self._server, self._own
        if own is None:
            if server.hooks is not None:
                self._tell(server.hooks, card)
            return self._wait(self._open_own, pool, card)
        self._own = None
        server.lobby.leave(self)
        server.passages.seat(
            self.wire, card, own, server.new_number(), accepted.closing, self._received
        )
        return None

    async def _open_own(self, pool: Pool, card: Card) -> None:
        self._own = await self._server.passages.open(pool, card)

    def _close_own(self) -> None:
        """The client will not get what was opened for it."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def _tell(self, hooks: Hooks, card: Card) -> None:
        """The embedding program has a word to say. Raises the Ending that it says no with."""
        address, _ = endpoints(self.wire.sock)
        client = Client(number=0, user=card.user, database=card.database, address=address)
        call(hooks.on_authentication, client)

    def _wanted(self, card: Card) -> Wanted:
        """The settings the client is to have."""
        if not card.config.settings.application_name_add_host:
            return card.wanted
        (host, port), _ = endpoints(self.wire.sock)
        values = dict(card.wanted.values)
        name = values.get(b"application_name") or b"app"
        values[b"application_name"] = name + f" - {host}:{port}".encode()
        return Wanted(values)

    def _enter_console(self, accepted: Accepted) -> None:
        server, card = self._server, self._said
        who = visitor(server, card.user, self._is_owner)
        key = server.new_cancel_key(card.minor)
        server.lobby.leave(self)
        sock, unsent = self.wire.give_up()
        words = unsent + accepted.closing + console_welcome(key)
        server.start_console(sock, words, who, key, self._received)

    # What takes more than a step.

    def _wait(self, ask: Callable[[*Asked], Awaitable[None]], *asked: *Asked) -> Step | None:
        """Have a task `ask`; then the step that called this is taken again."""
        self.wire.pause()
        self._waiting = trio.CancelScope()
        self._server.start_soon(self._wait_for, functools.partial(ask, *asked), self._waiting)
        return None

    async def _wait_for(self, ask: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            with scope:
                await ask()
        except _REFUSALS as why:
            self._refuse(why)
        except Exception:
            log.exception("a login failed")
            self._refuse(SessionFailed())
        self._waiting = None
        if self.wire.closed:
            # The client may have left just when it was opened.
            self._close_own()
            return
        if scope.cancel_called:
            self._refuse(ClientLoginTimeout())
            return
        self.wire.resume()
        self._advance()

    def _refuse(self, why: Refusal) -> None:
        level = logging.INFO if self._server.config.settings.log_pooler_errors else logging.DEBUG
        if isinstance(why, Ending):
            log.log(level, "login ended: %s", why.text)
            self._dismiss(fatal(why.code, why.text, why.advice))
        else:
            log.log(level, "login refused: %s", why.message)
            if isinstance(why, AuthenticationRefused):
                self._note_offence()
            self._dismiss(fatal(why.sqlstate, why.message, why.hint))

    def _refuse_offender(self) -> None:
        """Raises LoginsExceeded when too many logins from this address have failed."""
        sock, limit = self.wire.sock, self._server.config.settings.max_login_failures
        (address, _), _ = endpoints(sock)
        if not is_local(sock):
            if self._server.offenders.are_too_many(address, limit, trio.current_time()):
                raise LoginsExceeded()

    def _note_offence(self) -> None:
        sock, limit = self.wire.sock, self._server.config.settings.max_login_failures
        if limit and not self.wire.closed and not is_local(sock):
            self._server.offenders.count(endpoints(sock)[0][0], limit, trio.current_time())

    def _dismiss(self, words: bytes) -> None:
        """Leave the rest to a task: the client may take its time to read why."""
        self._close_own()
        if self.wire.closed:
            return
        self._server.lobby.leave(self)
        sock, unsent = self.wire.give_up()
        self.wire.turn = NOBODY
        self._server.start_farewell(sock, unsent + words)


Step = Callable[[Login], "Step | None"]
Asked = TypeVarTuple("Asked")
Refusal = Ending | AuthenticationRefused | ProtocolViolation


def certified_name(sock: Socket) -> str | None:
    """The name in the certificate that the client has shown, if it has."""
    return sock.peer_name if isinstance(sock, TlsSocket) else None


class Lobby:
    """The clients between accept and ReadyForQuery, first come first."""

    __slots__ = ("_logins",)

    def __init__(self) -> None:
        self._logins: dict[Login, None] = {}

    def __len__(self) -> int:
        return len(self._logins)

    def enter(self, login: Login) -> None:
        """`login` has begun."""
        self._logins[login] = None

    def leave(self, login: Login) -> None:
        """`login` has ended, one way or another."""
        self._logins.pop(login, None)

    def expire(self, since: float) -> None:
        """End every login that began at `since` or before."""
        while self._logins:
            oldest = next(iter(self._logins))
            if oldest.since > since:
                return
            self.leave(oldest)
            oldest.expire()

    def close(self) -> None:
        """Close what is left, without a word: the pooler has stopped."""
        for login in list(self._logins):
            self.leave(login)
            login.wire.close()
