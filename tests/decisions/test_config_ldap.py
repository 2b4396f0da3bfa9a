"""LDAP options: what they mean together, and which are refused."""

from __future__ import annotations

import pytest

from trio_pool.config import ConfigError, LdapOptions, settings_from
from trio_pool.config.ldap_options import read_ldap_options


def test_a_name_is_made_or_looked_for() -> None:
    made = read_ldap_options('ldapserver=ldap.example ldapprefix="cn=" ldapsuffix=", dc=example"')
    sought = read_ldap_options("ldapserver=x ldapbasedn=dc=x ldapsearchattribute=mail ldapport=39")

    assert made is not None and made.name_of("anna") == "cn=anna, dc=example"
    assert sought is not None
    assert (sought.base, sought.port, sought.filter_for("anna")) == ("dc=x", 39, "(mail=anna)")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ldap://h/dc=x", LdapOptions(server="h", base="dc=x")),
        ("ldaps://h/", LdapOptions(server="h", port=636, encrypted=True)),
        (
            "ldap://h:3890/dc=x?cn?one",
            LdapOptions(server="h", port=3890, base="dc=x", filter="(cn=$username)", scope="one"),
        ),
        (
            "ldap://h/dc=x,dc=y??sub?(uid=$username)",
            LdapOptions(server="h", base="dc=x,dc=y", filter="(uid=$username)"),
        ),
    ],
)
def test_a_url_says_it_at_once(url: str, expected: LdapOptions) -> None:
    assert read_ldap_options(f'ldapurl="{url}"') == expected


@pytest.mark.parametrize(
    "text",
    [
        "ldapprefix=cn=",
        "ldapserver=x ldapsserver=y",
        "ldapserver=x ldapbasedn=dc=x ldapprefix=cn=",
        "ldapserver=x ldapscheme=http",
        "ldapserver=x ldapport=many",
        'ldapserver="x',
        "nonsense",
    ],
)
def test_what_does_not_go_together_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="auth_ldap_options"):
        settings_from(auth_ldap_options=text)


def test_no_password_shows_in_a_repr() -> None:
    options = read_ldap_options("ldapserver=x ldapbinddn=me ldapbindpasswd=secret")

    assert "secret" not in repr(options)
