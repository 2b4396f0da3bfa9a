"""Opening a backend: connect, log in, and hand it to its pool.

Every way this can go wrong ends in `not_opened` (trio_pool.pool.failures) with an Ending that a
client can be told. What the server says about its own reasons is logged and passed on; secrets
never are.
"""

from __future__ import annotations

import base64
import secrets
import ssl

import trio

from protocol import frontend
from protocol.backend import decode_error_response
from protocol.channel_binding import end_point_binding
from protocol.errors import AuthenticationRefused, ProtocolViolation, ServerRefused
from protocol.framing import FrameReader
from protocol.handshake import LoggedIn, LoginPolicy, is_scram_challenge, log_in
from protocol.startup import ssl_request
from protocol.tags import BackendTag
from trio_pool.backend import Backend
from trio_pool.conduct import Hasher, PeerClosed, conduct, next_message
from trio_pool.config import ChannelBinding, Database, LoadBalance, Settings, TlsMode
from trio_pool.errors import Ending, ServerLoginFailing
from trio_pool.journal import Journal
from trio_pool.passage import OwnBackend
from trio_pool.pool import Pool
from trio_pool.pool.failures import not_opened
from trio_pool.pool.growth import count_own
from trio_pool.resolver import Resolver
from trio_pool.switchboard import Switchboard
from trio_pool.tls import TlsFailed, TlsSocket, TlsStream
from trio_pool.tls_settings import Encryption
from trio_pool.wire import Socket, open_stream, plain_of, take_plain_socket, take_socket, tune

log = Journal(__name__)

# Reasons of the server that pass by themselves: no slots, starting up, shutting down.
_PASSING = (b"53", b"57", b"08")
_REFUSALS = (ServerRefused, AuthenticationRefused, ProtocolViolation)
_FAILURES = (OSError, trio.TooSlowError, PeerClosed)
_TLS_DEMANDED = (TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL)
_NONCE_BYTES = 18
_MESSAGE_BYTES_MAX = 1_048_576

# Startup parameters.
Pairs = tuple[tuple[bytes, bytes], ...]


class Opener:
    """Opens backends for all pools, and those that are one client's alone."""

    def __init__(self, switchboard: Switchboard, hasher: Hasher) -> None:
        self._switchboard = switchboard
        self._hasher = hasher
        self._number = 0

    async def open(self, pool: Pool) -> None:
        """Open one backend; the pool hears how it went, whatever happens."""
        settled = False
        try:
            stream, address, login = await self._connect(pool)
            settled = True
            self._hand_over(pool, stream, address, login)
        except (*_FAILURES, *_REFUSALS) as failure:
            settled = True
            ending, lasting = _explain(pool, failure)
            log.warning("cannot open a backend pool=%s: %s", pool.name, ending.text)
            not_opened(pool, ending, lasting)
        except Exception:
            settled = True
            log.exception("a bug kept a backend from being opened pool=%s", pool.name)
            not_opened(pool, ServerLoginFailing("internal error of the pooler"), True)
        finally:
            if not settled:
                not_opened(pool, ServerLoginFailing("the pooler is stopping"), False)

    async def open_own(self, pool: Pool, parameters: Pairs) -> OwnBackend:
        """A connection for one client alone, with the startup parameters of its own.

        It counts in the pool's limits from here on until it is closed. Raises an Ending that the
        client can be told.
        """
        count_own(pool, +1)
        try:
            stream, address, login = await self._connect(pool, parameters)
            sock = self._take(pool, stream, login)
        except (*_FAILURES, *_REFUSALS) as failure:
            count_own(pool, -1)
            ending, _ = _explain(pool, failure)
            log.warning("cannot open a backend pool=%s: %s", pool.name, ending.text)
            raise ending from failure
        except BaseException:
            count_own(pool, -1)
            raise
        return OwnBackend(self._number, pool, sock, address, login)

    async def _connect(
        self, pool: Pool, parameters: Pairs | None = None
    ) -> tuple[trio.SocketStream | TlsStream, tuple[str, int], LoggedIn]:
        """A connection to one of the pool's servers that lets us in, and which server it was."""
        pool.turns += 1
        with trio.fail_after(pool.settings.server_connect_timeout or float("inf")):
            stream, address = await open_encrypted(
                pool.database, pool.settings, pool.encryption, pool.turns, pool.resolver
            )
            try:
                return stream, address, await self._log_in(pool, stream, parameters)
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise

    def _take(self, pool: Pool, stream: trio.SocketStream | TlsStream, login: LoggedIn) -> Socket:
        """The socket of one more backend, ready for the switchboard; `_number` is the backend's."""
        self._number += 1
        sock = take_socket(stream)
        try:
            tune(plain_of(sock), pool.settings)
        except BaseException:
            sock.close()
            raise
        log.info(
            "backend opened backend=%d pool=%s server_pid=%d", self._number, pool.name, login.pid
        )
        return sock

    async def _log_in(self, pool: Pool, stream: trio.abc.Stream, more: Pairs | None) -> LoggedIn:
        """With parameters of its own it is a client's alone, which has no connect_query."""
        reader = FrameReader(_MESSAGE_BYTES_MAX)
        parameters = [(b"database", pool.database.dbname.encode("utf-8", "surrogateescape"))]
        for name, value in pool.database.startup_parameters.items():
            parameters.append((name.encode(), value.encode()))
        parameters += more or ()
        exchange = log_in(
            pool.login.credentials(),
            parameters,
            nonce=base64.b64encode(secrets.token_bytes(_NONCE_BYTES)),
            policy=login_policy(pool.database, stream),
        )
        login = await conduct(exchange, stream, reader, self._hasher, is_scram_challenge)
        if more is None and pool.database.connect_query:
            await _connect_query(stream, reader, pool.database.connect_query)
        _heed_last_words(reader)
        return login

    def _hand_over(
        self,
        pool: Pool,
        stream: trio.SocketStream | TlsStream,
        address: tuple[str, int],
        login: LoggedIn,
    ) -> None:
        sock = self._take(pool, stream, login)
        try:
            backend = Backend(
                self._number, pool, sock, address, login, trio.current_time(), self._switchboard
            )
        except BaseException:
            # The poller's own limit (epoll_ctl(2): ENOSPC, ENOMEM).
            sock.close()
            raise
        pool.opened(backend, login.parameters)


