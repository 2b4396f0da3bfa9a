"""PostgreSQL's wire protocol 3.0 and 3.2, without I/O: the map.

Stands alone: nothing here imports Trio or knows of pools. What the bytes of a peer do wrong
raises ProtocolViolation or AuthenticationRefused (errors) and nothing else.

    tags framing                 the first byte of every message; where messages begin and end
    strides                      the same for many alike, in few steps of an interpreter
    frontend frontend_*          what a client says: encoders, frozen classes, decoders
    backend backend_*            what a server says, the same way
    cursor build                 reading a body with its bounds checked, and writing one
    startup startup_message      the packets before the first message, and their options
    exchange auth handshake      linear conversations as generators: authenticate a client,
                                 log in to a server
    scram scram_exchange         SCRAM-SHA-256, both sides; saslprep; stored_secrets;
                                 channel_binding ties it to the TLS connection
    pipeline ledger roles        the replies that a server still owes, and which is which
    form                         whether the compiled modules run, or their sources
    sql/                         which SQL texts speak of prepared statements or settings

Reading order: tags, framing, frontend and backend (the vocabulary), pipeline (the law of who
answers what), auth and handshake (the conversations).
"""

from protocol import form

# Before anything else of the package is imported.
form.prefer_sources(__path__)
