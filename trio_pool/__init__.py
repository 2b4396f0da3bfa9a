"""A PostgreSQL transaction pooler that no client notices: the map.

Nouns. A *client* is an application's connection; a *session* is our task tree for it. A
*server* is a PostgreSQL instance; a *backend* is one of our connections to it. A *pool* holds
the backends of one database and user and lends them; a *lease* is a session holding one, for a
transaction. A *wire* is a socket on the *switchboard*; a *chunk* is what one read returned; a
*frame* is one message as offsets in it. A *statement* is what a client prepared; the *pipeline*
is the ledger of replies that a backend owes; the *relay* edits bytes between two peers.

Three rings; imports point inwards only (tests/test_layering.py):

    shell       cli command check demo proof probe process logs threaded embedded/
                server listener login card trial newcomers farewell session pool backend errand
                opening conduct cancel passage passages janitor wire switchboard tls tls_settings
                lookup peers admin/ conform/
    decisions   relay/ statements settings config/ console/ credentials errors metrics
    protocol/   a package of its own: PostgreSQL's messages, no I/O

Laws, each kept where it binds:

1. Ask and remember in one breath: bytes are put and their ledger entry made without an await
   between (relay, pool).
2. No decision survives an await: read the state again afterwards (pool, session).
3. Fitness is read off the ledger, the transaction status and the wire; there are no flags that
   remember (protocol.pipeline, Relay.releasable).
4. Every byte received is relayed, replaced, or dropped on purpose (relay.state).
5. The guilty party is closed, the other is told, the pooler lives (session, backend, server).
6. Everything has a limit, and the limit has a name in the configuration (config.table).
7. Only the relay edits bytes between two peers; only the pipeline knows what is owed; only the
   tracker (statements) names statements; only wire and switchboard touch sockets.

Reading order: protocol.pipeline (what is owed), trio_pool.statements (who has prepared what),
trio_pool.relay (what becomes of each message), trio_pool.session and trio_pool.pool (who holds
which backend), trio_pool.switchboard (how it all turns), trio_pool.server (what owns it).
"""

from protocol import form

# Before anything else of the package is imported.
form.prefer_sources(__path__)
