"""PostgreSQL in a container, where Docker answers.

Not needed on a machine that has PostgreSQL's programs; it brings the version that is asked for.
The libraries are imported here and nowhere else: they take longer than most tests.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

DEFAULT_IMAGE: Final = "postgres:18"
_PROBE_SECONDS: Final = 2
# The module moved in testcontainers 4.15.
_MODULES: Final = ("testcontainers.community.postgres", "testcontainers.postgres")
_SOCKET: Final = "/var/run/docker.sock"
# Other ways in which testcontainers comes by an engine.
_SIGNS: Final = ("DOCKER_HOST", "DOCKER_CONTEXT", "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE")
_PROPERTIES: Final = ".testcontainers.properties"


class ContainerFailed(Exception):
    """Docker answers, and the container did not come up; `str()` is for a terminal."""


def why_no_docker() -> str | None:
    """What keeps us from starting a container; None when an engine answers, and soon."""
    if importlib.util.find_spec("testcontainers") is None:
        return "testcontainers is not installed (pip install 'testcontainers[postgres]')"
    signs = any(os.environ.get(name) for name in _SIGNS)
    if not (signs or Path(_SOCKET).exists() or (Path.home() / _PROPERTIES).exists()):
        return f"no Docker engine: DOCKER_HOST is not set and there is no {_SOCKET}"
    return _why_no_answer()


def _why_no_answer() -> str | None:
    import docker

    with warnings.catch_warnings():
        # A refused probe leaves an unclosed socket behind, which is the library's affair.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.closing(docker.from_env(timeout=_PROBE_SECONDS)) as client:
                client.ping()
                return None
        except (docker.errors.DockerException, OSError) as failure:
            return f"no Docker engine answers: {failure}"
        finally:
            gc.collect()


@contextlib.contextmanager
def server_in_container(image: str, connections_max: int) -> Iterator[str]:
    """The URL of a superuser at a fresh server, reachable from this machine only.

    Raises ContainerFailed.
    """
    import docker

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
    try:
        container.start()
    except (docker.errors.DockerException, OSError) as failure:
        raise ContainerFailed(f"{image} did not start: {failure}") from failure
    try:
        yield str(container.get_connection_url())
    finally:
        container.stop()


def _module() -> ModuleType:
    for name in _MODULES:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise ModuleNotFoundError(f"testcontainers has none of {', '.join(_MODULES)}")
