"""Bytes that no honest client sends, by what is wrong with them."""

from __future__ import annotations

import random
import struct
from typing import Final

from protocol import frontend, startup

_NOISE: Final = {
    f"random bytes, seed {seed}": random.Random(seed).randbytes(300) for seed in range(4)
}


def _message(tag: str, body: bytes = b"") -> bytes:
    return tag.encode() + struct.pack("!i", len(body) + 4) + body


def _header(tag: str, length: int) -> bytes:
    return tag.encode() + struct.pack("!i", length)


def _startup(code: int, body: bytes) -> bytes:
    return struct.pack("!ii", len(body) + 8, code) + body


_3_0: Final = 0x30000
_LOGIN: Final = startup.startup_message([(b"user", b"postgres"), (b"database", b"postgres")])

BEFORE_LOGIN: Final = {
    **_NOISE,
    "nothing at all": b"",
    "a packet of length 0": struct.pack("!ii", 0, _3_0),
    "a packet of length 3": struct.pack("!ii", 3, _3_0),
    "a packet of length 7": struct.pack("!i", 7) + b"\0\3\0",
    "a packet of negative length": struct.pack("!ii", -1, _3_0),
    "a packet of two gigabytes": struct.pack("!ii", 0x7FFFFFFF, _3_0) + bytes(1000),
    "a packet of eleven kilobytes": _startup(_3_0, b"user\0" + b"x" * 11_000 + b"\0\0"),
    "half a packet": _LOGIN[:11],
    "a packet without its end": _startup(_3_0, b"user\0postgres\0"),
    "a parameter without a value": _startup(_3_0, b"user\0"),
    "no user": _startup(_3_0, b"database\0postgres\0\0"),
    "no parameters": _startup(_3_0, b"\0"),
    "protocol 2.0": _startup(0x20000, b"\0" * 288),
    "protocol 4.0": _startup(0x40000, b"user\0postgres\0\0"),
    "a web request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "encryption without asking": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "bytes behind a request for encryption": startup.ssl_request() + _LOGIN,
    "two requests for encryption": startup.ssl_request() * 2,
    "many requests for encryption": (startup.gssenc_request() + startup.ssl_request()) * 20,
    "a cancel with a wrong key": startup.cancel_request(1, b"\1\2\3\4"),
    "a cancel without a key": struct.pack("!iii", 12, 80877102, 1),
    "a cancel with a very long key": startup.cancel_request(1, b"k" * 256),
    "an unknown user": startup.startup_message([(b"user", b"no such user")]),
    "a user that is not UTF-8": startup.startup_message([(b"user", b"\xff\xfe")]),
    "a user with a quote": startup.startup_message([(b"user", b"a\"'; drop table t; --")]),
    "a query instead of a password": _LOGIN + frontend.query(b"select 1"),
    "an empty password message": _LOGIN + _message("p"),
    "a password message of a megabyte": _LOGIN + _message("p", b"x" * 1_000_000),
    "an unknown mechanism": _LOGIN + frontend.sasl_initial(b"NONE", b"n,,n=,r=abc"),
    "a SCRAM message of nonsense": _LOGIN + frontend.sasl_initial(b"SCRAM-SHA-256", b"\xff" * 50),
    "a SCRAM message without a nonce": _LOGIN + frontend.sasl_initial(b"SCRAM-SHA-256", b"n,,n="),
    "a SCRAM proof before its challenge": _LOGIN + frontend.sasl_response(b"c=biws,r=a,p=b") * 3,
    "goodbye instead of a password": _LOGIN + frontend.terminate(),
}

# What a server answers and lives on, and what ends the connection, is the server's own affair:
# both are compared with a direct connection.
AFTER_LOGIN: Final = {
    **_NOISE,
    "an unknown message type": _message("!"),
    "a type that only servers send": _message("Z", b"I"),
    "another type that only servers send": _message("R", b"\0\0\0\0"),
    "a row from a client": _message("T", b"\0\0"),
    "a password out of turn": _message("p", b"secret\0"),
    "a message of length 0": _header("Q", 0),
    "a message of length 3": _header("P", 3),
    "a message of negative length": _header("Q", -5),
    "a query of two gigabytes": _header("Q", 0x7FFFFFFF) + b"select 1",
    "a Sync of eleven kilobytes": _message("S", bytes(11_000)),
    "a startup packet": _LOGIN,
    "a query without its end": _message("Q", b"select 1"),
    "a query that ends twice": _message("Q", b"select 1\0select 2\0"),
    "an empty query message": _message("Q"),
    "a Sync with contents": _message("S", b"contents"),
    "a Flush with contents": _message("H", b"x") + frontend.sync(),
    "a Parse without a text": _message("P", b"s\0") + frontend.sync(),
    "a Parse without ends": _message("P", b"s") + frontend.sync(),
    "a Parse of more types than it holds": _message("P", b"s\0select 1\0\x7f\xff")
    + frontend.sync(),
    "a Parse of a negative number of types": (
        _message("P", b"s\0select 1\0\xff\xff") + frontend.sync()
    ),
    "a Parse with contents behind": _message("P", b"s\0select 1\0\0\0more") + frontend.sync(),
    "a Bind of nothing": _message("B") + frontend.sync(),
    "a Bind of more parameters than it holds": (
        frontend.parse(b"s", b"select 1") + _message("B", b"\0s\0\0\0\x7f\xff") + frontend.sync()
    ),
    "a Bind of a parameter longer than it": (
        frontend.parse(b"s", b"select $1::text")
        + _message("B", b"\0s\0\0\0\0\1\x7f\xff\xff\xff\0\0")
        + frontend.sync()
    ),
    "a Describe of neither": _message("D", b"Xs\0") + frontend.sync(),
    "a Describe of nothing": _message("D") + frontend.sync(),
    "a Close of neither": _message("C", b"Xs\0") + frontend.sync(),
    "a Close without its end": _message("C", b"Ss") + frontend.sync(),
    "an Execute without a row count": _message("E", b"\0") + frontend.sync(),
    "a function call of nonsense": _message("F", b"\xff" * 10),
    "a function call of nothing": _message("F"),
    "a name that is not UTF-8": frontend.parse(b"\xff\xff", b"select 1") + frontend.sync(),
    "a text that is not UTF-8": frontend.query(b"select '\xff'"),
    "very deep parentheses": frontend.query(b"select " + b"(" * 100_000),
    "very deep comments": frontend.query(b"prepare s as /*" * 20_000),
    "an unterminated string": frontend.query(b"prepare s as select 'x"),
    "copy data without a copy": frontend.copy_data(b"x" * 100_000) + frontend.copy_done(),
    "a thousand Syncs": frontend.sync() * 1000,
    "goodbye with contents": _message("X", b"and more"),
}

# Messages whose end never comes: the client goes away instead.
UNFINISHED: Final = {
    "half a query": frontend.query(b"select 1, 2, 3")[:-6],
    "half a Bind": frontend.bind(b"", b"s", (), [b"x" * 100_000])[:50_000],
    "a length and nothing else": _header("Q", 100),
    "half a header": b"P\0\0",
    "half a copy": frontend.query(b"copy pg_temp.x from stdin") + _header("d", 1000) + b"1\n",
    "a transaction and half a query": frontend.query(b"begin") + frontend.query(b"select 1")[:-3],
    "a Parse and no Sync": frontend.parse(b"s", b"select 1"),
    "a statement and half a Bind": (
        frontend.parse(b"s", b"select $1::text")
        + frontend.bind(b"", b"s", (), [b"x" * 100_000])[:90_000]
    ),
}
