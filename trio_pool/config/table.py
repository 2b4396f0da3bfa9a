"""Every setting of the [pgbouncer] section, in one table.

The names and defaults are those of PgBouncer 1.25 (its src/main.c), so that an existing file
is read without a change; the few settings of our own come last. What each one does *here* is
the `effect`; nothing else in the package lists settings.

A setting that has no effect yet is accepted with a notice, for a file must keep working. One
that *protects* is refused instead unless its value asks for nothing: who demands TLS must not be
served in the clear by a pool that merely understood the word.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from trio_pool.config import kinds
from trio_pool.config.kinds import Kind


class Effect(enum.Enum):
    """What giving this setting a value changes."""

    NOW = "in effect"
    NOT_YET = "accepted, no effect yet"
    NEVER = "accepted, meaningless here"


@attrs.frozen
class Setting:
    """One setting: how its text is read, what it is when absent, whether RELOAD changes it."""

    name: str
    kind: Kind[object]
    default: str
    effect: Effect
    reloadable: bool = True
    harmless: tuple[str, ...] | None = None
    """The values accepted although nothing acts on them; None: any value is."""


_AUTH_QUERY: Final = (
    "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
    "FROM pg_authid WHERE rolname=$1 AND rolcanlogin"
)


def _now(name: str, kind: Kind[object], default: str, reloadable: bool = True) -> Setting:
    return Setting(name, kind, default, Effect.NOW, reloadable)


def _later(name: str, kind: Kind[object], default: str, reloadable: bool = True) -> Setting:
    return Setting(name, kind, default, Effect.NOT_YET, reloadable)


def _never(name: str, kind: Kind[object], default: str, reloadable: bool = True) -> Setting:
    return Setting(name, kind, default, Effect.NEVER, reloadable)


def _guard(name: str, kind: Kind[object], default: str, harmless: tuple[str, ...]) -> Setting:
    return Setting(name, kind, default, Effect.NOT_YET, harmless=harmless)


_LISTENING: Final = (
    _now("logfile", kinds.TEXT, ""),
    _now("pidfile", kinds.TEXT, "", reloadable=False),
    _now("listen_addr", kinds.NAMES, "", reloadable=False),
    _now("listen_port", kinds.PORT, "6432", reloadable=False),
    _now("listen_backlog", kinds.NUMBER, "128", reloadable=False),
    _now("unix_socket_dir", kinds.TEXT, "/tmp", reloadable=False),
    _now("unix_socket_mode", kinds.MODE, "0777", reloadable=False),
    _now("unix_socket_group", kinds.TEXT, "", reloadable=False),
    _now("user", kinds.TEXT, "", reloadable=False),
    _now("so_reuseport", kinds.FLAG, "0", reloadable=False),
    _never("tcp_defer_accept", kinds.NUMBER, "1"),
    _now("tcp_socket_buffer", kinds.NUMBER, "0"),
    _now("tcp_keepalive", kinds.FLAG, "1"),
    _now("tcp_keepcnt", kinds.NUMBER, "0"),
    _now("tcp_keepidle", kinds.NUMBER, "0"),
    _now("tcp_keepintvl", kinds.NUMBER, "0"),
    _now("tcp_user_timeout", kinds.NUMBER, "0"),
)
_POOLS: Final = (
    _now("pool_mode", kinds.POOL_MODE, "session"),
    _now("max_client_conn", kinds.NUMBER, "100"),
    _now("default_pool_size", kinds.NUMBER, "20"),
    _now("min_pool_size", kinds.NUMBER, "0"),
    _now("reserve_pool_size", kinds.NUMBER, "0"),
    _now("reserve_pool_timeout", kinds.SECONDS, "5"),
    _now("max_db_connections", kinds.NUMBER, "0"),
    _now("max_db_client_connections", kinds.NUMBER, "0"),
    _now("max_user_connections", kinds.NUMBER, "0"),
    _now("max_user_client_connections", kinds.NUMBER, "0"),
    _now("server_round_robin", kinds.FLAG, "0"),
    _never("track_extra_parameters", kinds.NAMES, "IntervalStyle", reloadable=False),
    _now("ignore_startup_parameters", kinds.NAMES, ""),
    _now("peer_id", kinds.PEER_ID, "0"),
    _guard("disable_pqexec", kinds.FLAG, "0", harmless=("0",)),
    _now("application_name_add_host", kinds.FLAG, "0"),
    _never("conffile", kinds.TEXT, ""),
    _never("service_name", kinds.TEXT, "pgbouncer", reloadable=False),
    _never("job_name", kinds.TEXT, "pgbouncer", reloadable=False),
    _now("stats_period", kinds.SECONDS, "60"),
    _now("max_prepared_statements", kinds.NUMBER, "200"),
    _now("scram_iterations", kinds.NUMBER, "4096"),
)
_AUTHENTICATION: Final = (
    _now("auth_type", kinds.AUTH_TYPE, "md5"),
    _now("auth_hba_file", kinds.TEXT, ""),
    _now("auth_ident_file", kinds.TEXT, ""),
    _now("auth_ldap_options", kinds.LDAP_OPTIONS, ""),
    _now("auth_file", kinds.TEXT, ""),
    _now("auth_user", kinds.TEXT, ""),
    _now("auth_query", kinds.TEXT, _AUTH_QUERY),
    _now("auth_dbname", kinds.TEXT, ""),
    _now("admin_users", kinds.NAMES, ""),
    _now("stats_users", kinds.NAMES, ""),
)
_LOGGING: Final = (
    _now("syslog", kinds.FLAG, "0", reloadable=False),
    _now("syslog_ident", kinds.TEXT, "pgbouncer", reloadable=False),
    _now("syslog_facility", kinds.FACILITY, "daemon", reloadable=False),
    _now("log_connections", kinds.FLAG, "1"),
    _now("log_disconnections", kinds.FLAG, "1"),
    _now("log_pooler_errors", kinds.FLAG, "1"),
    _now("log_stats", kinds.FLAG, "1"),
    _now("verbose", kinds.NUMBER, "0"),
)
_TIME_LIMITS: Final = (
    _now("server_reset_query", kinds.TEXT, "DISCARD ALL"),
    _now("server_reset_query_always", kinds.FLAG, "0"),
    _now("server_check_delay", kinds.SECONDS, "30"),
    _now("server_check_query", kinds.CHECK_QUERY, "<empty>"),
    _now("server_fast_close", kinds.FLAG, "0"),
    _now("server_lifetime", kinds.SECONDS, "3600"),
    _now("server_idle_timeout", kinds.SECONDS, "600"),
    _now("server_connect_timeout", kinds.SECONDS, "15"),
    _now("server_login_retry", kinds.SECONDS, "15"),
    _now("client_login_timeout", kinds.SECONDS, "60"),
    _now("autodb_idle_timeout", kinds.SECONDS, "3600"),
    _never("dns_max_ttl", kinds.SECONDS, "15"),
    _never("dns_nxdomain_ttl", kinds.SECONDS, "15"),
    _never("dns_zone_check_period", kinds.SECONDS, "0"),
    _never("resolv_conf", kinds.TEXT, "", reloadable=False),
    _now("query_timeout", kinds.SECONDS, "0"),
    _now("query_wait_timeout", kinds.SECONDS, "120"),
    _now("query_wait_notify", kinds.SECONDS, "5"),
    _now("cancel_wait_timeout", kinds.SECONDS, "10"),
    _now("client_idle_timeout", kinds.SECONDS, "0"),
    _now("idle_transaction_timeout", kinds.SECONDS, "0"),
    _now("transaction_timeout", kinds.SECONDS, "0"),
    _now("suspend_timeout", kinds.SECONDS, "10"),
)
_TLS: Final = (
    _now("client_tls_sslmode", kinds.TLS_MODE, "disable"),
    _now("client_tls_key_file", kinds.TEXT, ""),
    _now("client_tls_cert_file", kinds.TEXT, ""),
    _now("client_tls_ca_file", kinds.TEXT, ""),
    _now("client_tls_protocols", kinds.TEXT, "secure"),
    _now("client_tls_ciphers", kinds.TEXT, "default"),
    _later("client_tls13_ciphers", kinds.TEXT, ""),
    _later("client_tls_ecdhcurve", kinds.TEXT, "auto"),
    _later("client_tls_dheparams", kinds.TEXT, "auto"),
    _now("server_tls_sslmode", kinds.TLS_MODE, "prefer"),
    _now("server_tls_ca_file", kinds.TEXT, ""),
    _now("server_tls_key_file", kinds.TEXT, ""),
    _now("server_tls_cert_file", kinds.TEXT, ""),
    _now("server_tls_protocols", kinds.TEXT, "secure"),
    _now("server_tls_ciphers", kinds.TEXT, "default"),
    _later("server_tls13_ciphers", kinds.TEXT, ""),
)
_LOW_LEVEL: Final = (
    _never("pkt_buf", kinds.NUMBER, "4096", reloadable=False),
    _later("max_packet_size", kinds.NUMBER, "2147483647"),
    _never("sbuf_loopcnt", kinds.NUMBER, "5"),
)
# What the usual poolers carry to the next backend.
_KEEPS: Final = (
    "prepared, application_name, client_encoding, DateStyle, IntervalStyle, "
    "standard_conforming_strings, TimeZone"
)
_OURS: Final = (
    _now("max_client_prepared_bytes", kinds.NUMBER, "16777216"),
    _now("pin_policy", kinds.PIN_POLICY, "pin"),
    _now("http_listen_addr", kinds.NAMES, "", reloadable=False),
    _now("http_listen_port", kinds.PORT, "9127", reloadable=False),
    _now("http_max_conn", kinds.NUMBER, "64"),
    _now("http_max_request_bytes", kinds.NUMBER, "16384"),
    _now("http_timeout", kinds.SECONDS, "15"),
    _now("metrics_resolution", kinds.SECONDS, "0.01", reloadable=False),
    _now("adversarial", kinds.FLAG, "0", reloadable=False),
    _now("adversarial_keeps", kinds.NAMES, _KEEPS, reloadable=False),
)

SETTINGS: Final[Mapping[str, Setting]] = {
    setting.name: setting
    for group in (
        _LISTENING,
        _POOLS,
        _AUTHENTICATION,
        _LOGGING,
        _TIME_LIMITS,
        _TLS,
        _LOW_LEVEL,
        _OURS,
    )
    for setting in group
}
