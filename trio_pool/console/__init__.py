"""What the operator's console understands and says, without carrying anything out.

    tables        every SHOW: its columns, in PgBouncer 1.25.2's order and types, and our own
    command       the commands of an SQL text
    driver_talk   what drivers say to every server: BEGIN, SELECT 1, SET, DISCARD ALL
    answer        the outcome of a command, and the messages it becomes
    portals       prepared statements of the extended protocol, over commands
    conversation  one client from ReadyForQuery to goodbye, simple and extended protocol

Belongs to the decisions: no Trio, no sockets, no clock. What the commands do is in
`trio_pool.admin`.
"""

from trio_pool.console.answer import Answer, Done, Failure, Rows
from trio_pool.console.command import Command
from trio_pool.console.conversation import Conversation, converse
from trio_pool.console.tables import TABLES

__all__ = [
    "TABLES",
    "Answer",
    "Command",
    "Conversation",
    "Done",
    "Failure",
    "Rows",
    "converse",
]
