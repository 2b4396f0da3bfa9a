"""Settings: the table, the spellings, and the typed values."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

import trio_pool
from trio_pool.config import (
    SETTINGS,
    AuthType,
    ConfigError,
    Effect,
    PoolMode,
    Settings,
    settings_from,
)
from trio_pool.config.settings import check

TYPED = {field.name for field in attrs.fields(Settings)} - {"texts"}
PACKAGE = Path(trio_pool.__file__).parent
# Everything that might act on a setting; the reading of the configuration itself does not
# count, but for the file that it names.
SOURCES = [
    path.read_text()
    for path in PACKAGE.rglob("*.py")
    if path.parent.name != "config" or path.name == "load.py"
]


def test_the_defaults_are_those_of_pgbouncer() -> None:
    settings = Settings()

    assert settings.listen_addr == ()
    assert settings.listen_port == 6432
    assert settings.pool_mode is PoolMode.SESSION
    assert settings.default_pool_size == 20
    assert settings.auth_type is AuthType.MD5
    assert settings.query_wait_timeout == 120.0
    assert settings.max_prepared_statements == 200
    assert settings.unix_socket_mode == 0o777
    assert settings.server_check_query == ""


def test_every_default_in_the_table_is_of_its_own_kind() -> None:
    for name, setting in SETTINGS.items():
        setting.kind.parse(name, setting.default)


def test_what_is_in_effect_is_a_typed_setting() -> None:
    in_effect = {name for name, setting in SETTINGS.items() if setting.effect is Effect.NOW}

    assert in_effect <= TYPED
    assert set(SETTINGS) >= TYPED


@pytest.mark.parametrize("name", sorted(TYPED))
def test_a_setting_is_said_to_be_in_effect_when_some_module_acts_on_it(name: str) -> None:
    """The notice "no effect yet" must stop on the day that it is no longer true."""
    acted_on = any(re.search(rf"\.{name}\b", text) for text in SOURCES)

    assert acted_on == (SETTINGS[name].effect is Effect.NOW)


def test_each_typed_setting_follows_its_own_text() -> None:
    """A copied line that reads its neighbour's name would be seen here."""
    others = {
        "pool_mode": "statement",
        "auth_type": "trust",
        "client_tls_sslmode": "require",
        "server_tls_sslmode": "require",
        "unix_socket_mode": "0700",
        "server_check_query": "select 1",
        "pin_policy": "refuse",
        "syslog_facility": "local0",
        "auth_ldap_options": "ldapserver=directory",
    }
    for name, setting in SETTINGS.items():
        if name not in TYPED:
            continue
        text = others.get(name) or ("0" if setting.default == "1" else "1")
        changed = Settings(texts={name: text})
        differing = {
            field.name
            for field in attrs.fields(Settings)
            if getattr(changed, field.name) != getattr(Settings(), field.name)
        }
        assert differing == {"texts", name}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("listen_port", "65536", "port"),
        ("listen_port", "-1", "port"),
        ("listen_port", "\u0661", "port"),
        ("default_pool_size", "ten", "whole number"),
        ("default_pool_size", "1.5", "whole number"),
        ("query_timeout", "soon", "seconds"),
        ("query_timeout", "nan", "seconds"),
        ("query_timeout", "inf", "seconds"),
        ("query_timeout", "-1", "seconds"),
        ("so_reuseport", "yes", "0 or 1"),
        ("so_reuseport", "", "0 or 1"),
        ("unix_socket_mode", "0999", "octal"),
        ("unix_socket_mode", "7777", "octal"),
        ("pool_mode", "transactions", "session, transaction, statement"),
        ("auth_type", "scram", "scram-sha-256"),
    ],
)
def test_a_wrong_value_says_what_is_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as complaint:
        settings_from(**{name: text})

    assert f"{name} = {text}" in str(complaint.value)
    assert expected in str(complaint.value)


def test_times_may_be_fractional_and_words_may_be_in_capitals() -> None:
    settings = settings_from(query_timeout="0.25", pool_mode="Transaction")

    assert settings.query_timeout == 0.25
    assert settings.pool_mode is PoolMode.TRANSACTION


def test_lists_are_separated_by_commas_and_blanks_do_not_count() -> None:
    settings = settings_from(listen_addr=" 127.0.0.1 , ::1,", admin_users="")

    assert settings.listen_addr == ("127.0.0.1", "::1")
    assert settings.admin_users == ()


def test_a_python_bool_is_a_flag() -> None:
    assert settings_from(tcp_keepalive=False).tcp_keepalive is False
    assert settings_from(so_reuseport=True).so_reuseport is True


def test_the_check_query_tells_never_from_empty() -> None:
    assert settings_from(server_check_query="").server_check_query is None
    assert settings_from(server_check_query="<empty>").server_check_query == ""
    assert settings_from(server_check_query="select 1").server_check_query == "select 1"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'default_pool_size'"):
        settings_from(defaultpoolsize=3)


def test_a_setting_without_effect_is_told_about() -> None:
    told = check("pkt_buf", "8192")
    assert told is not None
    assert told.startswith("pkt_buf has no meaning here and is ignored: what was received is")


def test_a_setting_at_its_default_or_in_effect_is_not_worth_a_word() -> None:
    assert check("pkt_buf", "4096") is None
    assert check("pool_mode", "transaction") is None


def test_what_has_no_meaning_here_has_a_reason() -> None:
    for setting in SETTINGS.values():
        assert bool(setting.reason) == (setting.effect is Effect.NEVER)
