"""Whether what HTTP needs is installed; asked before anything is served."""

from __future__ import annotations

import importlib.util

from trio_pool.config import ConfigError, Settings


def require_http(settings: Settings) -> None:
    """Raises ConfigError when `http_listen_addr` is set and h11 is not installed."""
    if settings.http_listen_addr and importlib.util.find_spec("h11") is None:
        raise ConfigError(
            "http_listen_addr needs the package h11, which is not installed",
            hint='pip install "trio-pool[http]"',
        )
