"""An LDAP directory: is this the password of that entry (a simple bind, RFC 4513).

As PostgreSQL does (libpq/auth.c): the name is made, or looked for first. A directory that cannot be
reached lets nobody in, and the log says why. Needs the package ldap3 (`trio-pool[ldap]`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import ssl
from typing import Final

from trio_pool.config import LdapOptions
from trio_pool.journal import Journal

log = Journal(__name__)

# Limit: the longest wait for a connection, and for an answer.
_SECONDS: Final = 10


def is_available() -> bool:
    """The package that speaks LDAP is installed."""
    return importlib.util.find_spec("ldap3") is not None


def is_right(options: LdapOptions, user: str, password: bytes) -> bool:
    """Whether the directory lets `user` in with this password; waits for the directory."""
    # Why at once: a bind without a password succeeds, as nobody (RFC 4513 section 5.1.2).
    if not password or not options.is_plain(user):
        return False
    from ldap3.core.exceptions import LDAPException

    try:
        name = options.name_of(user) if options.base is None else _find(options, user)
        return name is not None and _bind(options, name, password.decode("utf-8"))
    except UnicodeDecodeError:
        return False
    except (LDAPException, OSError) as failure:
        log.warning("the LDAP server %s cannot be asked: %s", options.server, failure)
        return False


def _bind(options: LdapOptions, name: str, password: str) -> bool:
    with _connected(options, name, password) as connection:
        return bool(connection.bind())


def _find(options: LdapOptions, user: str) -> str | None:
    """The name of the one entry that is this user's."""
    import ldap3

    scopes = {"base": ldap3.BASE, "one": ldap3.LEVEL, "sub": ldap3.SUBTREE}
    with _connected(options, options.bind_name, options.bind_password) as connection:
        if not connection.bind():
            log.warning("the LDAP server %s does not let ldapbinddn in", options.server)
            return None
        connection.search(options.base, options.filter_for(user), scopes[options.scope])
        found = [entry["dn"] for entry in connection.response if entry["type"] == "searchResEntry"]
    if len(found) != 1:
        log.info("the LDAP server %s knows %d such users", options.server, len(found))
        return None
    return str(found[0])


@contextlib.contextmanager
def _connected(options: LdapOptions, name: str | None, password: str):  # type: ignore[no-untyped-def]
    """A connection that has not said who it is."""
    import ldap3

    server = ldap3.Server(
        options.server,
        port=options.port,
        use_ssl=options.encrypted,
        tls=ldap3.Tls(validate=ssl.CERT_REQUIRED),
        connect_timeout=_SECONDS,
        get_info=ldap3.NONE,
    )
    connection = ldap3.Connection(
        server,
        user=name,
        password=password if name is not None else None,
        receive_timeout=_SECONDS,
        read_only=True,
    )
    try:
        connection.open()
        if options.start_tls and not connection.start_tls():
            raise OSError("it does not begin TLS")
        yield connection
    finally:
        sock = connection.socket
        connection.unbind()
        # Why: what could not be opened would be left to the collector.
        if sock is not None:
            sock.close()
