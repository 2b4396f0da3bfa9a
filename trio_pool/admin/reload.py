"""A new configuration in the place of the old one: all of it, or nothing of it.

The new one is read and checked as a whole before anything is touched, and then adopted without
an await in between. Pools keep their backends unless these would now be opened differently;
then they are replaced as they come back. Clients of a database that is gone end at their next
transaction boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from trio_pool.config import SETTINGS, Config, ConfigError, Database, Settings
from trio_pool.config.settings import check
from trio_pool.credentials import auth_method, method_for_strangers, server_login
from trio_pool.errors import ConfigurationChanged, ServerFastClose
from trio_pool.journal import Journal
from trio_pool.judges import require_judges
from trio_pool.pool import Pool, closing
from trio_pool.pool.growth import grow
from trio_pool.tls_settings import encryption_of

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

# What of a database's line says how its backends are opened.
_PLACE = (
    *("host", "port", "dbname", "user", "password", "connect_query", "startup_parameters"),
    "channel_binding",
)


async def reload(server: Server) -> None:
    """Read and adopt the configuration anew. Raises ConfigError; nothing has changed then."""
    read = server.read_config
    if read is None:
        raise ConfigError("this pool was not started from a file: there is nothing to read again")
    server.origin.manager.reloading()
    try:
        config = await trio.to_thread.run_sync(read)
        adopt(server, config)
    finally:
        server.origin.manager.ready()
    await server.lookups.close()
    log.info("configuration reloaded")


def change_setting(server: Server, name: str, text: str) -> None:
    """SET of the console: lasts until the next RELOAD. Raises ConfigError."""
    name = name.lower()
    check(name, text)
    if not SETTINGS[name].reloadable:
        raise ConfigError(f"{name} cannot be changed while the pooler runs")
    texts = {**server.config.settings.texts, name: text}
    adopt(server, attrs.evolve(server.config, settings=Settings(texts=texts)))


def adopt(server: Server, config: Config) -> None:
    """Serve `config` from now on. Raises ConfigError before anything is changed."""
    config = _with_what_stays(server.config, config)
    require_judges(config)
    method = auth_method(config.settings.auth_type)
    encryption = encryption_of(config.settings)
    for notice in config.notices:
        log.info("%s", notice)
    old, server.config, server.auth_method = server.config, config, method
    server.encryption = encryption
    server.method_for_strangers = method_for_strangers(config)
    if config.settings.scram_iterations != old.settings.scram_iterations:
        # What was derived before was derived with the other number.
        server.verifiers.clear()
    for key, pool in list(server.pools.items()):
        _refit(server, old, key, pool)


def _with_what_stays(old: Config, new: Config) -> Config:
    """`new`, but for the settings that only a restart changes."""
    texts = dict(new.settings.texts)
    for name, setting in SETTINGS.items():
        if setting.reloadable:
            continue
        before = old.settings.texts.get(name, setting.default)
        if texts.get(name, setting.default) != before:
            log.warning("%s is changed by a restart only, it stays as it was", name)
            texts[name] = before
    return attrs.evolve(new, settings=Settings(texts=texts))


def _refit(server: Server, old: Config, key: tuple[str, str], pool: Pool) -> None:
    name, user = key
    database = server.config.database(name)
    login = None if database is None else server_login(server.config, database, user)
    if database is None or login is None or login.user != pool.user:
        del server.pools[key]
        for session in list(server.sessions.values()):
            if session.pool is pool:
                session.drain(ConfigurationChanged())
        for passage in server.passages:
            if passage.pool is pool:
                passage.end(ConfigurationChanged())
        closing.retire(pool)
        return
    if login.secret == pool.login.secret:
        login.learned = pool.login.learned
    elsewhere = _place(database) != _place(pool.database)
    elsewhere = elsewhere or _changed_for_servers(old, server.config)
    pool.database, pool.login, pool.encryption = database, login, server.encryption
    pool.adopt(server.config.limits(database, user), server.config.settings)
    if elsewhere:
        renew(server, pool)
    grow(pool)


def renew(server: Server, pool: Pool) -> None:
    """Replace every backend as it comes back; with server_fast_close also those of sessions."""
    closing.renew(pool)
    if pool.settings.server_fast_close and pool.session_mode:
        for session in list(server.sessions.values()):
            if session.pool is pool and session.backend is not None:
                session.drain(ServerFastClose())


def _place(database: Database) -> tuple[object, ...]:
    return tuple(getattr(database, name) for name in _PLACE)


def _changed_for_servers(old: Config, new: Config) -> bool:
    """Whether connections to servers are made differently now."""
    names = [name for name in SETTINGS if name.startswith("server_tls_")]
    before, after = old.settings.texts, new.settings.texts
    return any(before.get(name) != after.get(name) for name in names)
