"""One client of the console, from its first ReadyForQuery to its goodbye.

`converse` is a generator: it yields None to be sent the next message and a Command to be sent
the Answer that carrying it out gave; what is to be said to the client gathers in `out`. So a
command that waits (PAUSE) holds up this client only, and nothing here knows how it waits.

Invariant: every Query and every Sync is answered by exactly one ReadyForQuery; an error in the
extended protocol silences everything up to the next Sync.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from protocol import backend, frontend_extended, frontend_simple
from protocol.errors import ProtocolViolation
from protocol.exchange import Message
from protocol.tags import FrontendTag, TransactionStatus
from trio_pool.console import driver_talk
from trio_pool.console.answer import Answer, Done, Failure, Rows, description, row
from trio_pool.console.command import INVALID, Command, commands
from trio_pool.console.portals import Portals, Refused, layout_of

Talk = Generator[Command | None, Message | Answer, None]
Asking = Generator[Command | None, Message | Answer, Answer]

_IDLE: Final = TransactionStatus.IDLE
_BLOCK: Final = TransactionStatus.IN_TRANSACTION
_FAILED: Final = TransactionStatus.FAILED

_ABORTED: Final = Failure(
    "current transaction is aborted, commands ignored until end of transaction block", "25P02"
)


class Conversation:
    """What is remembered of a client, and what is still to be sent to it."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.status: int = _IDLE
        self.skipping = False
        self.portals = Portals()

    def take_output(self) -> bytes:
        """What is to be sent now."""
        data = b"".join(self.out)
        self.out.clear()
        return data


def converse(talk: Conversation) -> Talk:
    """The whole conversation; ends at Terminate. Raises ProtocolViolation for nonsense."""
    while True:
        message = yield None
        assert isinstance(message, tuple)
        tag, body = message
        if tag == FrontendTag.TERMINATE:
            return
        if tag == FrontendTag.SYNC:
            talk.skipping = False
            _ready(talk)
        elif tag == FrontendTag.QUERY:
            yield from _simple(talk, frontend_simple.decode_query(body).text)
        elif not talk.skipping:
            yield from _extended(talk, tag, body)


def _ready(talk: Conversation) -> None:
    if talk.status == _IDLE:
        talk.portals.end_transaction()
    talk.out.append(backend.ready_for_query(talk.status))


def _simple(talk: Conversation, text: bytes) -> Talk:
    found = commands(text)
    if not found:
        talk.out.append(backend.empty_query_response())
    for command in found:
        answer = yield from _perform(talk, command)
        _say(talk, answer)
        if isinstance(answer, Failure):
            break
    _ready(talk)


def _perform(talk: Conversation, command: Command) -> Asking:
    """The answer to a command, with what it does to the transaction block."""
    if driver_talk.ends(command):
        failed, talk.status = talk.status == _FAILED, _IDLE
        tag = driver_talk.tag_of(command) or ""
        return Done("ROLLBACK" if failed else tag)
    if talk.status == _FAILED:
        return _ABORTED
    if driver_talk.begins(command):
        talk.status = _BLOCK
    answer = driver_talk.reply(command)
    if answer is None:
        answer = yield from _ask(command)
    return answer


def _ask(command: Command) -> Asking:
    """Have the command carried out, if there is such a command."""
    if command.verb == INVALID or (command.verb == "SHOW" and not _shown(command)):
        return Failure(
            f"invalid command '{command.text}', use SHOW HELP;",
            "42601",
            "SHOW HELP lists the commands of this console.",
        )
    answer = yield command
    assert isinstance(answer, Rows | Done | Failure)
    return answer


def _shown(command: Command) -> bool:
    return command.argument.upper() == "HELP" or layout_of(command) is not None


def _say(talk: Conversation, answer: Answer) -> None:
    """A whole answer of the simple protocol."""
    if isinstance(answer, Rows):
        talk.out.append(description(answer.layout))
        talk.out += [row(answer.layout, values) for values in answer.rows]
        talk.out.append(backend.command_complete(answer.tag.encode()))
    else:
        _say_outcome(talk, answer)


def _say_outcome(talk: Conversation, answer: Done | Failure) -> None:
    if isinstance(answer, Failure):
        _fail(talk, answer)
        return
    if answer.notice:
        detail = answer.detail or None
        talk.out.append(backend.notice_response("NOTICE", "00000", answer.notice, detail=detail))
    talk.out.append(backend.command_complete(answer.tag.encode()))


def _fail(talk: Conversation, failure: Failure) -> None:
    if talk.status == _BLOCK:
        talk.status = _FAILED
    talk.out.append(
        backend.error_response("ERROR", failure.sqlstate, failure.message, hint=failure.hint)
    )


def _extended(talk: Conversation, tag: int, body: bytes) -> Talk:
    try:
        if tag == FrontendTag.EXECUTE:
            yield from _execute(talk, frontend_extended.decode_execute(body))
        elif tag != FrontendTag.FLUSH:
            talk.out.append(_about(talk, tag, body))
    except Refused as refused:
        talk.skipping = True
        _fail(talk, refused.failure)


def _about(talk: Conversation, tag: int, body: bytes) -> bytes:
    """Everything of the extended protocol that carries nothing out. Raises Refused."""
    portals = talk.portals
    if tag == FrontendTag.PARSE:
        return portals.parse(frontend_extended.decode_parse(body))
    if tag == FrontendTag.BIND:
        return portals.bind(frontend_extended.decode_bind(body))
    if tag == FrontendTag.DESCRIBE:
        return portals.describe(frontend_extended.decode_describe(body))
    if tag == FrontendTag.CLOSE:
        return portals.close(frontend_extended.decode_close(body))
    raise ProtocolViolation(f"unsupported packet type for admin console: {tag}")


def _execute(talk: Conversation, message: frontend_extended.Execute) -> Talk:
    portal = talk.portals.portal(message.portal)
    command = portal.command
    if command is None:
        talk.out.append(backend.empty_query_response())
        return
    if portal.answer is None:
        portal.answer = yield from _perform(talk, command)
    answer = portal.answer
    if isinstance(answer, Failure):
        raise Refused(answer)
    if isinstance(answer, Done):
        _say_outcome(talk, answer)
        return
    rows = portal.next_rows(message.rows_max)
    talk.out += [row(answer.layout, values, portal.formats) for values in rows]
    if portal.exhausted:
        talk.out.append(backend.command_complete(answer.tag.encode()))
    else:
        talk.out.append(backend.portal_suspended())
