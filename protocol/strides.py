"""Where a run of alike frames ends, for an interpreter: it pays for every step, not for every byte.

The law is `after_alike` in protocol.framing, which compiled looks at each header by itself; what
is found here is the same (tests/protocol/test_framing.py holds one against the other). Frames of
one length are common, numbers and keys of one width: their headers are compared in columns, each
of which a slice with a stride takes out of many frames at once.
"""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = struct.Struct(">BI")
_header: Final = _HEADER.unpack_from

# So many frames in a row are looked at singly before columns are tried; twice as many after each
# try that came to little, so that mixed lengths pay next to nothing for it.
_SPELL_MIN: Final = 8
_SPELL_MAX: Final = 128
# So many frames are compared first, four times as many after each time that all were alike.
_COUNT_MIN: Final = 16
_COUNT_MAX: Final = 4_096
# Why from the last byte of the length to the tag: it is the one that differs most often.
_PLACES: Final = (4, 3, 2, 1, 0)


def stride_over(chunk: bytes, position: int) -> int:
    """Where the run of whole frames ends that have the tag of the one at `position`.

    A frame whose length is impossible, or that is not whole, ends the run.
    """
    size = len(chunk)
    last = size - _HEADER.size
    tag = chunk[position]
    spell, step = _SPELL_MIN, 0
    while True:
        for _ in range(spell):
            if position > last:
                return position
            found, length = _header(chunk, position)
            stop = position + 1 + length
            if found != tag or length < 4 or stop > size:
                return position
            step = stop - position
            position = stop
        stop = _after_same(chunk, position, step)
        spell = _SPELL_MIN if stop - position >= _COUNT_MIN * step else min(spell * 2, _SPELL_MAX)
        position = stop


def _after_same(chunk: bytes, position: int, step: int) -> int:
    """Where those end of the whole frames from `position` whose header is that of the one before.

    That one begins `step` bytes before `position`.
    """
    count = _COUNT_MIN
    while True:
        count = min(count, (len(chunk) - position) // step)
        same = _same(chunk, position, step, count)
        position += same * step
        if same < count or not same:
            return position
        count = min(count * 4, _COUNT_MAX)


def _same(chunk: bytes, position: int, step: int, count: int) -> int:
    """How many of the `count` frames from `position` have, one after the other, that header."""
    for place in _PLACES:
        begin = position + place
        wanted = chunk[begin - step : begin - step + 1]
        column = chunk[begin : position + count * step : step]
        if column != wanted * count:
            count -= len(column.lstrip(wanted))
            if not count:
                break
    return count
