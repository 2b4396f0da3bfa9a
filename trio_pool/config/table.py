"""Every setting of the [pgbouncer] section, in one table.

The names and defaults are those of PgBouncer 1.25 (its src/main.c), so that an existing file
is read without a change; the few settings of our own come last. What each one does *here* is
the `effect`; nothing else in the package lists settings.

A setting that has no meaning here is accepted with a notice that says why, for a file must keep
working. None of those protects: who demands TLS must not be served in the clear by a pool that
merely understood the word.
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
    NEVER = "accepted, meaningless here"


@attrs.frozen
class Setting:
    """One setting: how its text is read, what it is when absent, whether RELOAD changes it."""

    name: str
    kind: Kind[object]
    default: str
    effect: Effect
    reloadable: bool = True
    reason: str = ""
    """Why it has no meaning here."""


_AUTH_QUERY: Final = (
    "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
    "FROM pg_authid WHERE rolname=$1 AND rolcanlogin"
)
_TLS13: Final = "Python's ssl leaves the suites of TLS 1.3 to OpenSSL, and all of them are strong"


def _now(name: str, kind: Kind[object], default: str, reloadable: bool = True) -> Setting:
    return Setting(name, kind, default, Effect.NOW, reloadable)


def _never(
    name: str, kind: Kind[object], default: str, reason: str, reloadable: bool = True
) -> Setting:
    return Setting(name, kind, default, Effect.NEVER, reloadable, reason=reason)


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
    _never(
        "tcp_defer_accept",
        kinds.NUMBER,
        "1",
        "a client that says nothing costs no task here, and its login has a timeout",
    ),
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
    _never(
        "track_extra_parameters",
        kinds.NAMES,
        "IntervalStyle",
        "every setting follows its client, reported by the server or not",
        reloadable=False,
    ),
    _now("ignore_startup_parameters", kinds.NAMES, ""),
    _now("peer_id", kinds.PEER_ID, "0"),
    _now("disable_pqexec", kinds.FLAG, "0"),
    _now("application_name_add_host", kinds.FLAG, "0"),
    _never(
        "conffile", kinds.TEXT, "", "the file is the one on the command line; RELOAD reads it again"
    ),
    _never(
        "service_name", kinds.TEXT, "pgbouncer", "the name of a Windows service", reloadable=False
    ),
    _never("job_name", kinds.TEXT, "pgbouncer", "the name of a Windows service", reloadable=False),
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
    _now("dns_max_ttl", kinds.SECONDS, "15"),
    _now("dns_nxdomain_ttl", kinds.SECONDS, "15"),
    _never(
        "dns_zone_check_period",
        kinds.SECONDS,
        "0",
        "the system's resolver tells no serial numbers; names are asked for anew after dns_max_ttl",
    ),
    _never(
        "resolv_conf",
        kinds.TEXT,
        "",
        "the system's own resolver is asked, with its own configuration",
        reloadable=False,
    ),
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
    _never("client_tls13_ciphers", kinds.TEXT, "", _TLS13),
    _now("client_tls_ecdhcurve", kinds.TEXT, "auto"),
    _now("client_tls_dheparams", kinds.TEXT, "auto"),
    _now("server_tls_sslmode", kinds.TLS_MODE, "prefer"),
    _now("server_tls_ca_file", kinds.TEXT, ""),
    _now("server_tls_key_file", kinds.TEXT, ""),
    _now("server_tls_cert_file", kinds.TEXT, ""),
    _now("server_tls_protocols", kinds.TEXT, "secure"),
    _now("server_tls_ciphers", kinds.TEXT, "default"),
    _never("server_tls13_ciphers", kinds.TEXT, "", _TLS13),
)
_LOW_LEVEL: Final = (
    _never(
        "pkt_buf",
        kinds.NUMBER,
        "4096",
        "what was received is passed on as it is, in reads of 16 to 256 KiB",
        reloadable=False,
    ),
    _now("max_packet_size", kinds.NUMBER, "2147483647"),
    _never("sbuf_loopcnt", kinds.NUMBER, "5", "each ready connection has one turn in every sweep"),
)
# What the usual poolers carry to the next backend.
_KEEPS: Final = (
    "prepared, application_name, client_encoding, DateStyle, IntervalStyle, "
    "standard_conforming_strings, TimeZone"
)
_OURS: Final = (
    _now("max_client_prepared_bytes", kinds.NUMBER, "16777216"),
    _now("max_login_failures", kinds.NUMBER, "0"),
    _now("max_client_notification_bytes", kinds.NUMBER, "8388608"),
    _now("max_client_settings", kinds.NUMBER, "1000"),
    _now("max_client_settings_bytes", kinds.NUMBER, "1048576"),
    _now("pin_policy", kinds.PIN_POLICY, "pin"),
    _now("http_listen_addr", kinds.NAMES, "", reloadable=False),
    _now("http_listen_port", kinds.PORT, "9127", reloadable=False),
    _now("http_max_conn", kinds.NUMBER, "64"),
    _now("http_max_request_bytes", kinds.NUMBER, "16384"),
    _now("http_timeout", kinds.SECONDS, "15"),
    _now("metrics_resolution", kinds.SECONDS, "0.01", reloadable=False),
    _now("adversarial", kinds.FLAG, "0", reloadable=False),
    _now("adversarial_keeps", kinds.NAMES, _KEEPS, reloadable=False),
    _now("share_custom_setting_names", kinds.FLAG, "0"),
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
