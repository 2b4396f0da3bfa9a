"""Smaller scripts than one that shows a difference, those first that are much smaller.

Whatever is left out, a step still ends at ReadyForQuery: its last message stays, and with a COPY
what ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from trio_pool.conform.random_world import messages_in, say
from trio_pool.conform.script import Say, Script, Step

_ENDS_COPY: Final = b"cf"


def smaller(script: Script) -> Iterator[Script]:
    """Scripts without some of its steps, or of its messages."""
    for steps in _without_some(script.steps):
        if steps:
            yield attrs.evolve(script, steps=steps)
    for number, step in enumerate(script.steps):
        for less in _less(step):
            steps = (*script.steps[:number], less, *script.steps[number + 1 :])
            yield attrs.evolve(script, steps=steps)


def _without_some(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Without its halves, its quarters and so on, each single step at last."""
    size = len(steps) // 2
    while size:
        for at in range(0, len(steps), size):
            yield (*steps[:at], *steps[at + size :])
        size //= 2


def _less(step: Step) -> Iterator[Step]:
    """A step that says less, or that is another client's."""
    if not isinstance(step, Say):
        return
    messages = messages_in(step.data)
    producers = [at for at, message in enumerate(messages) if message[0] in b"QS"]
    for at, message in enumerate(messages):
        if message[0] not in _ENDS_COPY and at != producers[-1]:
            yield say(b"".join((*messages[:at], *messages[at + 1 :])), step.client)
    if step.client:
        yield say(step.data, 0)
