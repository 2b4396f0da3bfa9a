"""What there is to compare a proof with: the user list's secret, or what a server says."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from protocol.auth import AuthMethod
from protocol.errors import AuthenticationRefused
from protocol.scram import mock_verifier
from protocol.stored_secrets import PlainSecret, Secret, verifier_for
from trio_pool.credentials import SecretLookup, secret_lookup

if TYPE_CHECKING:
    from trio_pool.login.login import Login


@attrs.frozen
class Found:
    """What a server said of a user: its secret, or that it has none."""

    secret: Secret | None = attrs.field(repr=False)


def secret_of(login: Login) -> Secret | None:
    """The user list's secret comes first, as with PgBouncer."""
    secret = login.said.secret
    return login.found.secret if secret is None and login.found is not None else secret


def lookup_of(login: Login) -> SecretLookup | None:
    """Where to ask for the secret of a user that the list does not have; None: nowhere."""
    if login.method is AuthMethod.ANY:
        return None
    return secret_lookup(login.server.config, login.said.database)


async def look_up(login: Login, lookup: SecretLookup) -> None:
    """Ask a server for the secret."""
    server = login.server
    settings = server.config.settings
    secret = await server.lookups.secret_of(
        login.said.message.user, lookup, settings, server.encryption
    )
    login.found = Found(secret)


async def look_up_roles(login: Login) -> None:
    """Ask a server which groups the user belongs to. Raises AuthenticationRefused."""
    server, card = login.server, login.said
    lookup = secret_lookup(server.config, card.database)
    if lookup is None:
        # Hazard: to pass over the line could let in whom it was to keep out.
        raise AuthenticationRefused("login rejected", "28000", "See auth_hba_file.")
    settings = server.config.settings
    login.roles = await server.lookups.roles_of(
        card.message.user, lookup, settings, server.encryption
    )


async def derive(login: Login, secret: PlainSecret) -> None:
    """The verifier of a plain password, computed once per user."""
    server, user = login.server, login.said.message.user
    iterations = server.config.settings.scram_iterations
    made = await server.hasher.run(
        functools.partial(verifier_for, secret, user, server.mock_key, iterations)
    )
    assert made is not None
    server.verifiers[user] = (secret.password, made)


def stand_in(login: Login) -> Secret | None:
    """For the password of somebody whom nobody knows: as much work as for most others."""
    server = login.server
    if server.method_for_strangers is not AuthMethod.SCRAM:
        return None
    iterations = server.config.settings.scram_iterations
    login.found = Found(mock_verifier(server.mock_key, login.said.message.user, iterations))
    return login.found.secret
