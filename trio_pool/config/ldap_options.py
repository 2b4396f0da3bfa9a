"""How an LDAP directory is asked: the options of pg_hba.conf, in PgBouncer's auth_ldap_options too.

Either `ldapprefix` and `ldapsuffix` make the name that is bound as, or the entry is looked for
below `ldapbasedn` first. `ldapurl` says several of them at once (RFC 4516).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

_PASSWORD: Final = re.compile(r'(ldapbindpasswd=)("(?:[^"]|"")*"|\S*)')
NAMES: Final = (
    *("ldapserver", "ldapport", "ldapscheme", "ldaptls", "ldapprefix", "ldapsuffix", "ldapbasedn"),
    *("ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter", "ldapscope"),
    "ldapurl",
)
_OPTION: Final = re.compile(r'\s*(\w+)=(?:"((?:[^"]|"")*)"|([^\s"]*))(?:\s+|$)')
_SCHEMES: Final = ("ldap", "ldaps")
_SCOPES: Final = ("base", "one", "sub")
# A name with one of these could change the question (RFC 4514, RFC 4515).
_SPECIAL: Final = frozenset('*()\\/,+"<>;=#\0')


@attrs.frozen(kw_only=True)
class LdapOptions:
    """Where the directory is and how a user's entry is found in it."""

    server: str
    port: int = 389
    encrypted: bool = False
    start_tls: bool = False
    prefix: str = ""
    suffix: str = ""
    base: str | None = None
    bind_name: str | None = None
    bind_password: str = attrs.field(default="", repr=False)
    filter: str = "(uid=$username)"
    scope: str = "sub"

    @staticmethod
    def is_plain(user: str) -> bool:
        """The name means nothing but itself in a filter and in a distinguished name."""
        return bool(user) and not _SPECIAL & set(user)

    def name_of(self, user: str) -> str:
        """What to bind as where nothing has to be looked for."""
        return f"{self.prefix}{user}{self.suffix}"

    def filter_for(self, user: str) -> str:
        """What finds the user's entry."""
        return self.filter.replace("$username", user)


def read_ldap_options(text: str) -> LdapOptions | None:
    """The options of one text, None for an empty one. Raises ValueError."""
    if not text.strip():
        return None
    options: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        found = _OPTION.match(text, at)
        if found is None:
            raise ValueError(text)
        quoted = found[2]
        options[found[1]] = found[3] if quoted is None else quoted.replace('""', '"')
        at = found.end()
    return ldap_options(options)


def ldap_options(options: Mapping[str, str]) -> LdapOptions:
    """The same from names and values. Raises ValueError that says what is wrong."""
    unknown = next((name for name in options if name not in NAMES), None)
    if unknown is not None:
        raise ValueError(f"unknown option {unknown!r}")
    given = _from_url(options["ldapurl"]) if "ldapurl" in options else {}
    given |= {name: value for name, value in options.items() if name != "ldapurl"}
    server, scheme = given.get("ldapserver", ""), given.get("ldapscheme", "ldap")
    base = given.get("ldapbasedn")
    if not server:
        raise ValueError("ldap needs ldapserver or ldapurl")
    if scheme not in _SCHEMES or given.get("ldapscope", "sub") not in _SCOPES:
        raise ValueError("ldap: unknown scheme or scope")
    if base is not None and ("ldapprefix" in given or "ldapsuffix" in given):
        raise ValueError("ldap: ldapbasedn looks for a name, ldapprefix and ldapsuffix make one")
    encrypted = scheme == "ldaps"
    attribute = given.get("ldapsearchattribute", "uid")
    return LdapOptions(
        server=server,
        port=int(given.get("ldapport") or (636 if encrypted else 389)),
        encrypted=encrypted,
        start_tls=given.get("ldaptls", "0") == "1",
        prefix=given.get("ldapprefix", ""),
        suffix=given.get("ldapsuffix", ""),
        base=base,
        bind_name=given.get("ldapbinddn"),
        bind_password=given.get("ldapbindpasswd", ""),
        filter=given.get("ldapsearchfilter") or f"({attribute}=$username)",
        scope=given.get("ldapscope", "sub"),
    )


def _from_url(url: str) -> dict[str, str]:
    """`scheme://host:port/base?attribute?scope?filter`, of which what is empty is left out."""
    parts = urlsplit(url)
    attribute, scope, wanted = (*parts.query.split("?", 2), "", "", "")[:3]
    found = {
        "ldapscheme": parts.scheme,
        "ldapserver": parts.hostname or "",
        "ldapport": "" if parts.port is None else str(parts.port),
        "ldapbasedn": unquote(parts.path.removeprefix("/")),
        "ldapsearchattribute": unquote(attribute),
        "ldapscope": scope,
        "ldapsearchfilter": unquote(wanted),
    }
    return {name: value for name, value in found.items() if value}


def without_password(text: str) -> str:
    """Options, or any other setting, as they may be shown."""
    return _PASSWORD.sub(r"\1***", text)
