"""Channel binding: which digest a certificate stands for, and who refuses what."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import backend, frontend, scram
from protocol.auth import AuthMethod, authenticate
from protocol.channel_binding import end_point_binding
from protocol.errors import AuthenticationRefused, ProtocolViolation
from protocol.handshake import Credentials, LoginPolicy, log_in
from protocol.scram_exchange import ScramClient, ScramLimits, ScramServer
from protocol.stored_secrets import PlainSecret
from tests.support.certificates import certificate
from tests.support.conversations import one_message

KEYS = scram.keys_from_salted(b"what PBKDF2 would give", b"0123456789abcdef", 4096)
VERIFIER = scram.verifier_from_keys(KEYS)
MECHANISMS = [scram.MECHANISM_PLUS, scram.MECHANISM]


@pytest.mark.parametrize(
    ("kind", "signed_with", "digest"),
    [
        ("rsa", "sha256", "sha256"),
        ("rsa", "sha384", "sha384"),
        ("rsa", "sha512", "sha512"),
        ("ecdsa", "sha256", "sha256"),
        ("ecdsa", "sha384", "sha384"),
        ("ecdsa", "sha512", "sha512"),
        ("pss", "sha256", "sha256"),
        ("pss", "sha384", "sha384"),
        ("ed25519", "", ""),
    ],
)
def test_the_hash_is_that_of_the_certificates_signature(
    kind: str, signed_with: str, digest: str
) -> None:
    made = certificate(kind, signed_with).der

    assert end_point_binding(made) == (hashlib.new(digest, made).digest() if digest else None)


def test_weak_hashes_are_replaced_by_sha256() -> None:
    # The signature algorithm, as it is written twice in a certificate that was signed by SHA-256.
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    weak = certificate("rsa", "sha256").der.replace(sha256, sha1)

    assert end_point_binding(weak) == hashlib.sha256(weak).digest()


@given(st.binary(max_size=40))
def test_what_is_no_certificate_has_no_binding(data: bytes) -> None:
    assert end_point_binding(data) is None


@given(st.data())
def test_a_mutilated_certificate_raises_nothing(data: st.DataObject) -> None:
    whole = certificate("pss", "sha384").der
    at = data.draw(st.integers(0, len(whole) - 1))
    end_point_binding(whole[:at])
    end_point_binding(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])


def talk(ours: ScramClient, theirs: ScramServer) -> scram.ScramKeys | None:
    return theirs.verify(ours.respond(theirs.challenge(ours.first)))


def client(binding: bytes | None, offered: bool = True) -> ScramClient:
    return ScramClient(KEYS, b"cnonce", ScramLimits(), binding=binding, offered=offered)


def test_both_ends_of_one_channel_agree() -> None:
    ours, theirs = client(b"here"), ScramServer(VERIFIER, b"snonce", b"here", bound=True)

    assert ours.first == b"p=tls-server-end-point,,n=,r=cnonce"
    assert talk(ours, theirs) == KEYS
    ours.confirm(theirs.signature)


def test_a_proof_for_another_channel_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="channel binding check failed") as refused:
        talk(client(b"there"), ScramServer(VERIFIER, b"snonce", b"here", bound=True))
    assert refused.value.sqlstate == "28000"


def test_a_client_that_was_not_offered_what_we_offered_is_refused() -> None:
    """Somebody in the middle has taken SCRAM-SHA-256-PLUS out of the offer."""
    ours = client(b"here", offered=False)
    assert ours.first == b"y,,n=,r=cnonce"

    with pytest.raises(ProtocolViolation, match="channel binding negotiation error") as refused:
        talk(ours, ScramServer(VERIFIER, b"snonce", b"here"))
    assert refused.value.sqlstate == "28000"


def test_a_client_that_was_offered_nothing_may_say_so() -> None:
    assert talk(client(b"here", offered=False), ScramServer(VERIFIER, b"snonce")) == KEYS


def test_a_client_that_cannot_bind_comes_in_unbound() -> None:
    assert talk(client(None), ScramServer(VERIFIER, b"snonce", b"here")) == KEYS


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"n,,n=,r=cnonce", "does not include channel binding data"),
        (b"y,,n=,r=cnonce", "does not include channel binding data"),
        (b"p=tls-unique,,n=,r=cnonce", "unsupported SCRAM channel-binding type"),
    ],
)
def test_who_chose_to_bind_must_do_it(first: bytes, says: str) -> None:
    with pytest.raises(ProtocolViolation, match=says):
        ScramServer(VERIFIER, b"snonce", b"here", bound=True).challenge(first)


@pytest.mark.parametrize(("binding", "offered"), [(None, [scram.MECHANISM]), (b"here", MECHANISMS)])
@pytest.mark.parametrize("secret", [VERIFIER, None])
def test_it_is_offered_where_there_is_a_channel_to_bind_to_and_nowhere_else(
    binding: bytes | None, offered: list[bytes], secret: scram.ScramVerifier | None
) -> None:
    exchange = authenticate(
        AuthMethod.SCRAM, b"u", secret, random_bytes=bytes, mock_key=b"mock", binding=binding
    )

    assert next(exchange) == backend.authentication_sasl(offered)
    if binding is None:
        chosen = frontend.sasl_initial(scram.MECHANISM_PLUS, client(b"here").first)
        with pytest.raises(ProtocolViolation, match="invalid SASL authentication mechanism"):
            exchange.send(one_message(chosen))


@pytest.mark.parametrize(
    ("policy", "mechanisms", "answer"),
    [
        (LoginPolicy(binding=b"here"), MECHANISMS, (scram.MECHANISM_PLUS, b"p=")),
        (LoginPolicy(binding=b"here"), [scram.MECHANISM], (scram.MECHANISM, b"y,")),
        (LoginPolicy(), MECHANISMS, (scram.MECHANISM, b"n,")),
        (LoginPolicy(), [scram.MECHANISM], (scram.MECHANISM, b"n,")),
        (
            LoginPolicy(binding=b"here", binding_required=True),
            MECHANISMS,
            (scram.MECHANISM_PLUS, b"p="),
        ),
    ],
)
def test_we_bind_where_we_can_and_say_so_where_we_could(
    policy: LoginPolicy, mechanisms: list[bytes], answer: tuple[bytes, bytes]
) -> None:
    exchange = log_in(Credentials(b"u", PlainSecret(b"pw")), [], nonce=b"n" * 24, policy=policy)
    next(exchange)
    said = exchange.send(one_message(backend.authentication_sasl(mechanisms)))
    initial = frontend.decode_sasl_initial(one_message(said)[1])

    assert (initial.mechanism, (initial.data or b"")[:2]) == answer


@pytest.mark.parametrize("binding", [None, b"here"])
@pytest.mark.parametrize(
    "demand",
    [
        backend.authentication_ok(),
        backend.authentication_cleartext_password(),
        backend.authentication_md5_password(b"salt"),
        backend.authentication_sasl([scram.MECHANISM]),
    ],
)
def test_where_it_is_required_no_other_proof_is_given_and_none_is_too_little(
    binding: bytes | None, demand: bytes
) -> None:
    policy = LoginPolicy(binding=binding, binding_required=True)
    exchange = log_in(Credentials(b"u", PlainSecret(b"pw")), [], nonce=b"n" * 24, policy=policy)
    next(exchange)
    with pytest.raises(AuthenticationRefused, match="channel binding is required"):
        exchange.send(one_message(demand))
