"""One client's conversation over changing backends: the only code that edits bytes.

    state       what is known: Relay, BackendState
    upstream    client to server: find messages, hand them to their handlers
    parsing     Parse                       binding   Bind, Describe, Execute, Close
    simple      Query, FunctionCall         flow      Sync, Flush, COPY, Terminate
    whole       a request that comes in one chunk, and its answer, taken at once
    holding     wait for an answer
    naming      replays and evictions       about     PREPARE, EXECUTE, DEALLOCATE in a text
    deeds       what these do to the books, and how it is taken back
    apart       a Query that ends a failed transaction before it executes
    indirect    the same through the extended protocol
    resets      RESET and DISCARD ALL, for clients that came with settings
    effects     what each request believed, and how it is taken back
    downstream  server to client: match every message with what is owed
    replies     errors, reports, and answers to our own asking
    hints       which texts certainly leave nothing behind
    reports     errors and notices in the client's terms
    crossing    a listening client leaves its backend to others, or comes back
    questions   what is asked at the end of a lease
    lending     attach to a backend, detach from it

No Trio, no clock, no sockets: bytes in, bytes out.
"""

from trio_pool.relay.deeds import ask_about_prepared
from trio_pool.relay.downstream import take_from_server
from trio_pool.relay.flow import end_segment, has_prepared, hear_out
from trio_pool.relay.lending import attach, detach, proceed, take_back
from trio_pool.relay.questions import ask_what_is_left
from trio_pool.relay.state import BackendState, Counters, Relay
from trio_pool.relay.upstream import asks, take_from_client

__all__ = [
    "BackendState",
    "Counters",
    "Relay",
    "ask_about_prepared",
    "ask_what_is_left",
    "asks",
    "attach",
    "detach",
    "end_segment",
    "has_prepared",
    "hear_out",
    "proceed",
    "take_back",
    "take_from_client",
    "take_from_server",
]
