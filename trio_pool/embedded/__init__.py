"""A local, throw-away PostgreSQL, for the demo and for test suites.

`discovery` finds the programs, `account` settles who runs them, `cluster` makes and runs one
cluster, `local` ties it to a `with` block, `guard` cleans up when the program is killed in it.
Works as root and as anybody else, with a system's PostgreSQL and with one that pip installed.
"""

from trio_pool.embedded.discovery import Binaries, find_binaries
from trio_pool.embedded.errors import EmbeddedError, PostgresFailed, PostgresNotFound
from trio_pool.embedded.local import LocalServer, local_postgres, open_local_postgres

__all__ = [
    "Binaries",
    "EmbeddedError",
    "LocalServer",
    "PostgresFailed",
    "PostgresNotFound",
    "find_binaries",
    "local_postgres",
    "open_local_postgres",
]
