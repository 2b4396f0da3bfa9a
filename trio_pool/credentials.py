"""Which secret proves what: clients to us, and us to servers.

A client is checked against the secret the user list has for it. A server is logged in to with
the database's own password, else the user's listed secret, else with what the client's own
login revealed (a password, or SCRAM keys that are good for the same verifier only).
"""

from __future__ import annotations

import attrs

from protocol import scram
from protocol.auth import AuthMethod
from protocol.handshake import Credentials
from protocol.stored_secrets import Md5Secret, PlainSecret, Secret, parse_secret
from trio_pool.config import AuthType, Config, Database, HbaRule

_METHODS = {
    AuthType.ANY: AuthMethod.ANY,
    AuthType.TRUST: AuthMethod.TRUST,
    AuthType.PLAIN: AuthMethod.PLAIN,
    AuthType.MD5: AuthMethod.MD5,
    AuthType.SCRAM_SHA_256: AuthMethod.SCRAM,
    # Each line of the file says it for itself (trio_pool.login).
    AuthType.HBA: AuthMethod.TRUST,
    # The proof is the certificate; no password is asked for (trio_pool.login).
    AuthType.CERT: AuthMethod.TRUST,
    # Somebody else judges the password (trio_pool.judges).
    AuthType.PAM: AuthMethod.PLAIN,
    AuthType.LDAP: AuthMethod.PLAIN,
}


_VERIFIER_BEGINS = "SCRAM-SHA-256$"
_HBA_METHODS = {
    "trust": AuthMethod.TRUST,
    "password": AuthMethod.PLAIN,
    "md5": AuthMethod.MD5,
    "scram-sha-256": AuthMethod.SCRAM,
    "pam": AuthMethod.PLAIN,
    "ldap": AuthMethod.PLAIN,
}


def method_of(rule: HbaRule) -> AuthMethod | None:
    """How a line wants its clients to prove themselves; None when it is not by a secret."""
    return _HBA_METHODS.get(rule.method)


@attrs.define
class ServerLogin:
    """How a pool logs in to its server. `learned` is what clients' logins revealed."""

    user: str
    secret: Secret | None = attrs.field(default=None, repr=False)
    learned: PlainSecret | scram.ScramKeys | None = attrs.field(default=None, repr=False)

    def credentials(self) -> Credentials:
        """What to prove with now."""
        secret = self.secret
        if isinstance(secret, PlainSecret | Md5Secret):
            return Credentials(self.user.encode("utf-8", "surrogateescape"), secret)
        return Credentials(self.user.encode("utf-8", "surrogateescape"), self.learned)

    def learn(self, password: bytes | None, keys: scram.ScramKeys | None) -> None:
        """A client of this very user proved itself: its proof may serve at the server too."""
        if password is not None:
            self.learned = PlainSecret(password)
        elif keys is not None:
            self.learned = keys


@attrs.frozen
class SecretLookup:
    """Where and as whom a secret is asked for, when the user list does not have it."""

    database: Database
    query: str
    login: ServerLogin = attrs.field(eq=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.database.name, self.query))


def secret_lookup(config: Config, name: str) -> SecretLookup | None:
    """How secrets of clients of the database `name` are looked up (auth_user, auth_query,
    auth_dbname); None when they are not.
    """
    general, asked_for = config.settings, config.database(name)
    user = (asked_for.auth_user if asked_for is not None else None) or general.auth_user
    place = (asked_for.auth_dbname if asked_for is not None else None) or general.auth_dbname
    database = config.database(place) if place else asked_for
    if not user or database is None:
        return None
    query = (asked_for.auth_query if asked_for is not None else None) or general.auth_query
    text = config.secrets.get(user)
    if text is None and database.user == user and database.password is not None:
        return SecretLookup(
            database, query, ServerLogin(user, PlainSecret(database.password.encode()))
        )
    return SecretLookup(
        database, query, ServerLogin(user, parse_secret(text) if text is not None else None)
    )


def auth_method(auth_type: AuthType) -> AuthMethod:
    """How clients prove themselves."""
    return _METHODS[auth_type]


def method_for_strangers(config: Config) -> AuthMethod:
    """How somebody whom nobody knows is asked under MD5: as most of those who are known.

    A server that is asked for secrets stores verifiers, unless it was told otherwise.
    """
    # Why only how they begin: to read ten thousand verifiers would keep all clients waiting.
    verifiers = sum(text.startswith(_VERIFIER_BEGINS) for text in config.secrets.values())
    return AuthMethod.SCRAM if 2 * verifiers >= len(config.secrets) else AuthMethod.MD5


def client_secret(config: Config, user: str) -> Secret | None:
    """What the user list says of `user`; None for a user it does not have."""
    text = config.secrets.get(user)
    return parse_secret(text) if text is not None else None


def server_login(config: Config, database: Database, user: str) -> ServerLogin:
    """How backends of `database` log in for clients that are `user`."""
    name = database.user or user
    if database.password is not None:
        return ServerLogin(name, PlainSecret(database.password.encode()))
    text = config.secrets.get(name)
    return ServerLogin(name, parse_secret(text) if text is not None else None)
