"""client_tls_* and server_tls_*: contexts made from what the configuration says.

Made once per configuration, so that a reload that cannot read a certificate is refused as a
whole. Names and defaults are PgBouncer's; `secure` protocols are TLS 1.2 and newer.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import attrs

from protocol.channel_binding import end_point_binding
from trio_pool.config import ConfigError, Settings, TlsMode
from trio_pool.tls import ALPN

_VERSIONS: Final = {
    "tlsv1.0": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_GROUPS: Final = {
    "secure": ("tlsv1.2", "tlsv1.3"),
    "default": ("tlsv1.2", "tlsv1.3"),
    "all": tuple(_VERSIONS),
    "legacy": tuple(_VERSIONS),
}
_VERIFIED: Final = (TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL)


@attrs.frozen(eq=False)
class Encryption:
    """The contexts of one configuration; `client` is None when clients are offered no TLS.

    `binding` is what clients can bind their proofs to: it belongs to our own certificate.
    """

    client: ssl.SSLContext | None
    server: ssl.SSLContext | None
    binding: bytes | None = None


NO_ENCRYPTION: Final = Encryption(None, None)


def encryption_of(settings: Settings) -> Encryption:
    """Read certificates and keys. Raises ConfigError naming the setting that is at fault."""
    client = _for_clients(settings)
    binding = None if client is None else _binding(settings.client_tls_cert_file)
    return Encryption(client, _for_servers(settings), binding)


def _binding(file: str) -> bytes | None:
    """Of the first certificate in the file, which is the one that is shown."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    # Why without looking for errors: OpenSSL has read the file already.
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    _, _, first = text.partition(begin)
    return end_point_binding(ssl.PEM_cert_to_DER_cert(begin + first.partition(end)[0] + end))


def _for_clients(settings: Settings) -> ssl.SSLContext | None:
    mode = settings.client_tls_sslmode
    if mode is TlsMode.DISABLE:
        return None
    if not settings.client_tls_key_file or not settings.client_tls_cert_file:
        raise ConfigError(
            f"client_tls_sslmode = {mode.value} needs a certificate and its key",
            hint="set client_tls_cert_file and client_tls_key_file",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_identity(context, settings.client_tls_cert_file, settings.client_tls_key_file, "client")
    if settings.client_tls_ca_file:
        _load_authorities(context, settings.client_tls_ca_file, "client")
        context.verify_mode = ssl.CERT_OPTIONAL
    if mode in _VERIFIED:
        if not settings.client_tls_ca_file:
            raise ConfigError(f"client_tls_sslmode = {mode.value} needs client_tls_ca_file")
        context.verify_mode = ssl.CERT_REQUIRED
    _set_protocols(context, settings.client_tls_protocols, "client")
    _set_ciphers(context, settings.client_tls_ciphers, "client")
    _set_key_exchange(context, settings)
    context.set_alpn_protocols([ALPN])
    return context


def _for_servers(settings: Settings) -> ssl.SSLContext | None:
    mode = settings.server_tls_sslmode
    if mode is TlsMode.DISABLE:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode is TlsMode.VERIFY_FULL
    context.verify_mode = ssl.CERT_REQUIRED if mode in _VERIFIED else ssl.CERT_NONE
    if mode in _VERIFIED:
        if settings.server_tls_ca_file:
            _load_authorities(context, settings.server_tls_ca_file, "server")
        else:
            context.load_default_certs()
    if settings.server_tls_cert_file:
        key = settings.server_tls_key_file or settings.server_tls_cert_file
        _load_identity(context, settings.server_tls_cert_file, key, "server")
    _set_protocols(context, settings.server_tls_protocols, "server")
    _set_ciphers(context, settings.server_tls_ciphers, "server")
    context.set_alpn_protocols([ALPN])
    return context


def _load_identity(context: ssl.SSLContext, certificate: str, key: str, side: str) -> None:
    try:
        # Why a password: without one OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as failure:
        raise ConfigError(
            f"{side}_tls_cert_file {certificate} and {side}_tls_key_file {key}: {failure}"
        ) from None


def _load_authorities(context: ssl.SSLContext, file: str, side: str) -> None:
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as failure:
        raise ConfigError(f"{side}_tls_ca_file {file}: {failure}") from None


def _set_protocols(context: ssl.SSLContext, text: str, side: str) -> None:
    names: list[str] = []
    for word in text.lower().replace(":", ",").split(","):
        names += _GROUPS.get(word.strip(), (word.strip(),))
    try:
        versions = sorted(_VERSIONS[name] for name in names)
    except KeyError as unknown:
        raise ConfigError(
            f"{side}_tls_protocols: {unknown.args[0]} is no protocol",
            hint=f"use {', '.join([*_GROUPS, *_VERSIONS])}",
        ) from None
    context.minimum_version, context.maximum_version = versions[0], versions[-1]


def _set_key_exchange(context: ssl.SSLContext, settings: Settings) -> None:
    """The curve and the Diffie-Hellman group of clients; OpenSSL chooses well by itself."""
    curve, parameters = settings.client_tls_ecdhcurve, settings.client_tls_dheparams
    try:
        if curve not in ("auto", "none", ""):
            context.set_ecdh_curve(curve)
    except ValueError:
        raise ConfigError(f"client_tls_ecdhcurve = {curve}: no such curve") from None
    try:
        if parameters not in ("auto", "legacy", "none", ""):
            context.load_dh_params(parameters)
    except (OSError, ssl.SSLError) as failure:
        raise ConfigError(f"client_tls_dheparams = {parameters}: {failure}") from None


def _set_ciphers(context: ssl.SSLContext, text: str, side: str) -> None:
    if text in ("default", "secure", ""):
        return
    try:
        context.set_ciphers({"normal": "DEFAULT", "fast": "DEFAULT", "all": "ALL"}.get(text, text))
    except ssl.SSLError:
        raise ConfigError(f"{side}_tls_ciphers = {text}: no such ciphers") from None
