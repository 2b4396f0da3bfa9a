"""What the pool was told to do: files, connection strings and URLs, as one typed value.

Belongs to the decisions: no Trio, no sockets, no clock. Read `model` first (the value), then
`table` (every setting), then `load` (how a file becomes a Config).
"""

from trio_pool.config.databases import CONSOLE, FALLBACK, Database
from trio_pool.config.environment import config_from_environment
from trio_pool.config.errors import ConfigError
from trio_pool.config.hba import Hba, HbaRule, RolesUnknown, Visit
from trio_pool.config.kinds import (
    AuthType,
    ChannelBinding,
    LoadBalance,
    PinAction,
    PoolMode,
    TlsMode,
)
from trio_pool.config.ldap_options import LdapOptions
from trio_pool.config.load import load_config
from trio_pool.config.model import Config, Limits
from trio_pool.config.settings import Settings, settings_from
from trio_pool.config.table import SETTINGS, Effect, Setting
from trio_pool.config.url import ServerUrl, config_from_url, is_url, parse_url
from trio_pool.config.users import Peer, User

__all__ = [
    "CONSOLE",
    "FALLBACK",
    "SETTINGS",
    "AuthType",
    "ChannelBinding",
    "Config",
    "ConfigError",
    "Database",
    "Effect",
    "Hba",
    "HbaRule",
    "LdapOptions",
    "Limits",
    "LoadBalance",
    "Peer",
    "PinAction",
    "PoolMode",
    "RolesUnknown",
    "ServerUrl",
    "Setting",
    "Settings",
    "TlsMode",
    "User",
    "Visit",
    "config_from_environment",
    "config_from_url",
    "is_url",
    "load_config",
    "parse_url",
    "settings_from",
]
