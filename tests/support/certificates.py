"""Certificates of every kind that a server may have, signed by themselves, for `localhost`."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])


@attrs.frozen
class Certificate:
    """A certificate in DER and PEM, and its key in PEM."""

    der: bytes
    pem: bytes
    key: bytes = attrs.field(repr=False)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The files of the certificate and of its key."""
        chain, key = folder / f"{name}.crt", folder / f"{name}.key"
        chain.write_bytes(self.pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return chain, key


@functools.cache
def certificate(kind: str, signed_with: str = "") -> Certificate:
    """`kind` is rsa, pss (RSA, with the other padding), ecdsa or ed25519, which has no hash."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if kind in ("rsa", "pss"):
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    elif kind == "ecdsa":
        key = ec.generate_private_key(ec.SECP384R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    hashing = _HASHES.get(signed_with)
    pss = None
    if kind == "pss" and hashing is not None:
        pss = padding.PSS(padding.MGF1(hashing), padding.PSS.DIGEST_LENGTH)
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashing, rsa_padding=pss)
    )
    return Certificate(
        made.public_bytes(serialization.Encoding.DER),
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
