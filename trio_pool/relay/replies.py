"""What a server says besides rows and plain successes: errors, reports, answers to our own asking.

Each message here shares the fate of the request at the head of the ledger: it is relayed,
dropped because we asked, or written anew in the client's terms.
"""

from __future__ import annotations

from typing import Final

from protocol.backend import command_complete, decode_error_response
from protocol.errors import ProtocolViolation
from protocol.framing import HEADER_BYTES
from protocol.ledger import DROP, FAKE, Effect, Owed
from protocol.roles import ACCOMPANIES, ENDS, ROLES, ROW
from protocol.tags import BackendTag
from trio_pool.errors import SettingsNotRestored
from trio_pool.relay.apart import Part
from trio_pool.relay.aside import Aside
from trio_pool.relay.crossing import take_notification
from trio_pool.relay.effects import (
    Awaited,
    Description,
    DuplicateParse,
    Indispensable,
    Question,
    Replay,
    StalePlan,
    UnderAlias,
)
from trio_pool.relay.healing import heal
from trio_pool.relay.indirect import Execution
from trio_pool.relay.lending import SettingsRestored
from trio_pool.relay.reports import rename
from trio_pool.relay.simple import PlannedQuery
from trio_pool.relay.state import BackendState, Relay, emit_fakes, remember_aliases
from trio_pool.relay.words import CACHED_PLAN

_ASYNCHRONOUS: Final = bytes(
    [BackendTag.NOTICE, BackendTag.PARAMETER_STATUS, BackendTag.NOTIFICATION]
)
_ALL_GONE: Final = (b"DEALLOCATE ALL\0", b"DISCARD ALL\0")


def out_of_turn(tag: int) -> ProtocolViolation:
    """The violation of a server that says what nobody asked for."""
    return ProtocolViolation(f"server sent message type {tag} that nothing asked for")


def take_message(
    relay: Relay, backend: BackendState, tag: int, data: bytes, start: int, stop: int
) -> None:
    """Handle the message data[start:stop]; raises ProtocolViolation for one out of turn."""
    pipeline = backend.pipeline
    if tag == BackendTag.ERROR:
        _take_error(relay, backend, data, start, stop)
    elif tag in _ASYNCHRONOUS:
        _take_asynchronous(relay, backend, tag, data, start, stop)
    elif (answered := pipeline.owed.head) is not None:
        _take_reply(relay, backend, answered, tag, data, start, stop)
    else:
        raise out_of_turn(tag)
    head = pipeline.owed.head
    if head is not None and head.fate == FAKE:
        relay.cut_down(data, max(stop, relay.down_run))
        emit_fakes(relay, pipeline)


def _take_reply(
    relay: Relay, backend: BackendState, head: Owed, tag: int, data: bytes, start: int, stop: int
) -> None:
    """An answer to the request at the head, which may have believed something."""
    pipeline = backend.pipeline
    role = ROLES[head.kind][tag]
    effect = head.effect
    unfinished = tag == BackendTag.READY_FOR_QUERY and isinstance(effect, Part) and effect.goes_on
    if head.fate == DROP or unfinished:
        relay.drop_down(data, start, stop)
    if effect is not None:
        effect.heard(tag, data[start + HEADER_BYTES : stop])
    if tag == BackendTag.COMMAND_COMPLETE and not _tag_edited(relay, effect, data, start, stop):
        watch_tag(relay, backend, data, start, stop)
    if role == ENDS:
        if tag == BackendTag.READY_FOR_QUERY:
            pipeline.ready(data[start + HEADER_BYTES])
            if head.fate != DROP:
                relay.counters.queries += 1
        pipeline.settle()
    elif role not in (ACCOMPANIES, ROW):
        raise out_of_turn(tag)
    elif tag == BackendTag.COPY_IN:
        begin_copy_in(relay, backend)


def begin_copy_in(relay: Relay, backend: BackendState) -> None:
    """The server wants data, and answers nothing behind that: nobody may wait for it to."""
    backend.pipeline.copy_in_begins()
    hold = relay.hold
    if hold is not None and isinstance(hold.effect, Awaited):
        backend.pipeline.owed.remove(hold)
        hold.open = False


def _tag_edited(relay: Relay, effect: Effect | None, data: bytes, start: int, stop: int) -> bool:
    """What stands for a RESET shows its tag; what was said besides shows none."""
    if not isinstance(effect, (PlannedQuery, Execution)):
        return False
    if isinstance(effect, PlannedQuery) and effect.hides:
        relay.drop_down(data, start, stop)
        return True
    own = effect.tag
    if own is None:
        return False
    relay.drop_down(data, start, stop)
    relay.to_client.append(command_complete(own))
    return True


