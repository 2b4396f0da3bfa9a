"""What a server said, as plain tuples that compare and print well.

A reply is a tuple whose first item is the message's type letter; the rest are its decoded
essentials. Decoding here is deliberately independent of `protocol`: the product is judged by
these tuples, so they must not share its mistakes.
"""

from __future__ import annotations

import struct

Reply = tuple[object, ...]

# What a run ends with when the peer did not say what was awaited.
CLOSED: Reply = ("closed",)
SILENT: Reply = ("silent",)


def decode_reply(letter: str, body: bytes) -> Reply:
    """The reply as a tuple; an unknown letter keeps its body as it came."""
    if letter in "123nsIcW":
        return (letter,)
    if letter in "CZ":
        return (letter, body.rstrip(b"\0").decode())
    if letter in "EN":
        return (letter, *_fields(body))
    decode = {
        "T": _row_description,
        "t": _parameter_description,
        "D": _data_row,
        "G": _copy_response,
        "H": _copy_response,
        "S": _parameter_status,
        "A": _notification,
        "V": _function_result,
    }.get(letter)
    return (letter, body) if decode is None else (letter, *decode(body))


def replies_in(data: bytes) -> list[Reply]:
    """The messages in a server's bytes, which must be whole."""
    replies: list[Reply] = []
    while data:
        stop = 1 + int.from_bytes(data[1:5], "big")
        replies.append(decode_reply(chr(data[0]), data[5:stop]))
        data = data[stop:]
    return replies


def field(reply: Reply, letter: str) -> str | None:
    """A field of an ErrorResponse or NoticeResponse, by its letter."""
    for item in reply[1:]:
        if isinstance(item, tuple) and item[0] == letter:
            return str(item[1])
    return None


def letters(replies: list[Reply]) -> str:
    """The message types only, such as `1 2 D C Z`; without ParameterStatus, which may come late."""
    return " ".join(str(reply[0]) for reply in replies if reply[0] != "S")


def _fields(body: bytes) -> list[object]:
    parts = body.rstrip(b"\0").split(b"\0")
    return [(chr(part[0]), part[1:].decode("utf-8", "replace")) for part in parts if part]


def _row_description(body: bytes) -> list[object]:
    (count,) = struct.unpack_from("!h", body)
    at = 2
    columns: list[object] = []
    for _ in range(count):
        end = body.index(0, at)
        table, number, oid, size, modifier, code = struct.unpack_from("!ihihih", body, end + 1)
        columns.append(
            (
                body[at:end].decode("utf-8", "replace"),
                bool(table),
                number,
                oid,
                size,
                modifier,
                code,
            )
        )
        at = end + 19
    return columns


def _parameter_description(body: bytes) -> list[object]:
    (count,) = struct.unpack_from("!H", body)
    return list(struct.unpack_from(f"!{count}i", body, 2))


def _data_row(body: bytes) -> list[object]:
    (count,) = struct.unpack_from("!H", body)
    at = 2
    values: list[object] = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if size < 0 else body[at : at + size])
        at += max(size, 0)
    return values


def _copy_response(body: bytes) -> list[object]:
    overall, count = struct.unpack_from("!bh", body)
    return [overall, struct.unpack_from(f"!{count}h", body, 3)]


def _parameter_status(body: bytes) -> list[object]:
    name, value, _ = body.split(b"\0")
    return [name.decode(), value.decode("utf-8", "replace")]


def _notification(body: bytes) -> list[object]:
    channel, payload, _ = body[4:].split(b"\0")
    return [channel.decode(), payload.decode()]


def _function_result(body: bytes) -> list[object]:
    (size,) = struct.unpack_from("!i", body)
    return [None if size < 0 else body[4:]]
