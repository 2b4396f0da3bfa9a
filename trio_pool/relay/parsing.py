"""The client's Parse.

A handler sees one whole message and returns False when it cannot be handled before an answer
arrives; nothing is consumed then. Messages that cannot be taken apart are passed on as they
are: the server says 08P01 better than we could, and the client lives on.
"""

from __future__ import annotations

from protocol import frontend
from protocol.framing import name_end
from protocol.ledger import DROP, RELAY, Owed
from protocol.pipeline import HIDDEN, PLAIN
from protocol.sql.prefilter import ordinary
from protocol.tags import FrontendTag
from trio_pool.customs import changes_settings, set_locally
from trio_pool.relay.databases import databases_wanted
from trio_pool.relay.effects import Description, DuplicateParse, NamedParse, UnnamedChange
from trio_pool.relay.hints import harmless, unknown_calls
from trio_pool.relay.indirect import examine, parse_indirect
from trio_pool.relay.naming import (
    in_doubt,
    make_room,
    own_unnamed,
    own_unnamed_first,
    parse_frame,
    stand_in,
)
from trio_pool.relay.pins import pins_of_words, refusal
from trio_pool.relay.state import BackendState, Relay, link_of
from trio_pool.statements import NAME_BYTES, Statement


def on_parse(relay: Relay, data: bytes, start: int, stop: int) -> bool:
    """Parse: register the statement; under the pool's own name unless it is unnamed."""
    backend = link_of(relay)
    name_stop = name_end(data, start + 5, stop)
    tail = data[name_stop + 1 : stop]
    known = relay.pool.known_harmless(tail)
    # What is known has been looked at before.
    text_stop = 0 if known else tail.find(b"\0")
    if name_stop < 0 or text_stop < 0:
        backend.pipeline.owe(PLAIN[FrontendTag.PARSE])
        return True
    name = data[start + 5 : min(name_stop, start + 5 + NAME_BYTES)]
    if name and not _readable(relay, name):
        backend.pipeline.owe(PLAIN[FrontendTag.PARSE])
        return True
    relay.counters.parses += 1
    settings = relay.settings
    statement = Statement(tail, settings.parse_environment, private=relay.settings_suspect)
    if known:
        statement.plain = True
    else:
        _look_at(relay, tail[:text_stop], statement)
        refused = relay.refuses(statement.pins)
        if refused is not None:
            _parse_refused(relay, backend, data, start, stop, refused)
            return True
    if name:
        return _parse_named(relay, backend, data, start, stop, name, statement)
    if statement.command is not None:
        return parse_indirect(relay, backend, data, start, stop, statement)
    relay.client.admit(len(tail))
    if backend.pipeline.owed:
        own_unnamed(relay, backend, FrontendTag.PARSE, statement, UnnamedChange(relay, backend))
    else:
        own_unnamed_first(relay, backend, statement)
    return True


def _parse_refused(
    relay: Relay, backend: BackendState, data: bytes, start: int, stop: int, reason: str
) -> None:
    """Run something that fails in place of the Parse: its error answers the Parse."""
    relay.cut(data, start)
    relay.run = stop
    name = relay.pool.new_name()
    relay.to_server.extend(
        [
            frontend.parse(name, refusal(reason)),
            frontend.bind(name, name),
            frontend.execute(name),
        ]
    )
    for kind in (FrontendTag.PARSE, FrontendTag.BIND, FrontendTag.EXECUTE):
        backend.pipeline.owe(HIDDEN[kind])
    backend.doomed.append(name)


def _look_at(relay: Relay, text: bytes, statement: Statement) -> None:
    """Note what executing `text` may leave behind."""
    functions = relay.pool.functions
    if harmless(text, functions):
        statement.plain = True
        relay.pool.note_harmless(statement.tail)
        return
    statement.databases = databases_wanted(relay, text)
    statement.calls = unknown_calls(text, functions.innocent) + functions.watched(text)
    if ordinary(text):
        statement.sets = changes_settings(text)
        statement.pins = pins_of_words(text)
        statement.customs = set_locally(text)
    else:
        examine(relay, text, statement)


def _readable(relay: Relay, name: bytes) -> bool:
    """False for a name the server will refuse as badly encoded, which it must say itself."""
    if name.isascii():
        return True
    encoding = relay.settings.values.get(b"client_encoding", b"UTF8")
    if encoding.upper().replace(b"-", b"") != b"UTF8":
        return True
    # The cut at 63 bytes may have split a character: only the whole ones can be judged.
    return bool(name.decode("utf-8", "ignore")) and len(name) >= NAME_BYTES - 3 or _is_utf8(name)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse_named(
    relay: Relay,
    backend: BackendState,
    data: bytes,
    start: int,
    stop: int,
    name: bytes,
    statement: Statement,
) -> bool:
    unsettled = relay.client.unsettled(name, backend.pipeline.segment)
    if unsettled is not None:
        relay.hold_for(unsettled)
        return False
    relay.client.admit(len(statement.tail))
    known = relay.client.names.get(name)
    if known is not None:
        return _parse_duplicate(relay, backend, data, start, stop, name, statement, known)
    if statement.command is not None:
        return parse_indirect(relay, backend, data, start, stop, statement, name)
    relay.cut(data, start)
    make_room(relay, backend)
    server_name = relay.pool.new_name()
    relay.to_server.append(parse_frame(server_name, statement.tail))
    relay.run = stop
    entry = Owed(
        FrontendTag.PARSE,
        RELAY,
        NamedParse(relay, backend, name, statement),
        segment=backend.pipeline.segment,
    )
    backend.pipeline.owe_preparing(entry)
    relay.client.put(name, statement)
    relay.client.tentative[name] = entry
    relay.aliases[server_name] = name
    backend.statements.add(statement, server_name, entry)
    _describe(relay, backend, server_name, name, statement)
    return True


def _describe(
    relay: Relay, backend: BackendState, server_name: bytes, name: bytes, statement: Statement
) -> None:
    relay.to_server.append(frontend.describe_statement(server_name))
    effect = Description(relay, backend, name, statement, server_name)
    backend.pipeline.owe_preparing(Owed(FrontendTag.DESCRIBE, DROP, effect))


def _parse_duplicate(
    relay: Relay,
    backend: BackendState,
    data: bytes,
    start: int,
    stop: int,
    name: bytes,
    statement: Statement,
    known: Statement,
) -> bool:
    """The name is taken: let the server find that out, after it has read the new text."""
    relay.cut(data, start)
    if in_doubt(relay, backend, known):
        return False
    server_name = backend.statements.name_of(known)
    if server_name is None:
        # Any statement under that name makes the server refuse a second one, and an empty one
        # can be prepared in every state.
        server_name = stand_in(relay, backend)
        backend.doomed.append(server_name)
    relay.to_server.append(parse_frame(server_name, statement.tail))
    relay.run = stop
    alias = data[start + 5 : data.find(b"\0", start + 5, stop)]
    effect = DuplicateParse(relay, backend, name, statement, server_name, alias)
    backend.pipeline.owe_preparing(Owed(FrontendTag.PARSE, RELAY, effect))
    return True