def watch_tag(relay: Relay, backend: BackendState, data: bytes, start: int, stop: int) -> None:
    """DEALLOCATE ALL and DISCARD ALL, however they were said, leave no statement behind."""
    if data[start + 5] != 0x44:
        return
    said = data[start + HEADER_BYTES : stop]
    if said not in _ALL_GONE:
        return
    client = relay.client
    remember_aliases(relay, backend)
    for name in list(client.names):
        pending = client.tentative.get(name)
        if pending is None or not pending.open:
            client.take(name)
    backend.statements.forget_all()
    if data[start + 5 : start + 8] == b"DIS":
        backend.settings.reset()


def _take_asynchronous(
    relay: Relay, backend: BackendState, tag: int, data: bytes, start: int, stop: int
) -> None:
    head = backend.pipeline.owed.head
    hidden = head is not None and head.fate == DROP
    if tag == BackendTag.PARAMETER_STATUS:
        effect = head.effect if head is not None and hidden else None
        name, _, value = data[start + HEADER_BYTES : stop - 1].partition(b"\0")
        if not isinstance(effect, Aside):
            backend.settings.reported(name, value)
            backend.settings.environment = None
            # What the client is given in front of its own bytes is looked at when it has it.
            if not isinstance(effect, SettingsRestored):
                # Behind our own question it is news: the server has read its configuration again.
                hidden = hidden and relay.settings.told(name) in (None, value)
                relay.settings.reported(name, value)
    elif tag == BackendTag.NOTICE and not hidden:
        body = data[start + HEADER_BYTES : stop]
        if relay.pool.prefix in body:
            relay.drop_down(data, start, stop)
            _append_report(relay, BackendTag.NOTICE, rename(relay, body))
    if tag == BackendTag.NOTIFICATION:
        take_notification(relay, backend, data, start, stop)
    elif hidden:
        relay.drop_down(data, start, stop)


def _take_error(relay: Relay, backend: BackendState, data: bytes, start: int, stop: int) -> None:
    """The error goes to the client, whoever asked: a replay's answers the message behind it."""
    pipeline = backend.pipeline
    body = data[start + HEADER_BYTES : stop]
    head = pipeline.owed.head
    if head is not None and isinstance(head.effect, Indispensable) and b"VERROR\0" in body:
        relay.cut_down(data, start)
        raise _not_restored(body)
    if head is not None and isinstance(head.effect, Replay):
        before = head.effect.precedes_error()
        if before and b"C25P02\0" not in body:
            relay.cut_down(data, start)
            relay.to_client.append(before)
    mendable = relay.pool.prefix in body and not relay.to_client
    if mendable and head is not None and heal(relay, backend, body):
        relay.drop_down(data, start, stop)
        return
    if head is not None and isinstance(head.effect, Description) and head.effect.alone:
        relay.drop_down(data, start, stop)
        pipeline.fail()
        return
    if head is not None and isinstance(head.effect, Question) and b"VERROR\0" in body:
        head.effect.broken = True
        relay.drop_down(data, start, stop)
        pipeline.fail()
        return
    if head is not None and isinstance(head.effect, Part) and head.effect.refused(body):
        relay.drop_down(data, start, stop)
        pipeline.fail()
        return
    edited = _edited(relay, head.effect if head is not None else None, body)
    if edited is not body:
        relay.drop_down(data, start, stop)
        _append_report(relay, BackendTag.ERROR, edited)
    if b"VFATAL\0" in body or b"VPANIC\0" in body:
        relay.server_gone = True
        return
    if head is None:
        raise ProtocolViolation("server reported an error though nothing is owed")
    if pipeline.owed.head is head:
        pipeline.fail()


def _not_restored(body: bytes) -> SettingsNotRestored:
    said = decode_error_response(body)
    return SettingsNotRestored(said.message, said.sqlstate)


def _edited(relay: Relay, effect: Effect | None, body: bytes) -> bytes:
    if isinstance(effect, StalePlan) and relay.pool.missing in body:
        return CACHED_PLAN[HEADER_BYTES:]
    if isinstance(effect, Part):
        body = effect.edit_error(body)
    if isinstance(effect, (PlannedQuery, Execution)):
        if effect.plan.stale and relay.pool.missing in body:
            return CACHED_PLAN[HEADER_BYTES:]
        body = effect.edit_error(body)
    if relay.pool.prefix in body:
        own = effect.alias if isinstance(effect, UnderAlias | DuplicateParse) else None
        return rename(relay, body, own)
    return body


def _append_report(relay: Relay, tag: int, body: bytes) -> None:
    relay.to_client.append(bytes([tag]) + (len(body) + 4).to_bytes(4, "big") + body)
