"""auth_hba_file and auth_ident_file: which line fits, and what is refused."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import attrs
import pytest

from trio_pool.config import ConfigError, Hba, RolesUnknown, Visit
from trio_pool.config.hba_file import parse_hba, parse_ident

FILE = Path("/etc/hba")
TEXT = """
# TYPE    DATABASE        USER        ADDRESS              METHOD
local     all             all                              peer map=local
hostssl   shop,"all"      anna, ben   10.0.0.0/8           cert
hostnossl all             all         10.0.0.0 255.0.0.0   reject
host      sameuser        all         all                  md5
host      replication     all         all                  trust
host      books           @team       ::1/128              scram-sha-256   # the team
host      all             "all"       127.0.0.1/32         password
"""


OWN = tuple(map(ipaddress.ip_interface, ["127.0.0.1/8", "192.0.2.7/24", "fe80::7/64"]))


@pytest.mark.parametrize(
    ("keyword", "address", "fits"),
    [
        ("samehost", "192.0.2.7", True),
        ("samehost", "::ffff:192.0.2.7", True),
        ("samehost", "192.0.2.8", False),
        ("samehost", "127.0.0.2", False),
        ("samehost", "fe80::7%eth0", True),
        ("samenet", "192.0.2.8", True),
        ("samenet", "127.1.1.1", True),
        ("samenet", "fe80::8%eth0", True),
        ("samenet", "198.51.100.1", False),
        ("samenet", "2001:db8::1", False),
    ],
)
def test_neighbours_are_known_by_this_machines_own_addresses(
    keyword: str, address: str, fits: bool
) -> None:
    hba = Hba(parse_hba(f"host all all {keyword} trust", FILE, lambda _: ""))

    assert hba.asks_for_interfaces
    rule = hba.rule_for(Visit("x", "y", address, False, interfaces=OWN))
    assert (rule is not None) == fits
    assert hba.rule_for(Visit("x", "y", None, False, interfaces=OWN)) is None


def method(visit: Visit) -> str | None:
    rule = Hba(parse_hba(TEXT, FILE, lambda _: "carla, dora\n")).rule_for(visit)
    return None if rule is None else rule.method


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (Visit("x", "y", None, False), "peer"),
        (Visit("shop", "anna", "10.1.2.3", True), "cert"),
        (Visit("all", "ben", "10.1.2.3", True), "cert"),
        (Visit("shop", "carla", "10.1.2.3", True), None),
        (Visit("shop", "anna", "10.1.2.3", False), "reject"),
        (Visit("shop", "anna", "::ffff:10.1.2.3", False), "reject"),
        (Visit("emil", "emil", "192.0.2.1", False), "md5"),
        (Visit("emil", "other", "192.0.2.1", False), None),
        (Visit("books", "dora", "::1", False), "scram-sha-256"),
        (Visit("books", "emil", "::1", False), None),
        (Visit("x", "all", "127.0.0.1", False), "password"),
        (Visit("x", "other", "127.0.0.1", False), None),
        (Visit("x", "y", "192.0.2.1", False, replication=True), "trust"),
    ],
)
def test_the_first_line_that_fits_decides(visit: Visit, expected: str | None) -> None:
    assert method(visit) == expected


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hots all all all trust", "did you mean 'host'"),
        ("host all all", "too short"),
        ("host all all 10.0.0.0/99 trust", "10.0.0.0/99"),
        ("host all all example.org trust", "example.org"),
        ('host all all "all" trust', "'all/trust'"),
        ('host all all "samehost" trust', "'samehost/trust'"),
        ('host all all "samenet" trust', "'samenet/trust'"),
        ("host all all all gss", "method 'gss' is not supported"),
        ("host all all all ldap", "ldapserver"),
        ("host all all all ldap ldapserver=x ldapbasedn=dc=x,dc=y", "in quotes"),
        ("host all all all ldap ldapserver=x ldapbase=y", "unknown option 'ldapbase'"),
        ("host all all all pam ldapserver=x", "unknown option 'ldapserver'"),
        ("host +staff all all trust", "+staff is not supported"),
        ("host all /staff all trust", "/staff is not supported"),
        ("host @again all all trust", "too many files within files"),
        ("host all all all md5 clientcert=1", "unknown option 'clientcert'"),
        ('host all "all all trust', "quote"),
    ],
)
def test_a_line_that_is_not_understood_is_an_error_with_its_place(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_hba(f"\n{line}\n", FILE, lambda _: "@again\n")

    assert says in str(refused.value)
    assert str(refused.value).startswith("/etc/hba:2: ")


def grouped(text: str) -> Hba:
    return Hba(parse_hba(text, FILE, lambda _: "+staff, all\n"))


def test_groups_are_asked_for_only_where_the_line_would_fit_otherwise() -> None:
    hba = grouped("host shop +staff all trust\nhost all all all reject\n")
    stranger = Visit("shop", "anna", "192.0.2.1", False)

    assert hba.asks_for_roles
    assert hba.rule_for(attrs.evolve(stranger, database="other")) is hba.rules[1]
    with pytest.raises(RolesUnknown):
        hba.rule_for(stranger)
    assert hba.rule_for(attrs.evolve(stranger, roles=frozenset({"anna"}))) is hba.rules[1]
    assert hba.rule_for(attrs.evolve(stranger, roles=frozenset({"staff"}))) is hba.rules[0]


@pytest.mark.parametrize("word", ["samerole", "samegroup"])
def test_samerole_is_a_group_that_is_called_like_the_database(word: str) -> None:
    hba = grouped(f"host {word} all all trust\n")
    visit = Visit("shop", "anna", "192.0.2.1", False, roles=frozenset({"anna", "shop"}))

    assert hba.rule_for(visit) is hba.rules[0]
    assert hba.rule_for(attrs.evolve(visit, database="other")) is None


def test_a_name_in_quotes_is_no_group_and_a_file_may_name_some() -> None:
    visit = Visit("shop", "anna", "192.0.2.1", False, roles=frozenset({"staff"}))

    assert grouped('host all "+staff" all trust').rule_for(visit) is None
    assert grouped("host all @file all trust").rule_for(visit) is not None


def test_a_map_says_who_may_be_whom() -> None:
    maps = parse_ident("local root postgres\nlocal /^(.*)@example$ \\1\n", Path("/etc/ident"))
    hba = Hba(parse_hba(TEXT, FILE, lambda _: ""), maps)
    rule = hba.rules[0]

    assert hba.means(rule, "root", "postgres")
    assert hba.means(rule, "anna@example", "anna")
    assert not hba.means(rule, "anna@example", "ben")
    assert not hba.means(rule, "postgres", "postgres")
