"""The conversation in which a client proves who it is."""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING

from protocol.auth import (
    PASSWORD_BYTES_MAX,
    Accepted,
    AuthMethod,
    authenticate,
    authenticate_by_password,
)
from protocol.errors import LengthViolation
from protocol.exchange import Exchange
from protocol.framing import FrameReader
from protocol.scram import ScramVerifier
from protocol.stored_secrets import PlainSecret
from trio_pool.conduct import resumed
from trio_pool.config import RolesUnknown
from trio_pool.login.methods import choose_method
from trio_pool.login.secret import derive, look_up, look_up_roles, lookup_of, secret_of, stand_in
from trio_pool.login.settling import settle

if TYPE_CHECKING:
    from trio_pool.login.login import Login, Step


def challenge(login: Login) -> Step | None:
    """Begin the conversation, once all is known that it takes."""
    try:
        method = login.method = choose_method(login)
    except RolesUnknown:
        return login.wait(look_up_roles, login)
    if method is None:
        login.accepted = Accepted()
        return settle
    if login.judge is not None:
        judged = functools.partial(login.judge.check, login.said.user)
        return _ask(login, authenticate_by_password(login.said.message.user, judged))
    return _ask_for_secret(login, method)


def _ask_for_secret(login: Login, method: AuthMethod) -> Step | None:
    server, user, secret = login.server, login.said.message.user, secret_of(login)
    if secret is None and login.found is None:
        lookup = lookup_of(login)
        if lookup is not None:
            return login.wait(look_up, login, lookup)
    if secret is None and method is AuthMethod.MD5:
        method = server.method_for_strangers
    elif secret is None and method is AuthMethod.PLAIN:
        secret = stand_in(login)
    if method is AuthMethod.SCRAM and isinstance(secret, PlainSecret):
        known = server.verifiers.get(user)
        if known is None or known[0] != secret.password:
            return login.wait(derive, login, secret)
        secret = known[1]
    return _ask(
        login,
        authenticate(
            method,
            user,
            secret,
            random_bytes=secrets.token_bytes,
            mock_key=server.mock_key,
            iterations=server.config.settings.scram_iterations,
            binding=login.binding,
        ),
    )


def _ask(login: Login, exchange: Exchange[Accepted]) -> Step:
    """Put the first question, if there is any."""
    login.exchange = exchange
    try:
        login.wire.put(next(exchange))
    except StopIteration as stop:
        login.accepted = stop.value
        return settle
    login.frames = FrameReader(PASSWORD_BYTES_MAX)
    return converse


def converse(login: Login) -> Step | None:
    """Play the exchange with every message that has come."""
    frames, exchange = login.frames, login.exchange
    assert frames is not None and exchange is not None
    frames.feed(login.received)
    login.received = b""
    while login.accepted is None:
        try:
            message = frames.next_frame()
        except LengthViolation as violation:
            exchange.throw(violation)
            raise
        if message is None:
            return None
        if _is_slow(login):
            return login.wait(_check, login, exchange, message)
        try:
            login.wire.put(exchange.send(message))
        except StopIteration as stop:
            login.accepted = stop.value
    login.received = frames.rest()
    return settle


def _is_slow(login: Login) -> bool:
    """Whether the next message is judged elsewhere, or by PBKDF2: a password and a verifier."""
    if login.judge is not None:
        return True
    if login.method is not AuthMethod.PLAIN:
        return False
    return isinstance(secret_of(login), ScramVerifier)


async def _check(login: Login, exchange: Exchange[Accepted], message: tuple[int, bytes]) -> None:
    threads = login.server.hasher if login.judge is None else login.server.judges
    out, login.accepted = await threads.run(functools.partial(resumed, exchange, message))
    login.wire.put(out)
