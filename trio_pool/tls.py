"""TLS over a socket that somebody else waits for.

A TlsSocket looks like a non-blocking socket to the wire that holds it: `recv` gives plain bytes
and `send` takes them; where TLS needs the peer first (a handshake), both raise BlockingIOError
like a socket that is not ready. So encrypted and plain connections are turned by the same
switchboard, and the way of a plain one has no branch for this.

Bytes that arrived in the clear never pass for encrypted ones: whoever starts TLS starts with an
empty buffer, or (direct TLS) with the first bytes of the handshake itself.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Final

import trio

_CIPHERTEXT_BYTES: Final = 65_536
# Limit: plain bytes taken for one `send` that the kernel has not taken yet.
_PIECE_BYTES: Final = 262_144
ALPN: Final = "postgresql"


class TlsFailed(OSError):
    """The peer broke the encryption, or what it presented was not accepted."""


class TlsSocket:
    """A non-blocking socket with TLS on it; it owns `sock`."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
        received: bytes = b"",
        unsent: bytes = b"",
    ) -> None:
        """`received` is the beginning of the handshake; `unsent` goes out in the clear first."""
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._incoming.write(received)
        self._leftover = unsent
        # Plain bytes of the last `send` that are encrypted and not wholly sent yet.
        self._owed = 0
        self._shaken = False
        self._ended = False
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )

    @property
    def plain(self) -> socket.socket:
        """The socket beneath."""
        return self._sock

    @property
    def shaken(self) -> bool:
        """The handshake is done."""
        return self._shaken

    @property
    def version(self) -> str:
        """What was agreed upon, as SHOW CLIENTS shows it; empty before the handshake."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()}/{cipher[0]}" if cipher is not None else ""

    @property
    def peer_name(self) -> str | None:
        """The common name in the peer's certificate, which was verified; None without one."""
        certificate = self._tls.getpeercert()
        for part in certificate.get("subject", ()) if certificate else ():
            for pair in part:
                if isinstance(pair, tuple) and pair[0] == "commonName":
                    return str(pair[1])
        return None

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER, verified or not; None without one."""
        return self._tls.getpeercert(binary_form=True)

    @property
    def protocol(self) -> str | None:
        """What ALPN has agreed upon."""
        return self._tls.selected_alpn_protocol()

    def recv(self, size: int) -> bytes:
        """All that has arrived, which may be more than `size`; b"" at the end.

        Raises BlockingIOError when nothing has, and OSError when the connection is broken.
        """
        while not self._ended:
            data = self._advance() if self._incoming.pending else b""
            if data:
                return data
            if self._ended:
                break
            ciphertext = self._sock.recv(max(size, _CIPHERTEXT_BYTES))
            self._ended = not ciphertext
            self._incoming.write(ciphertext)
        return b""

    def take(self, ciphertext: bytes) -> None:
        """Bytes that arrived, read by somebody else."""
        self._incoming.write(ciphertext)

    def _advance(self) -> bytes:
        """The plain bytes in what has arrived. Raises TlsFailed."""
        pieces = []
        try:
            while self.shake() and (piece := self._tls.read(_CIPHERTEXT_BYTES)):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._ended = True
        except ssl.SSLError as failure:
            raise TlsFailed(_explained(failure)) from failure
        finally:
            self._flush()
        return b"".join(pieces)

    def shake(self) -> bool:
        """Go on with the handshake; whether it is done. Raises TlsFailed."""
        if self._shaken:
            return True
        try:
            self._tls.do_handshake()
            self._shaken = True
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as failure:
            raise TlsFailed(_explained(failure)) from failure
        finally:
            # Also after a failure: the alert tells the peer why.
            self._flush()
        return True

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send; how much of `data` is on its way.

        Raises BlockingIOError until the kernel has taken all of it; the caller comes again
        with the same bytes, as after any BlockingIOError.
        """
        if not self._owed:
            if not self.shake():
                raise BlockingIOError
            if len(data):
                self._owed = self._tls.write(data[:_PIECE_BYTES])
        if not self._flush():
            raise BlockingIOError
        sent, self._owed = self._owed, 0
        return sent

    def _flush(self) -> bool:
        """Whether everything that is encrypted has been sent."""
        data = self._leftover + self._outgoing.read() if self._outgoing.pending else self._leftover
        while data:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                break
            data = data[sent:]
        self._leftover = data
        return not data

    # What a socket offers besides.

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""
        self._sock.setblocking(False)

    def close(self) -> None:
        """Close; the peer is told in TLS where that needs no waiting."""
        if self._shaken and self._sock.fileno() >= 0:
            with contextlib.suppress(OSError, ssl.SSLError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                self._flush()
        self._sock.close()


def _explained(failure: ssl.SSLError) -> str:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {failure.verify_message}"
    return failure.reason or str(failure)


class TlsStream(trio.abc.HalfCloseableStream):
    """A TlsSocket that Trio waits for."""

    def __init__(self, sock: TlsSocket) -> None:
        self.sock = sock

    async def handshake(self) -> None:
        """Agree upon the encryption. Raises TlsFailed and OSError."""
        while not self.sock.shake():
            await trio.lowlevel.wait_readable(self.sock.plain)
            with contextlib.suppress(BlockingIOError):
                early = self.sock.plain.recv(_CIPHERTEXT_BYTES)
                if not early:
                    raise TlsFailed("the peer closed the connection in the TLS handshake")
                self.sock.take(early)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Plain bytes; b"" at the end."""
        while True:
            try:
                data = self.sock.recv(max_bytes or _CIPHERTEXT_BYTES)
                await trio.lowlevel.checkpoint()
                return data
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.sock.plain)
            except OSError as failure:
                raise trio.BrokenResourceError from failure

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything."""
        if not self.sock.shaken:
            await self.handshake()
        rest = memoryview(bytes(data))
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.sock.plain)
            except OSError as failure:
                raise trio.BrokenResourceError from failure
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self.sock.plain.shutdown(socket.SHUT_WR)
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes bytes."""
        await trio.lowlevel.wait_writable(self.sock.plain)

    async def aclose(self) -> None:
        """Close the socket."""
        self.sock.close()
        await trio.lowlevel.checkpoint()
