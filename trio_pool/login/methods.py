"""How a client is to prove who it is: auth_type, the lines of an HBA file, certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.auth import AuthMethod
from protocol.errors import AuthenticationRefused
from protocol.startup_message import Replication
from trio_pool.admin.desk import is_owner
from trio_pool.config import AuthType, HbaRule, Visit
from trio_pool.credentials import method_of
from trio_pool.interfaces import own_interfaces
from trio_pool.judges import judge_for
from trio_pool.process import account_name
from trio_pool.tls import TlsSocket
from trio_pool.wire import Socket, endpoints, is_local, peer_account

if TYPE_CHECKING:
    from trio_pool.login.login import Login


def choose_method(login: Login) -> AuthMethod | None:
    """How the client is to prove itself; None when the connection itself was the proof.

    Raises AuthenticationRefused, and RolesUnknown when the user's groups have to be known first.
    """
    config = login.server.config
    if at_own_console(login):
        return None
    if config.settings.auth_type is AuthType.CERT:
        _check_name(login, "certificate", certified_name(login.wire.sock), None)
        return None
    if config.settings.auth_type is not AuthType.HBA:
        login.judge = judge_for(config, None, _address(login))
        return login.server.auth_method
    # Hazard: without its file (SET auth_type = hba) nobody may come in, not everybody.
    rule = config.hba.rule_for(_visit(login)) if config.hba is not None else None
    if rule is None or rule.method == "reject":
        raise AuthenticationRefused("login rejected", "28000", "See auth_hba_file.")
    if rule.method == "cert":
        _check_name(login, "certificate", certified_name(login.wire.sock), rule)
    elif rule.method == "peer":
        _check_name(login, "peer", account_name(peer_account(login.wire.sock)), rule)
    login.judge = judge_for(config, rule, _address(login))
    return method_of(rule)


def at_own_console(login: Login) -> bool:
    """It is our own account, at the console: there is nothing to prove."""
    card = login.said
    return card.at_console and is_owner(card.user, peer_account(login.wire.sock))


def certified_name(sock: Socket) -> str | None:
    """The name in the certificate that the client has shown, if it has."""
    return sock.peer_name if isinstance(sock, TlsSocket) else None


def _address(login: Login) -> str:
    """Where the client is, for those who are asked whether it may come in."""
    return endpoints(login.wire.sock)[0][0]


def _visit(login: Login) -> Visit:
    local, hba = is_local(login.wire.sock), login.server.config.hba
    return Visit(
        database=login.said.database,
        user=login.said.user,
        address=None if local else _address(login),
        encrypted=isinstance(login.wire.sock, TlsSocket),
        # As at a server: a logical one is for a database, like any other client.
        replication=login.said.message.replication is Replication.PHYSICAL,
        roles=login.roles,
        interfaces=own_interfaces() if hba is not None and hba.asks_for_interfaces else (),
    )


def _check_name(login: Login, proof: str, name: str | None, rule: HbaRule | None) -> None:
    """Raises AuthenticationRefused unless `name` may be the user that the client wants to be."""
    hba, user = login.server.config.hba, login.said.user
    if name is not None:
        means = name == user
        if rule is not None and hba is not None:
            means = hba.means(rule, name, user)
        if means:
            return
    raise AuthenticationRefused(f'{proof} authentication failed for user "{user}"', "28000")
