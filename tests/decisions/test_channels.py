"""Two ears hear the same, and a client is shown each notification once, in order.

The model: one sequence of notifications, as PostgreSQL shows it to every session that listens;
the client's backend hears some stretches of it, the ear all of it, each in its own time.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from trio_pool.channels import AWAY, HOME, LEAVING, RETURNING, Listening, Register, channel_of
from trio_pool.channels import payload_of as said

MARKS = b"marks"


def note(payload: bytes, channel: bytes = b"news", sender: int = 7) -> bytes:
    return sender.to_bytes(4, "big") + channel + b"\0" + payload + b"\0"


@attrs.define
class World:
    """One client that crosses again and again, and what everybody has heard so far."""

    listening: Listening = attrs.field(factory=Listening)
    queue: list[bytes] = attrs.field(factory=list)
    """What was committed, marks included."""
    ear_at: int = 0
    backend_at: int = 0
    crossings: int = 0
    shown: list[bytes] = attrs.field(factory=list)

    def commit(self) -> None:
        self.queue.append(note(b"%d" % len(self.queue)))

    def cross(self) -> None:
        """Set out in the other direction, as soon as the last crossing is over."""
        listening = self.listening
        if listening.crossing is not None:
            return
        self.crossings += 1
        leaves = listening.place == HOME
        if not leaves:
            # A backend that has just begun to listen may hear what was committed before.
            self.backend_at = max(0, len(self.queue) - 2)
        mark = b"%d" % self.crossings
        listening.set_out(LEAVING if leaves else RETURNING, mark)
        listening.answered = True
        self.queue.append(note(mark, MARKS))

    def ear_hears(self) -> None:
        if self.ear_at == len(self.queue):
            return
        heard = self.queue[self.ear_at]
        self.ear_at += 1
        crossing = self.listening.crossing
        if channel_of(heard) != MARKS:
            if self.listening.hears_ear(heard):
                self.shown.append(heard)
        elif crossing is not None and said(heard) == crossing.mark:
            self.shown += self.listening.mark_in_ear()
        self.arrive()

    def backend_hears(self) -> None:
        listening = self.listening
        if listening.place == AWAY or self.backend_at == len(self.queue):
            return
        heard = self.queue[self.backend_at]
        self.backend_at += 1
        crossing = listening.crossing
        if channel_of(heard) != MARKS:
            if listening.hears_backend(heard):
                self.shown.append(heard)
        elif crossing is not None and said(heard) == crossing.mark:
            self.shown += listening.mark_in_backend()
        self.arrive()

    def arrive(self) -> None:
        if self.listening.complete:
            self.listening.arrive()


STEPS = (World.commit, World.cross, World.ear_hears, World.backend_hears)


@given(st.lists(st.sampled_from(STEPS), max_size=80))
def test_whoever_hears_first_the_client_is_shown_everything_once_and_in_order(
    steps: list[object],
) -> None:
    world = World()
    for step in steps:
        assert callable(step)
        step(world)
    for _ in range(2 * len(world.queue)):
        world.ear_hears()
        world.backend_hears()

    assert world.listening.crossing is None
    assert world.shown == [heard for heard in world.queue if channel_of(heard) != MARKS]


def test_the_end_of_the_old_stream_lets_go_what_came_too_early() -> None:
    listening = Listening()
    listening.set_out(LEAVING, b"1")
    assert listening.mark_in_ear() == []
    assert not listening.hears_ear(note(b"behind the mark"))
    assert listening.crossing is not None
    assert listening.crossing.kept_bytes == len(note(b"behind the mark"))
    assert listening.hears_backend(note(b"before the mark"))

    assert listening.mark_in_backend() == [note(b"behind the mark")]
    assert listening.crossing.kept_bytes == 0
    assert not listening.hears_backend(note(b"the same again"))
    assert not listening.complete
    listening.answered = True
    assert listening.complete


def test_the_register_knows_who_hears_what() -> None:
    register: Register[str] = Register()
    register.enter("ann", frozenset({b"news", b"sport"}))
    register.enter("bob", frozenset({b"news"}))
    assert (list(register.hearers(b"news")), register.count(b"news")) == (["ann", "bob"], 2)
    register.enter("ann", frozenset({b"sport", b"weather"}))
    assert list(register.hearers(b"news")) == ["bob"]
    register.leave("bob")
    register.leave("bob")
    assert sorted(register.channels) == [b"sport", b"weather"]
    assert (register.count(b"news"), list(register.hearers(b"news"))) == (0, [])
    register.leave("ann")
    assert not register
