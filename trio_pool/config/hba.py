"""auth_hba_file: who may come from where, and how they prove who they are.

The first line that fits decides; none means no. What the lines look like is in `hba_file`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

import attrs

from trio_pool.config.ldap_options import LdapOptions

_SAME_ROLE: Final = ("samerole", "samegroup")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@attrs.frozen
class Names:
    """One list of a line: names as written, the keywords among them, and the groups."""

    names: frozenset[str]
    keywords: frozenset[str]
    groups: frozenset[str] = frozenset()


@attrs.frozen
class HbaRule:
    """One line."""

    kind: str
    databases: Names
    users: Names
    network: Network | None
    method: str
    map: str | None = None
    service: str | None = None
    """The PAM service that is asked."""
    ldap: LdapOptions | None = None
    near: str | None = None
    """`samehost` or `samenet`, in place of a network."""


@attrs.frozen
class Visit:
    """What a line is compared with; `address` is None over a unix socket.

    `interfaces` are the addresses of this machine, for lines that speak of them. `roles` are those
    that the user is a member of, itself included; None: nobody has asked yet.
    """

    database: str
    user: str
    address: str | None
    encrypted: bool
    replication: bool = False
    roles: frozenset[str] | None = None
    interfaces: tuple[Interface, ...] = ()


class RolesUnknown(Exception):
    """Which line fits depends on roles that nobody has asked for yet."""


@attrs.frozen
class Hba:
    """All lines, and the names that maps give to people of the system."""

    rules: tuple[HbaRule, ...]
    maps: Mapping[str, tuple[tuple[str, str], ...]] = attrs.field(factory=dict)

    def rule_for(self, visit: Visit) -> HbaRule | None:
        """The first line that fits. Raises RolesUnknown."""
        return next((rule for rule in self.rules if _fits(rule, visit)), None)

    @property
    def asks_for_roles(self) -> bool:
        """Some line speaks of groups."""
        return any(
            rule.users.groups or rule.databases.keywords & set(_SAME_ROLE) for rule in self.rules
        )

    @property
    def asks_for_interfaces(self) -> bool:
        """Some line speaks of this machine's addresses."""
        return any(rule.near for rule in self.rules)

    def means(self, rule: HbaRule, known_as: str, user: str) -> bool:
        """Whether who is `known_as` to the system or a certificate may log in as `user`."""
        if rule.map is None:
            return known_as == user
        return any(
            _mapped(pattern, target, known_as) == user
            for pattern, target in self.maps.get(rule.map, ())
        )


def _mapped(pattern: str, target: str, known_as: str) -> str | None:
    if not pattern.startswith("/"):
        return target if pattern == known_as else None
    found = re.search(pattern[1:], known_as)
    if found is None:
        return None
    return target.replace("\\1", found[1]) if found.groups() else target


def _fits(rule: HbaRule, visit: Visit) -> bool:
    if (rule.kind == "local") != (visit.address is None):
        return False
    if rule.kind == "hostssl" and not visit.encrypted:
        return False
    if rule.kind == "hostnossl" and visit.encrypted:
        return False
    if rule.network is not None and not _within(rule.network, visit.address):
        return False
    if rule.near is not None and not _is_near(rule.near, visit):
        return False
    return _has_database(rule.databases, visit) and _has_user(rule.users, visit)


def _within(network: Network, address: str | None) -> bool:
    if address is None:
        return False
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found) in network


def _is_near(near: str, visit: Visit) -> bool:
    return any(
        _within(ipaddress.ip_network(own.ip) if near == "samehost" else own.network, visit.address)
        for own in visit.interfaces
    )


def _has_database(names: Names, visit: Visit) -> bool:
    if visit.replication:
        return "replication" in names.keywords
    if "all" in names.keywords or visit.database in names.names:
        return True
    if "sameuser" in names.keywords and visit.database == visit.user:
        return True
    return bool(names.keywords & set(_SAME_ROLE)) and visit.database in _roles(visit)


def _has_user(names: Names, visit: Visit) -> bool:
    if "all" in names.keywords or visit.user in names.names:
        return True
    return bool(names.groups) and not names.groups.isdisjoint(_roles(visit))


def _roles(visit: Visit) -> frozenset[str]:
    if visit.roles is None:
        raise RolesUnknown
    return visit.roles
