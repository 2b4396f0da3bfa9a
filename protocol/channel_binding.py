"""What ties a login to the TLS connection it happens in: `tls-server-end-point` (RFC 5929).

Both sides put a digest of the server's certificate into their SCRAM proof (SCRAM-SHA-256-PLUS,
RFC 5802 section 6), so that whoever ends TLS in the middle with another certificate cannot pass the
proof on. The digest is made with the hash of the certificate's own signature, SHA-256 in the place
of MD5 and SHA-1.

Of a certificate (RFC 5280) only the algorithm of its signature is read. One whose algorithm says no
single hash (Ed25519) has no such binding, as with libpq and PostgreSQL.
"""

from __future__ import annotations

import hashlib
from typing import Final

TYPE: Final = b"tls-server-end-point"

_SEQUENCE: Final = 0x30
_OBJECT_ID: Final = 0x06
# RSASSA-PSS-params: the hash stands behind this tag, and is SHA-1 where it is left out (RFC 4055).
_PSS_HASH: Final = 0xA0
_PSS: Final = "2a864886f70d01010a"
_HASHES: Final = {
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption
    "2a864886f70d010105": "sha256",  # sha1WithRSAEncryption
    "2a864886f70d01010e": "sha224",
    "2a864886f70d01010b": "sha256",
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a8648ce3d0401": "sha256",  # ecdsa-with-SHA1
    "2a8648ce3d040301": "sha224",
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
}
_PSS_HASHES: Final = {
    "2b0e03021a": "sha256",  # SHA-1
    "608648016503040204": "sha224",
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
}


def end_point_binding(certificate: bytes) -> bytes | None:
    """The binding data for a server's certificate in DER; None when it has none."""
    try:
        name = _hash_name(certificate)
    except (IndexError, ValueError):
        # No certificate at all: nothing can be bound to it.
        return None
    return None if name is None else hashlib.new(name, certificate).digest()


def _hash_name(certificate: bytes) -> str | None:
    fields, _ = _value(certificate, _SEQUENCE)
    _, behind_what_is_signed = _value(fields, _SEQUENCE)
    algorithm, _ = _value(behind_what_is_signed, _SEQUENCE)
    identifier, parameters = _value(algorithm, _OBJECT_ID)
    if identifier.hex() != _PSS:
        return _HASHES.get(identifier.hex())
    chosen, _ = _value(parameters, _SEQUENCE)
    if chosen[:1] != bytes([_PSS_HASH]):
        return "sha256"
    wrapped, _ = _value(chosen, _PSS_HASH)
    hashing, _ = _value(wrapped, _SEQUENCE)
    identifier, _ = _value(hashing, _OBJECT_ID)
    return _PSS_HASHES.get(identifier.hex())


def _value(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of a DER value that has this tag, and what follows it.

    Raises ValueError and IndexError when there is none.
    """
    if data[0] != tag:
        raise ValueError("another type of value")
    start, size = 2, data[1]
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise ValueError("cut short")
    return data[start : start + size], data[start + size :]
