"""What a run of alike frames is, said as plainly as possible."""

from __future__ import annotations


def end_of_run(chunk: bytes, position: int) -> int:
    """Where the run of whole frames ends that have the tag of the one at `position`."""
    tag = chunk[position]
    while position + 5 <= len(chunk) and chunk[position] == tag:
        length = int.from_bytes(chunk[position + 1 : position + 5], "big")
        if length < 4 or position + 1 + length > len(chunk):
            break
        position += 1 + length
    return position
