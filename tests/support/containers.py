"""PostgreSQL in a container, where Docker answers.

Not needed on a machine that has PostgreSQL's programs; it brings the version that is asked for.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import secrets
import warnings
from collections.abc import Iterator
from types import ModuleType

import docker

DEFAULT_IMAGE = "postgres:18"
_PROBE_SECONDS = 2
# The module moved in testcontainers 4.15.
_MODULES = ("testcontainers.community.postgres", "testcontainers.postgres")


def docker_answers() -> bool:
    """Whether an engine answers, and soon."""
    with warnings.catch_warnings():
        # A refused probe leaves an unclosed socket behind, which is the library's affair.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.closing(docker.from_env(timeout=_PROBE_SECONDS)) as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False
        finally:
            gc.collect()


@contextlib.contextmanager
def server_in_container(image: str, connections_max: int) -> Iterator[str]:
    """The URL of a superuser at a fresh server, reachable from this machine only."""
    container = _module().PostgresContainer(
        image,
        username="postgres",
        password=secrets.token_urlsafe(16),
        dbname="postgres",
        driver=None,
    )
    container.with_command(f"postgres -c max_connections={connections_max}")
    # Why not with_bind_ports: it knows no address, and would publish on every one of them.
    container.ports = dict.fromkeys(container.ports, ("127.0.0.1",))
    with container:
        yield str(container.get_connection_url())


def _module() -> ModuleType:
    for name in _MODULES:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise ModuleNotFoundError(f"testcontainers has none of {', '.join(_MODULES)}")