async def open_encrypted(
    database: Database,
    settings: Settings,
    encryption: Encryption,
    turn: int = 0,
    resolver: Resolver | None = None,
) -> tuple[trio.SocketStream | TlsStream, tuple[str, int]]:
    """A connection to the first of the database's hosts that answers, and which one it was.

    With load_balance_hosts each `turn` begins with another host. Raises OSError; TlsFailed is
    one.
    """
    failure: OSError | None = None
    first = 0 if database.load_balance_hosts is LoadBalance.DISABLE else turn % len(database.hosts)
    for host in database.hosts[first:] + database.hosts[:first]:
        try:
            address = (host, database.port)
            return await connect_to(address, settings, encryption, resolver), address
        except OSError as error:
            failure = error
    assert failure is not None
    raise failure


def login_policy(database: Database, stream: trio.abc.Stream) -> LoginPolicy:
    """What a login over this connection may and must do: its channel binding."""
    choice = database.channel_binding
    certificate = stream.sock.peer_certificate if isinstance(stream, TlsStream) else None
    if certificate is None or choice is ChannelBinding.DISABLE:
        return LoginPolicy(binding_required=choice is ChannelBinding.REQUIRE)
    return LoginPolicy(
        binding=end_point_binding(certificate),
        binding_required=choice is ChannelBinding.REQUIRE,
    )


async def connect_to(
    address: tuple[str, int],
    settings: Settings,
    encryption: Encryption,
    resolver: Resolver | None = None,
    at: str = "",
) -> trio.SocketStream | TlsStream:
    """A connection to one server, encrypted as server_tls_sslmode says. Raises OSError.

    `at` is its address where that is known already; a name may lead to several.
    """
    host, port = address
    local = host.startswith(("/", "@"))
    if local or at:
        stream = await open_stream(at or host, port)
    else:
        stream = await (resolver or Resolver()).connect(host, port, settings)
    # As everywhere in PostgreSQL, unix sockets are not encrypted.
    if encryption.server is None or local:
        return stream
    try:
        await stream.send_all(ssl_request())
        answer = await stream.receive_some(1)
        if answer == b"S":
            return await _encrypted(stream, encryption.server, host)
        if settings.server_tls_sslmode in _TLS_DEMANDED:
            raise TlsFailed("the server does not support TLS, but server_tls_sslmode demands it")
    except trio.BrokenResourceError as broken:
        await trio.aclose_forcefully(stream)
        raise ConnectionResetError("the server reset the connection at once") from broken
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def _encrypted(stream: trio.SocketStream, context: ssl.SSLContext, host: str) -> TlsStream:
    encrypted = TlsStream(TlsSocket(take_plain_socket(stream), context, server_name=host))
    try:
        await encrypted.handshake()
    except BaseException:
        await trio.aclose_forcefully(encrypted)
        raise
    return encrypted


def _heed_last_words(reader: FrameReader) -> None:
    """A server may end a backend that it has only just granted; it may not say anything else."""
    frame = reader.next_frame()
    if frame is not None and frame[0] == BackendTag.ERROR:
        raise ServerRefused(decode_error_response(frame[1]).fields)
    rest = reader.rest()
    if frame is None and rest[:1] == b"E":
        raise PeerClosed
    if frame is not None or rest:
        raise ProtocolViolation("server sent bytes behind ReadyForQuery")


async def _connect_query(stream: trio.abc.Stream, reader: FrameReader, sql: str) -> None:
    await stream.send_all(frontend.query(sql.encode()))
    while True:
        tag, body = await next_message(stream, reader)
        if tag == BackendTag.ERROR:
            raise ServerRefused(decode_error_response(body).fields)
        if tag == BackendTag.READY_FOR_QUERY:
            return


def _explain(pool: Pool, failure: BaseException) -> tuple[Ending, bool]:
    if isinstance(failure, _REFUSALS):
        return _explain_refusal(failure)
    where = f"{pool.database.host}:{pool.database.port}"
    if isinstance(failure, trio.TooSlowError):
        text = f"server at {where} did not answer in time (server_connect_timeout)"
    elif isinstance(failure, PeerClosed):
        text = f"server at {where} closed the connection during login"
    else:
        text = f"cannot connect to server at {where}: {_reason(failure)}"
    return ServerLoginFailing(text, "Is PostgreSQL running there?"), False


def _reason(failure: BaseException) -> BaseException:
    """What the system said: Trio only says that all attempts failed."""
    cause = failure.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[-1]
    return cause if isinstance(cause, OSError) else failure


def _explain_refusal(
    failure: ServerRefused | AuthenticationRefused | ProtocolViolation,
) -> tuple[Ending, bool]:
    if isinstance(failure, ServerRefused):
        ending = ServerLoginFailing(failure.message)
        ending.code = failure.sqlstate or ending.sqlstate
        return ending, not failure.sqlstate.encode().startswith(_PASSING)
    ending = ServerLoginFailing(f"server login failed: {failure.message}", failure.hint)
    ending.code = failure.sqlstate
    return ending, True
