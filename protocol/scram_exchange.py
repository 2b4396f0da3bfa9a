"""The four messages of SCRAM-SHA-256, from either side (RFC 5802 section 5 and 7).

ScramServer checks a client, ScramClient logs in to a server. Attributes must come in the
order of the RFC; an extension that demands to be understood (`m=`) is refused. Channel binding
(protocol.channel_binding) ties the proof to the certificate of the TLS connection it is given in;
a client that could bind and was not offered to says so, and that this is true is checked, for
somebody in the middle may have taken the offer away (RFC 5802 section 6).

Invariant: no bytes of the peer's make these raise anything but ProtocolViolation (malformed)
and AuthenticationRefused (well-formed, but we must not go on).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

import attrs

from protocol import channel_binding, scram
from protocol.errors import AuthenticationRefused, ProtocolViolation

# Limit: attribute texts are short; whatever is longer is an attack on our memory or time.
NONCE_BYTES_MAX: Final = 1024
SALT_BYTES_MAX: Final = 1024

Derive = Callable[[bytes, bytes, int], bytes]

_NONCE: Final = re.compile(rb"[\x21-\x2b\x2d-\x7e]+")
# Iterations are strict ASCII digits: int() alone would take signs, spaces and underscores.
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,8}")
_EXTENSION: Final = re.compile(rb"[A-Za-z]=[^,]+")


@attrs.frozen
class ScramLimits:
    """What we accept as a client. Below `iterations_min` a stolen proof is too cheap to
    guess from, above `iterations_max` a server could keep our processor busy at will.
    """

    iterations_min: int = 4096
    iterations_max: int = 100_000


def _malformed(why: str) -> ProtocolViolation:
    return ProtocolViolation(f"malformed SCRAM message ({why})")


def _attribute(parts: list[bytes], letter: bytes) -> bytes:
    """The value of the next attribute, which must be `letter`."""
    if not parts or not parts[0].startswith(letter + b"="):
        raise _malformed(f'attribute "{letter.decode()}" expected')
    return parts.pop(0)[2:]


def _nonce(parts: list[bytes]) -> bytes:
    nonce = _attribute(parts, b"r")
    if not _NONCE.fullmatch(nonce) or len(nonce) > NONCE_BYTES_MAX:
        raise _malformed("invalid nonce")
    return nonce


def _ignore_extensions(parts: list[bytes]) -> None:
    """Optional extensions may follow (RFC 5802 section 5.1); they need only look like it."""
    for part in parts:
        if not _EXTENSION.fullmatch(part):
            raise _malformed("invalid attribute")


class ScramServer:
    """One client's login, seen from the server. Call `challenge`, then `verify`."""

    __slots__ = (
        *("_bare", "_binding", "_bound", "_challenge", "_header", "_nonce", "_verifier"),
        "signature",
    )

    def __init__(
        self,
        verifier: scram.ScramVerifier,
        nonce: bytes,
        binding: bytes | None = None,
        bound: bool = False,
    ) -> None:
        """`nonce` is fresh randomness for this login, at least 18 bytes in base64.

        `binding` is the channel's, if one was offered, and `bound` that the client chose it.
        """
        self._binding = binding
        self._bound = bound and binding is not None
        self._verifier = verifier
        self._nonce = nonce
        self._header = self._bare = self._challenge = b""
        self.signature = b""

    def challenge(self, client_first: bytes) -> bytes:
        """The answer to the client's first message."""
        flag, _, after_flag = client_first.partition(b",")
        authzid, comma, self._bare = after_flag.partition(b",")
        if not comma:
            raise _malformed("incomplete message")
        self._check_flag(flag)
        if authzid:
            raise ProtocolViolation(
                "client uses authorization identity, but it is not supported", "0A000"
            )
        self._header = client_first[: len(client_first) - len(self._bare)]
        parts = self._bare.split(b",")
        if parts[0].startswith(b"m="):
            raise ProtocolViolation("client requires an unsupported SCRAM extension", "0A000")
        # The name is ignored, as the server does: who logs in was said at start-up.
        _attribute(parts, b"n")
        self._nonce = _nonce(parts) + self._nonce
        _ignore_extensions(parts)
        salt = base64.b64encode(self._verifier.salt)
        self._challenge = b"r=%s,s=%s,i=%d" % (self._nonce, salt, self._verifier.iterations)
        return self._challenge

    def verify(self, client_final: bytes) -> scram.ScramKeys | None:
        """The client's keys when its proof is right, None when it is wrong.

        `signature` is then what SASLFinal must carry.
        """
        without_proof, comma, proof = client_final.rpartition(b",p=")
        if not comma:
            raise _malformed('attribute "p" expected')
        parts = without_proof.split(b",")
        channel = _attribute(parts, b"c")
        if not self._bound:
            if channel != base64.b64encode(self._header):
                raise ProtocolViolation(
                    "unexpected SCRAM channel-binding attribute in client-final"
                )
        elif not scram.same(channel, base64.b64encode(self._header + (self._binding or b""))):
            raise ProtocolViolation(
                "SCRAM channel binding check failed",
                "28000",
                "The client met another certificate than this server's.",
            )
        if not scram.same(_nonce(parts), self._nonce):
            raise ProtocolViolation("invalid SCRAM response (nonce does not match)")
        _ignore_extensions(parts)
        auth_message = b",".join([self._bare, self._challenge, without_proof])
        verifier = self._verifier
        key = scram.client_key_from_proof(verifier, auth_message, scram.decode_base64(proof))
        if key is None:
            return None
        signature = scram.server_signature(verifier.server_key, auth_message)
        self.signature = b"v=" + base64.b64encode(signature)
        return scram.ScramKeys(key, verifier.server_key, verifier.salt, verifier.iterations)

    def _check_flag(self, flag: bytes) -> None:
        """Whether the client binds, or why not. Raises ProtocolViolation."""
        if self._bound:
            if not flag.startswith(b"p="):
                raise ProtocolViolation(
                    "client selected SCRAM-SHA-256-PLUS, "
                    "but the SCRAM message does not include channel binding data"
                )
            if flag[2:] != channel_binding.TYPE:
                raise ProtocolViolation("unsupported SCRAM channel-binding type")
        elif flag.startswith(b"p="):
            raise ProtocolViolation(
                "client selected SCRAM-SHA-256 without channel binding, "
                "but the SCRAM message includes channel binding data"
            )
        elif flag == b"y" and self._binding is not None:
            # Hazard: it believes that it was offered none; somebody may have seen to that.
            raise ProtocolViolation(
                "SCRAM channel binding negotiation error",
                "28000",
                "The client supports channel binding and thinks that this server does not.",
            )
        elif flag not in (b"n", b"y"):
            raise _malformed("unexpected channel-binding flag")


