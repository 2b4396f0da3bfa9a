"""A client from its first byte to the ReadyForQuery that opens its session.

    login        one such client: the turn of its wire, what it has said, what has to wait
    lobby        all of them, first come first
    negotiation  the packets before the startup packet, and that one
    encryption   TLS: when it is offered, how it begins, who may do without
    admission    who cannot be served at all
    methods      how a client is to prove who it is: auth_type, HBA lines, certificates
    exchange     the conversation in which it does
    secret       what there is to compare its proof with
    settling     the end: pool, settings and session, or the console, or a server of its own
    refusal      what is said to those who do not get in

Nothing is believed before authentication: packets are small, only password messages are
read, no backend is borrowed for a stranger, and an unknown database is reported only to
those who proved who they are. The startup parameters are then tried on a real backend, once
per distinct set, so that the client is told what a private server would have told it.

A login is a turn of the switchboard: it takes one step after the other within the sweep, for as
long as no step has to wait. What has to (PBKDF2 in a thread, a first backend, a setting that was
never tried) is done by a task of the server's nursery, after which the same step is taken again
and finds what it needs. Law: no decision survives a wait; every step reads the state anew.
"""

from trio_pool.login.lobby import Lobby
from trio_pool.login.login import Login
from trio_pool.login.settling import Arrival

__all__ = ["Arrival", "Lobby", "Login"]
