"""Passwords that somebody else judges: PAM of this system, or an LDAP directory.

Both may take their time, and cannot be asked without waiting: they are asked in threads, a few at
once. A client that has left is not waited for; its thread is, before another takes its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, TypeVar

import attrs
import trio

from protocol.errors import AuthenticationRefused
from trio_pool import ldap, pam
from trio_pool.config import AuthType, Config, ConfigError, HbaRule, LdapOptions

R = TypeVar("R")

# Limit: passwords that are judged at the same time. PAM delays its answer to a wrong one.
_ASKED_AT_ONCE: Final = 8
PAM_SERVICE: Final = "pgbouncer"


@attrs.frozen
class Judge:
    """Who says whether a password is right, by the name that a refused client is told."""

    name: str
    says: Callable[[str, bytes], bool] = attrs.field(repr=False)

    def check(self, user: str, password: bytes) -> bool:
        """True, or raises AuthenticationRefused. Takes long: to be called in a thread."""
        if not self.says(user, password):
            raise AuthenticationRefused(
                f'{self.name} authentication failed for user "{user}"', "28000"
            )
        return True


class Judges:
    """The threads in which they are asked."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(_ASKED_AT_ONCE)

    async def run(self, step: Callable[[], R]) -> R:
        """The result of `step`; whoever is cancelled does not wait for it."""
        return await trio.to_thread.run_sync(step, limiter=self._limiter, abandon_on_cancel=True)


def judge_for(config: Config, rule: HbaRule | None, address: str) -> Judge | None:
    """Who judges a client that `rule`, or without one auth_type, is for; None: nobody else."""
    method = config.settings.auth_type.value if rule is None else rule.method
    if method == AuthType.PAM.value:
        service = PAM_SERVICE if rule is None else rule.service or PAM_SERVICE
        return Judge("PAM", functools.partial(pam.is_right, service, address))
    if method == AuthType.LDAP.value:
        options = config.settings.auth_ldap_options if rule is None else rule.ldap
        # Hazard: without a directory nobody may come in.
        return Judge("LDAP", functools.partial(_by_ldap, options))
    return None


def _by_ldap(options: LdapOptions | None, user: str, password: bytes) -> bool:
    return options is not None and ldap.is_right(options, user, password)


def require_judges(config: Config) -> None:
    """Raises ConfigError when somebody is to be asked who is not there to be asked."""
    rules = config.hba.rules if config.hba is not None else ()
    methods = {config.settings.auth_type.value, *(rule.method for rule in rules)}
    if AuthType.PAM.value in methods and not pam.is_available():
        raise ConfigError("auth_type = pam: this system has no PAM", hint="install libpam")
    if AuthType.LDAP.value in methods and not ldap.is_available():
        raise ConfigError(
            "auth_type = ldap needs the package ldap3", hint="pip install 'trio-pool[ldap]'"
        )
    if config.settings.auth_type is AuthType.LDAP and config.settings.auth_ldap_options is None:
        raise ConfigError("auth_type = ldap needs auth_ldap_options")
