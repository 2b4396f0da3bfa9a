"""The whole pooler: one nursery that holds everything, and what all of it shares.

    serving     its life from the first listener to the end of the nursery
    server      what all sessions share, and the pools
    entrances   the listening sockets, and what a successor is given
    clients     everybody who has connected: from accept to the end of their task
    consoles    the clients of the console
    cancels     cancel requests: for clients, consoles, replication, peers, a predecessor
    suspension  SUSPEND: nothing moves
    shutdown    no new clients, no clients, no pooler

    serve
      ├─ the switchboard's turn: listeners, logins, and everything after them
      ├─ the janitor    ├─ signals
      ├─ a task per backend being opened, per step of a login that has to wait
      └─ a task per client: parked until the end of its session (trio_pool.newcomers: when from)

Stopping nests: no new clients first, then every client at its next transaction boundary, then
the rest of the nursery. What changes with RELOAD is in trio_pool.admin.reload.
"""

from trio_pool.server.server import Server
from trio_pool.server.serving import Serving, serve

__all__ = ["Server", "Serving", "serve"]