class ScramClient:
    """Our login to one server. Send `first`, call `respond`, then `confirm`."""

    __slots__ = (
        *("_auth_message", "_channel", "_derive", "_keys", "_limits", "_nonce", "_secret"),
        *("_bare", "first"),
    )

    def __init__(
        self,
        secret: bytes | scram.ScramKeys,
        nonce: bytes,
        limits: ScramLimits,
        derive: Derive = scram.salted_password,
        binding: bytes | None = None,
        offered: bool = True,
    ) -> None:
        """`secret` is a password or keys; `derive` is only called for a password.

        `binding` is the channel's where we can bind to it; the server has `offered` to, or not.
        """
        header = b"n,,"
        if binding is not None:
            header = b"p=%s,," % channel_binding.TYPE if offered else b"y,,"
        self._channel = base64.b64encode(header + (binding or b"" if offered else b""))
        self._secret = secret
        self._nonce = nonce
        self._limits = limits
        self._derive = derive
        self._keys: scram.ScramKeys | None = None
        self._auth_message = b""
        # The server takes the user from the startup packet and ignores the one given here.
        self._bare = b"n=,r=" + nonce
        self.first = header + self._bare

    def respond(self, server_first: bytes) -> bytes:
        """The answer to the server's challenge. With a password this is the slow step."""
        parts = server_first.split(b",")
        if parts[0].startswith((b"m=", b"e=")):
            raise AuthenticationRefused("the server demands a SCRAM extension or reports an error")
        nonce = _nonce(parts)
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise AuthenticationRefused("the server's SCRAM nonce does not extend ours")
        salt = scram.decode_base64(_attribute(parts, b"s"))
        if not 0 < len(salt) <= SALT_BYTES_MAX:
            raise _malformed("invalid salt")
        iterations = self._check_iterations(_attribute(parts, b"i"))
        _ignore_extensions(parts)
        keys = self._keys = self._keys_for(salt, iterations)
        final = b"c=%s,r=%s" % (self._channel, nonce)
        self._auth_message = b",".join([self._bare, server_first, final])
        proof = scram.client_proof(keys.client_key, self._auth_message)
        return final + b",p=" + base64.b64encode(proof)

    def confirm(self, server_final: bytes) -> None:
        """Check that the server knows the verifier; raises AuthenticationRefused if not."""
        if server_final.startswith(b"e="):
            raise AuthenticationRefused("the server reports that SCRAM authentication failed")
        if self._keys is None:
            raise ProtocolViolation("SCRAM ended before the challenge")
        parts = server_final.split(b",")
        signature = scram.decode_base64(_attribute(parts, b"v"))
        _ignore_extensions(parts)
        expected = scram.server_signature(self._keys.server_key, self._auth_message)
        if not scram.same(signature, expected):
            raise AuthenticationRefused("the server did not prove that it knows the password")

    def _check_iterations(self, text: bytes) -> int:
        if not _NUMBER.fullmatch(text):
            raise _malformed("invalid iteration count")
        iterations = int(text)
        if not self._limits.iterations_min <= iterations <= self._limits.iterations_max:
            raise AuthenticationRefused(
                f"the server's SCRAM iteration count {iterations} is not between "
                f"{self._limits.iterations_min} and {self._limits.iterations_max}"
            )
        return iterations

    def _keys_for(self, salt: bytes, iterations: int) -> scram.ScramKeys:
        secret = self._secret
        if isinstance(secret, bytes):
            salted = self._derive(secret, salt, iterations)
            return scram.keys_from_salted(salted, salt, iterations)
        if (secret.salt, secret.iterations) != (salt, iterations):
            raise AuthenticationRefused(
                "the SCRAM keys belong to another salt or iteration count than the server's",
                hint="Use the server's own verifier for this user, or store the password.",
            )
        return secret
