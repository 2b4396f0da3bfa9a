"""A listening client's relay on its way home and away: what is said to the backend, and when."""

from __future__ import annotations

from protocol import backend as messages
from protocol import frontend
from tests.support.relays import a_relay
from trio_pool.channels import AWAY, HOME, Listening
from trio_pool.relay import (
    BackendState,
    Relay,
    attach,
    proceed,
    take_from_client,
    take_from_server,
)
from trio_pool.relay.crossing import begin_to_leave, marks_are_heard
from trio_pool.settings import BackendSettings
from trio_pool.statements import PoolStatements

OWN, SERVERS, OTHERS = b"\0\0\0\x07", b"\0\0\0\x63", b"\0\0\0\x64"
QUERY = frontend.query(b"select 1")
IDLE = messages.ready_for_query()
REFUSED = messages.error_response("ERROR", "54000", "too many notifications in the NOTIFY queue")
MARKS = PoolStatements("test").marks


def relay_for(listening: Listening | None = None) -> Relay:
    relay = a_relay()
    relay.process = OWN
    relay.listening = listening
    if listening is not None and listening.place == AWAY:
        relay.settings.depart()
    return relay


def a_backend() -> BackendState:
    backend = BackendState(100, BackendSettings({}))
    backend.process = SERVERS
    return backend


def away(*channels: bytes) -> Listening:
    listening = Listening()
    listening.place = AWAY
    listening.channels = frozenset(channels)
    return listening


def said(relay: Relay) -> list[bytes]:
    """What the relay has for the server since last asked, message by message."""
    data, found = relay.to_server.take(), []
    while data:
        stop = 1 + int.from_bytes(data[1:5], "big")
        found.append(data[5 : stop - 1])
        data = data[stop:]
    return found


def shown(relay: Relay) -> bytes:
    return relay.to_client.take()


def notification(sender: bytes, channel: bytes, payload: bytes) -> bytes:
    body = sender + channel + b"\0" + payload + b"\0"
    return b"A" + (len(body) + 4).to_bytes(4, "big") + body


def mark_of(relay: Relay) -> bytes:
    assert relay.listening is not None
    assert relay.listening.crossing is not None
    return notification(SERVERS, MARKS, relay.listening.crossing.mark)


def test_a_client_that_comes_home_is_heard_once_its_backend_and_the_ear_have_met() -> None:
    listening = away(b"news", b'a "b"')
    relay = relay_for(listening)
    attach(relay, a_backend())
    take_from_client(relay, QUERY)

    (asked,) = said(relay)
    assert asked.startswith(b'LISTEN "a ""b"""; LISTEN "news"; LISTEN "%b"; NOTIFY' % MARKS)
    early = notification(OTHERS, b"news", b"heard by the ear as well")
    take_from_server(relay, early + mark_of(relay))
    late = notification(OTHERS, b"news", b"behind the mark")
    take_from_server(relay, late + IDLE)
    assert said(relay) == [b'UNLISTEN "%b"' % MARKS]
    take_from_server(relay, IDLE)
    assert (shown(relay), relay.resume, listening.complete) == (b"", True, False)

    assert [note for note in listening.mark_in_ear()] == [late[5:]]
    assert listening.complete
    listening.arrive()
    proceed(relay)
    assert said(relay) == [b"select 1"]
    assert listening.place == HOME


def test_no_mark_is_set_that_the_ear_cannot_hear() -> None:
    """Found by a client that came back before its ear had begun: it waited for ever."""
    listening = away(b"news")
    listening.markless = True
    relay = relay_for(listening)
    attach(relay, a_backend())
    take_from_client(relay, QUERY)
    assert said(relay) == []

    marks_are_heard(relay, listening)
    assert b"NOTIFY" in said(relay)[0]
    marks_are_heard(relay, listening)
    assert said(relay) == []


def test_the_way_home_is_tried_three_times() -> None:
    listening = away(b"news")
    relay = relay_for(listening)
    attach(relay, a_backend())
    take_from_client(relay, QUERY)
    for _ in range(3):
        assert b"NOTIFY" in said(relay)[0]
        assert not relay.resume
        take_from_server(relay, REFUSED + IDLE)
    assert (said(relay), shown(relay)) == ([], b"")
    # Whoever resumes it sees that the backend has not answered.
    assert relay.resume
    assert not listening.answered


def test_a_client_that_cannot_leave_stays_and_goes_on_listening_itself() -> None:
    listening = Listening()
    listening.channels = frozenset({b"news"})
    relay = relay_for(listening)
    backend = a_backend()
    attach(relay, backend)
    begin_to_leave(relay, backend, listening)
    assert said(relay) == [
        b'LISTEN "%b"; NOTIFY "%b", \'00000007.1\'' % (MARKS, MARKS),
    ]
    take_from_server(relay, REFUSED + IDLE)
    assert (listening.place, listening.crossing, relay.resume) == (HOME, None, True)
    assert said(relay) == []
    heard = notification(OTHERS, b"news", b"x")
    take_from_server(relay, heard)
    assert shown(relay) == heard


def test_notifications_bear_the_clients_own_number_or_certainly_not() -> None:
    relay = relay_for()
    attach(relay, a_backend())
    take_from_server(
        relay,
        notification(SERVERS, b"news", b"own")
        + notification(OTHERS, b"news", b"another's")
        # A process of the server may happen to have the number that the client was given.
        + notification(OWN, b"news", b"not own"),
    )
    assert shown(relay) == (
        notification(OWN, b"news", b"own")
        + notification(OTHERS, b"news", b"another's")
        + notification(b"\0\0\0\0", b"news", b"not own")
    )
