"""Hypothesis as the one who chooses, so that a conversation that fails is made smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import attrs
from hypothesis import strategies as st

from trio_pool.conform.random_scripts import Segment, script

T = TypeVar("T")


@attrs.frozen
class Drawn:
    """Choices that Hypothesis makes, and can make again otherwise."""

    draw: st.DrawFn

    def choice(self, seq: Sequence[T], /) -> T:
        return self.draw(st.sampled_from(seq))

    def randint(self, a: int, b: int, /) -> int:
        return self.draw(st.integers(a, b))


@st.composite
def scripts(draw: st.DrawFn, clients: int = 1, length: int = 8) -> list[Segment]:
    """Segments of several clients, in the order in which they are said."""
    return script(Drawn(draw), clients, length)


chunk_sizes: Final = st.lists(st.integers(1, 40), max_size=4)
