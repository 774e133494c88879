from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.sasl import (
    ClientFirst,
    PasswordShown,
    SaslRefused,
    ServerFirst,
    mechanisms,
    read_anonymous,
    read_plain,
    why_not,
)


def test_plain_has_three_parts() -> None:
    assert read_plain(b"\0joe\0secret") == PasswordShown("", "joe", "secret")
    assert read_plain(b"ann\0joe\0secret") == PasswordShown("ann", "joe", "secret")
    assert "secret" not in repr(read_plain(b"\0joe\0secret"))
    for malformed in (b"", b"joe\0secret", b"\0\0secret", b"\0joe\0", b"\0joe\0secret\0", b"\0joe\0\xff"):
        with pytest.raises(SaslRefused) as caught:
            read_plain(malformed)
        assert caught.value.result == "BAD"


def test_anonymous_takes_a_trace_or_nothing() -> None:
    assert read_anonymous(b"") == ""
    assert read_anonymous(b"sirhc") == "sirhc"
    with pytest.raises(SaslRefused, match="RFC 4505"):
        read_anonymous(b"a\x01")


OPEN, STRICT = ServerConfig(), ServerConfig(cleartext_login=False)


@pytest.mark.parametrize(
    ("config", "private", "offered"),
    [
        (OPEN, False, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
        (OPEN, True, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
        (STRICT, False, ("SCRAM-SHA-256", "ANONYMOUS")),
        (STRICT, True, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
    ],
)
def test_listed_mechanisms_are_accepted_and_others_refused(
    config: ServerConfig, private: bool, offered: tuple[str, ...]
) -> None:
    assert mechanisms(config, private=private) == offered
    for mechanism in ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS", "GSSAPI"):
        assert (why_not(mechanism, config, private=private) is None) is (mechanism in offered)


def test_a_password_without_tls_is_refused_with_privacyrequired() -> None:
    said = why_not("PLAIN", STRICT, private=False)
    assert said is not None
    assert said.startswith("[PRIVACYREQUIRED] ")


# RFC 7677, 3
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@dataclass(frozen=True)
class Kept:
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def kept(password: str, salt: bytes, iterations: int) -> Kept:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Kept(salt, iterations, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


PENCIL = kept("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
CHEAP = kept("pencil", b"salt", 1)


def asked(message: bytes, verifier: Kept = PENCIL) -> ServerFirst:
    return ServerFirst.answer(ClientFirst.read(message), verifier, NONCE)


def proof(first: bytes, bare: bytes, verifier: Kept, password: str = "pencil", nonce: str = NONCE) -> bytes:  # noqa: S107
    """Return the client's final message without extensions."""
    server = asked(first, verifier).message
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), verifier.salt, verifier.iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    own = first.split(b",", 2)[2]
    signature = hmac.digest(hashlib.sha256(client_key).digest(), b",".join((own, server, bare)), "sha256")
    return bare + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))


LONG = "\N{COMBINING ACUTE ACCENT}" * 513


@pytest.mark.parametrize("parts", [(LONG, "joe", "secret"), ("", LONG, "secret"), ("", "joe", LONG)])
def test_plain_with_more_than_1024_octets_is_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(SaslRefused, match="AUTHENTICATIONFAILED") as caught:
        read_plain("\0".join(parts).encode())
    assert caught.value.result == "NO"
    assert read_plain(f"\0{LONG[:512]}\0{LONG[:512]}".encode()).name == LONG[:512]


@pytest.mark.parametrize("message", [f"n,a={LONG},n=joe,r=abc", f"n,,n={LONG},r=abc"])
def test_a_name_of_more_than_1024_octets_is_refused_in_scram(message: str) -> None:
    with pytest.raises(SaslRefused, match="AUTHENTICATIONFAILED"):
        ClientFirst.read(message.encode())


def test_a_trace_of_more_than_1024_octets_is_refused() -> None:
    with pytest.raises(SaslRefused, match="1024 octets"):
        read_anonymous(b"@" * 1025)
    assert read_anonymous(b"@" * 1024) == "@" * 1024


def test_the_exchange_of_rfc_7677() -> None:
    server = asked(CLIENT_FIRST)
    assert server.message == SERVER_FIRST
    assert server.finish(CLIENT_FINAL) == SERVER_FINAL
    assert server.first.name == "user"
    assert server.first.authorise == ""


def test_names_are_unescaped_and_prepared_by_saslprep() -> None:
    first = ClientFirst.read("y,a=other=3D=2Cone,n=a=2Cb=3Dc\N{SOFT HYPHEN},r=x".encode())
    assert (first.name, first.authorise) == ("a,b=c", "other=,one")


@pytest.mark.parametrize("flag", [b"n", b"y"])
def test_the_header_of_the_first_message_is_bound_to_the_last(flag: bytes) -> None:
    first = flag + b",a=joe,n=user,r=abc"
    nonce = b"abc" + NONCE.encode()
    binding = base64.b64encode(flag + b",a=joe,")
    assert asked(first, CHEAP).finish(proof(first, b"c=" + binding + b",r=" + nonce, CHEAP)).startswith(b"v=")
    other = base64.b64encode((b"y" if flag == b"n" else b"n") + b",a=joe,")
    with pytest.raises(SaslRefused, match="AUTHENTICATIONFAILED"):
        asked(first, CHEAP).finish(proof(first, b"c=" + other + b",r=" + nonce, CHEAP))


def test_optional_extensions_are_signed_and_ignored() -> None:
    first = b"n,,n=user,r=abc,z=1"
    assert asked(first, CHEAP).finish(proof(first, b"c=biws,r=abc" + NONCE.encode() + b",y=2", CHEAP))


@pytest.mark.parametrize(
    ("message", "result", "said"),
    [
        (b"p=tls-unique,,n=user,r=abc", "NO", "channel binding"),
        (b"n,,m=new,n=user,r=abc", "NO", "extension"),
        (b"n,,n=us\xc2\xa0er\x07,r=abc", "NO", "AUTHENTICATIONFAILED"),
        (b"n,,n=user,r=", "BAD", "first message"),
        (b"n,,n=,r=abc", "BAD", "first message"),
        (b"n,,n=us=2cer,r=abc", "BAD", "first message"),
        (b"n,n=user,r=abc", "BAD", "first message"),
        (b"x,,n=user,r=abc", "BAD", "first message"),
        (b"n,,r=abc,n=user", "BAD", "first message"),
        (b"n,,n=user,r=a\xc3\xa9", "BAD", "first message"),
        (b"n,,n=us\0er,r=abc", "BAD", "first message"),
        (b"\xff", "BAD", "UTF-8"),
        (b"", "BAD", "first message"),
    ],
)
def test_invalid_first_messages_are_refused(message: bytes, result: str, said: str) -> None:
    with pytest.raises(SaslRefused, match=said) as caught:
        ClientFirst.read(message)
    assert caught.value.result == result


NONCES = b"rOprNGfwEbeRWgbNEkqO" + NONCE.encode()


@pytest.mark.parametrize(
    ("message", "result"),
    [
        (CLIENT_FINAL.replace(b"p=dHz", b"p=dHy"), "NO"),
        (b"c=biws,r=" + NONCES + b",p=AAAA", "NO"),
        (b"c=biws,r=" + NONCES + b",p=" + base64.b64encode(bytes(33)), "NO"),
        (CLIENT_FINAL.replace(b"hNlF", b"hNlG"), "NO"),
        (CLIENT_FINAL.replace(b"biws", b"eSws"), "NO"),
        (b"c=biws,r=" + NONCES + b",p=A", "BAD"),
        (b"c=biws,r=" + NONCES, "BAD"),
        (b"", "BAD"),
    ],
)
def test_invalid_final_messages_are_refused(message: bytes, result: str) -> None:
    with pytest.raises(SaslRefused) as caught:
        asked(CLIENT_FIRST).finish(message)
    assert caught.value.result == result


def test_a_verifier_of_zeros_accepts_no_proof() -> None:
    decoy = Kept(b"salt", 1, bytes(32), bytes(32))
    first = b"n,,n=user,r=abc"
    with pytest.raises(SaslRefused, match="AUTHENTICATIONFAILED"):
        asked(first, decoy).finish(proof(first, b"c=biws,r=abc" + NONCE.encode(), decoy))


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_octets_are_parsed_or_refused(first: bytes, last: bytes) -> None:
    with contextlib.suppress(SaslRefused):
        ClientFirst.read(first)
    with pytest.raises(SaslRefused):
        asked(CLIENT_FIRST).finish(last)


def test_secrets_are_not_shown() -> None:
    shown = repr(asked(CLIENT_FIRST))
    assert "hvYDp" not in shown
    assert "stored_key" not in shown
