"""The settings that the pool acts on, as typed values.

Each attribute reads its text out of `texts` (what was configured) or, when absent, out of the
table's default. Nothing here decides what a setting means; `table` says which exist and
`kinds` how they are spelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import attrs

from trio_pool.config import kinds
from trio_pool.config.errors import ConfigError, nearest
from trio_pool.config.kinds import AuthType, Facility, Kind, PinAction, PoolMode, TlsMode
from trio_pool.config.ldap_options import LdapOptions
from trio_pool.config.table import SETTINGS, Effect

T = TypeVar("T")


def _setting(name: str, kind: Kind[T]) -> T:
    def read(settings: Settings) -> T:
        return kind.parse(name, settings.texts.get(name, SETTINGS[name].default))

    value: T = attrs.field(default=attrs.Factory(read, takes_self=True))
    return value


# ruff: noqa: RUF009 (each call returns an attrs field, not a shared default)
@attrs.frozen(kw_only=True)
class Settings:
    """What the pool was told. Durations are seconds, sizes bytes; 0 means "no limit" in limits
    and "never" in timeouts, as in PgBouncer. `Settings()` has PgBouncer's defaults.

    Raises ConfigError for a text that is not of the setting's kind.
    """

    texts: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    listen_addr: tuple[str, ...] = _setting("listen_addr", kinds.NAMES)
    listen_port: int = _setting("listen_port", kinds.PORT)
    listen_backlog: int = _setting("listen_backlog", kinds.NUMBER)
    unix_socket_dir: str = _setting("unix_socket_dir", kinds.TEXT)
    unix_socket_mode: int = _setting("unix_socket_mode", kinds.MODE)
    unix_socket_group: str = _setting("unix_socket_group", kinds.TEXT)
    so_reuseport: bool = _setting("so_reuseport", kinds.FLAG)
    tcp_keepalive: bool = _setting("tcp_keepalive", kinds.FLAG)
    tcp_keepcnt: int = _setting("tcp_keepcnt", kinds.NUMBER)
    tcp_keepidle: int = _setting("tcp_keepidle", kinds.NUMBER)
    tcp_keepintvl: int = _setting("tcp_keepintvl", kinds.NUMBER)
    tcp_socket_buffer: int = _setting("tcp_socket_buffer", kinds.NUMBER)
    tcp_user_timeout: int = _setting("tcp_user_timeout", kinds.NUMBER)

    pool_mode: PoolMode = _setting("pool_mode", kinds.POOL_MODE)
    max_client_conn: int = _setting("max_client_conn", kinds.NUMBER)
    default_pool_size: int = _setting("default_pool_size", kinds.NUMBER)
    min_pool_size: int = _setting("min_pool_size", kinds.NUMBER)
    reserve_pool_size: int = _setting("reserve_pool_size", kinds.NUMBER)
    reserve_pool_timeout: float = _setting("reserve_pool_timeout", kinds.SECONDS)
    max_db_connections: int = _setting("max_db_connections", kinds.NUMBER)
    max_user_connections: int = _setting("max_user_connections", kinds.NUMBER)
    disable_pqexec: bool = _setting("disable_pqexec", kinds.FLAG)
    server_round_robin: bool = _setting("server_round_robin", kinds.FLAG)
    ignore_startup_parameters: tuple[str, ...] = _setting("ignore_startup_parameters", kinds.NAMES)

    peer_id: int = _setting("peer_id", kinds.PEER_ID)
    max_prepared_statements: int = _setting("max_prepared_statements", kinds.NUMBER)
    max_client_prepared_bytes: int = _setting("max_client_prepared_bytes", kinds.NUMBER)
    max_client_notification_bytes: int = _setting("max_client_notification_bytes", kinds.NUMBER)
    max_client_settings: int = _setting("max_client_settings", kinds.NUMBER)
    max_client_settings_bytes: int = _setting("max_client_settings_bytes", kinds.NUMBER)
    share_custom_setting_names: bool = _setting("share_custom_setting_names", kinds.FLAG)
    """Whether a client may read an empty custom setting where it should find none."""
    pin_policy: tuple[tuple[str, PinAction], ...] = _setting("pin_policy", kinds.PIN_POLICY)
    """What to do about each kind of state that cannot follow its client; all kinds are there."""
    http_listen_addr: tuple[str, ...] = _setting("http_listen_addr", kinds.NAMES)
    """Where metrics are served over HTTP; empty: nowhere."""
    http_listen_port: int = _setting("http_listen_port", kinds.PORT)
    http_max_conn: int = _setting("http_max_conn", kinds.NUMBER)
    http_max_request_bytes: int = _setting("http_max_request_bytes", kinds.NUMBER)
    http_timeout: float = _setting("http_timeout", kinds.SECONDS)
    metrics_resolution: float = _setting("metrics_resolution", kinds.SECONDS)
    """The steps of the clock by which leases and waits are timed, while metrics are served."""
    adversarial: bool = _setting("adversarial", kinds.FLAG)
    """Let nothing of a session outlive a transaction, and report what was lost."""
    adversarial_keeps: tuple[str, ...] = _setting("adversarial_keeps", kinds.NAMES)
    max_login_failures: int = _setting("max_login_failures", kinds.NUMBER)
    """Per address and minute."""
    max_packet_size: int = _setting("max_packet_size", kinds.NUMBER)

    auth_type: AuthType = _setting("auth_type", kinds.AUTH_TYPE)
    auth_file: str = _setting("auth_file", kinds.TEXT)
    auth_ldap_options: LdapOptions | None = _setting("auth_ldap_options", kinds.LDAP_OPTIONS)
    auth_hba_file: str = _setting("auth_hba_file", kinds.TEXT)
    auth_ident_file: str = _setting("auth_ident_file", kinds.TEXT)
    auth_user: str = _setting("auth_user", kinds.TEXT)
    auth_query: str = _setting("auth_query", kinds.TEXT)
    auth_dbname: str = _setting("auth_dbname", kinds.TEXT)
    admin_users: tuple[str, ...] = _setting("admin_users", kinds.NAMES)
    stats_users: tuple[str, ...] = _setting("stats_users", kinds.NAMES)
    scram_iterations: int = _setting("scram_iterations", kinds.NUMBER)

    client_tls_sslmode: TlsMode = _setting("client_tls_sslmode", kinds.TLS_MODE)
    client_tls_key_file: str = _setting("client_tls_key_file", kinds.TEXT)
    client_tls_cert_file: str = _setting("client_tls_cert_file", kinds.TEXT)
    client_tls_ca_file: str = _setting("client_tls_ca_file", kinds.TEXT)
    client_tls_protocols: str = _setting("client_tls_protocols", kinds.TEXT)
    client_tls_ciphers: str = _setting("client_tls_ciphers", kinds.TEXT)
    client_tls_ecdhcurve: str = _setting("client_tls_ecdhcurve", kinds.TEXT)
    client_tls_dheparams: str = _setting("client_tls_dheparams", kinds.TEXT)
    server_tls_sslmode: TlsMode = _setting("server_tls_sslmode", kinds.TLS_MODE)
    server_tls_ca_file: str = _setting("server_tls_ca_file", kinds.TEXT)
    server_tls_key_file: str = _setting("server_tls_key_file", kinds.TEXT)
    server_tls_cert_file: str = _setting("server_tls_cert_file", kinds.TEXT)
    server_tls_protocols: str = _setting("server_tls_protocols", kinds.TEXT)
    server_tls_ciphers: str = _setting("server_tls_ciphers", kinds.TEXT)

    server_reset_query: str = _setting("server_reset_query", kinds.TEXT)
    server_reset_query_always: bool = _setting("server_reset_query_always", kinds.FLAG)
    server_check_delay: float = _setting("server_check_delay", kinds.SECONDS)
    server_check_query: str | None = _setting("server_check_query", kinds.CHECK_QUERY)
    """None: never check; an empty text: check with an empty query."""
    server_lifetime: float = _setting("server_lifetime", kinds.SECONDS)
    server_idle_timeout: float = _setting("server_idle_timeout", kinds.SECONDS)
    server_connect_timeout: float = _setting("server_connect_timeout", kinds.SECONDS)
    server_login_retry: float = _setting("server_login_retry", kinds.SECONDS)
    client_login_timeout: float = _setting("client_login_timeout", kinds.SECONDS)
    client_idle_timeout: float = _setting("client_idle_timeout", kinds.SECONDS)
    idle_transaction_timeout: float = _setting("idle_transaction_timeout", kinds.SECONDS)
    query_timeout: float = _setting("query_timeout", kinds.SECONDS)
    transaction_timeout: float = _setting("transaction_timeout", kinds.SECONDS)
    query_wait_notify: float = _setting("query_wait_notify", kinds.SECONDS)
    dns_max_ttl: float = _setting("dns_max_ttl", kinds.SECONDS)
    dns_nxdomain_ttl: float = _setting("dns_nxdomain_ttl", kinds.SECONDS)
    autodb_idle_timeout: float = _setting("autodb_idle_timeout", kinds.SECONDS)
    server_fast_close: bool = _setting("server_fast_close", kinds.FLAG)
    application_name_add_host: bool = _setting("application_name_add_host", kinds.FLAG)
    query_wait_timeout: float = _setting("query_wait_timeout", kinds.SECONDS)
    cancel_wait_timeout: float = _setting("cancel_wait_timeout", kinds.SECONDS)

    user: str = _setting("user", kinds.TEXT)
    """The system account to run as when started by root; empty: stay who we are."""
    logfile: str = _setting("logfile", kinds.TEXT)
    pidfile: str = _setting("pidfile", kinds.TEXT)
    syslog: bool = _setting("syslog", kinds.FLAG)
    syslog_ident: str = _setting("syslog_ident", kinds.TEXT)
    syslog_facility: Facility = _setting("syslog_facility", kinds.FACILITY)
    verbose: int = _setting("verbose", kinds.NUMBER)
    log_connections: bool = _setting("log_connections", kinds.FLAG)
    log_disconnections: bool = _setting("log_disconnections", kinds.FLAG)
    log_pooler_errors: bool = _setting("log_pooler_errors", kinds.FLAG)
    log_stats: bool = _setting("log_stats", kinds.FLAG)
    stats_period: float = _setting("stats_period", kinds.SECONDS)
    suspend_timeout: float = _setting("suspend_timeout", kinds.SECONDS)
    max_db_client_connections: int = _setting("max_db_client_connections", kinds.NUMBER)
    max_user_client_connections: int = _setting("max_user_client_connections", kinds.NUMBER)


def settings_from(**values: str | float) -> Settings:
    """Settings given by name in code: `settings_from(pool_mode="transaction", listen_port=0)`.

    Raises ConfigError for an unknown name or a wrong value.
    """
    texts: dict[str, str] = {}
    for name, value in values.items():
        texts[name] = str(int(value)) if isinstance(value, bool) else str(value)
        check(name, texts[name])
    return Settings(texts=texts)


def check(name: str, text: str) -> str | None:
    """What to tell the operator about this setting: a notice, or None when it simply works.

    Raises ConfigError for an unknown name and a value of the wrong kind.
    """
    setting = SETTINGS.get(name)
    if setting is None:
        raise ConfigError(f"unknown setting {name!r}", hint=nearest(name, SETTINGS))
    setting.kind.parse(name, text)
    if setting.effect is Effect.NOW or text == setting.default:
        return None
    return f"{name} has no meaning here and is ignored: {setting.reason}"
