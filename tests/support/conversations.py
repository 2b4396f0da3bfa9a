"""Drivers for exchanges: one against another, and one against a socket."""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import TypeVar

from protocol.errors import ServerRefused
from protocol.exchange import Exchange, Message

Ours = TypeVar("Ours")
Theirs = TypeVar("Theirs")


def messages_in(data: bytes) -> list[Message]:
    """The whole messages of which `data` consists."""
    messages: list[Message] = []
    at = 0
    while at < len(data):
        stop = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
        assert stop <= len(data), "the last message is incomplete"
        messages.append((data[at], data[at + 5 : stop]))
        at = stop
    return messages


def one_message(data: bytes) -> Message:
    """The single message that `data` is."""
    [message] = messages_in(data)
    return message


def finish(exchange: Exchange[Ours], *received: bytes) -> tuple[list[bytes], Ours]:
    """Play an exchange against a fixed list of messages: what it sent, and its result."""
    sent = [next(exchange)]
    for message in received:
        try:
            sent.append(exchange.send(one_message(message)))
        except StopIteration as stop:
            result: Ours = stop.value
            return sent, result
    raise AssertionError(f"the exchange waits for more; it sent {sent}")


def result_at_once(exchange: Exchange[Ours]) -> Ours:
    """The result of an exchange that neither sends nor receives."""
    try:
        step = next(exchange)
    except StopIteration as stop:
        result: Ours = stop.value
        return result
    raise AssertionError(f"the exchange sends {step!r}")


def converse(exchange: Exchange[Ours], sock: socket.socket) -> Ours:
    """Play an exchange over a blocking socket."""
    step = next(exchange)
    while True:
        sock.sendall(step)
        try:
            step = exchange.send(receive_message(sock))
        except StopIteration as stop:
            result: Ours = stop.value
            return result


def receive_message(sock: socket.socket) -> Message:
    """The next message, read without taking a byte of the one after it."""
    tag, length = struct.unpack("!BI", receive_exactly(sock, 5))
    return tag, receive_exactly(sock, length - 4)


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes; ConnectionError when the peer closes before."""
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the peer closed the socket")
        data += piece
    return data


def pair(client: Exchange[Ours], server: Exchange[Theirs], ending: bytes) -> tuple[Ours, Theirs]:
    """Let a client log in to a server: the results of both.

    `ending` is what the server sends after its exchange has accepted the client. The startup
    packet, which the client yields first, is left out: authentication begins after it.
    """
    next(client)
    to_client = deque(messages_in(next(server)))
    while True:
        from_client = b""
        while to_client:
            from_client += client.send(to_client.popleft())
        try:
            to_client.extend(messages_in(server.send(one_message(from_client))))
        except StopIteration as stop:
            accepted: Theirs = stop.value
            break
    closing = getattr(accepted, "closing", b"") + ending
    return _drain(client, messages_in(closing)), accepted


def _drain(client: Exchange[Ours], messages: list[Message]) -> Ours:
    for message in messages:
        try:
            assert client.send(message) == b""
        except StopIteration as stop:
            result: Ours = stop.value
            return result
    raise ServerRefused(())
