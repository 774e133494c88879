from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sasl.exchange import OneMessage, SaslError, ScramSha256
from lemonade_wire.sasl.prep import PrepError

# RFC 7677, 3
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(user: str = "user") -> ScramSha256:
    return ScramSha256(user, "pencil", "rOprNGfwEbeRWgbNEkqO")


def test_the_exchange_of_rfc_7677() -> None:
    client = scram()
    assert client.initial == CLIENT_FIRST
    assert client.answer(SERVER_FIRST) == CLIENT_FINAL
    assert not client.complete
    assert client.answer(SERVER_FINAL) == b""
    assert client.complete
    with pytest.raises(SaslError, match="more than SCRAM has"):
        client.answer(b"")


def test_extensions_that_nobody_must_know_are_passed_over() -> None:
    client = scram()
    assert client.answer(SERVER_FIRST + b",x=1").startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%")
    with pytest.raises(SaslError):  # they are signed: the server's proof of RFC 7677 is for another exchange
        client.answer(SERVER_FINAL)


def test_names_are_prepared_and_escaped() -> None:
    assert scram("a,b=c\N{SOFT HYPHEN}").initial == b"n,,n=a=2Cb=3Dc,r=rOprNGfwEbeRWgbNEkqO"
    with pytest.raises(PrepError):
        scram("a\x07")


def test_every_exchange_has_a_nonce_of_its_own() -> None:
    assert ScramSha256("user", "pencil").initial != ScramSha256("user", "pencil").initial


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        (SERVER_FIRST.replace(b"rOprN", b"rOprM"), "nonce"),
        (b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
        (SERVER_FIRST.replace(b"4096", b"4095"), "iterations"),
        (SERVER_FIRST.replace(b"4096", b"600001"), "iterations"),
        (SERVER_FIRST.replace(b"4096", b"0"), "first message"),
        (SERVER_FIRST.replace(b"4096", b"9" * 20), "first message"),
        (b"m=new," + SERVER_FIRST, "first message"),
        (SERVER_FIRST.replace(b"s=W22Z", b"s=W22"), "base64"),
        (b"e=other-error", "first message"),
        (b"", "first message"),
        (b"\xff\xfe", "first message"),
    ],
)
def test_challenges_that_are_not_answered(challenge: bytes, said: str) -> None:
    client = scram()
    with pytest.raises(SaslError, match=said):
        client.answer(challenge)
    assert not client.complete


@pytest.mark.parametrize("final", [SERVER_FINAL.replace(b"6rri", b"6rrj"), b"v=", b"v=AAAA", b"e=invalid-proof", b""])
def test_a_server_that_does_not_know_the_password_is_found_out(final: bytes) -> None:
    client = scram()
    client.answer(SERVER_FIRST)
    with pytest.raises(SaslError, match="does not prove"):
        client.answer(final)
    assert not client.complete


def test_one_message_is_all_that_plain_has() -> None:
    plain = OneMessage(b"\0joe\0secret")
    assert plain.initial == b"\0joe\0secret"
    assert plain.complete
    with pytest.raises(SaslError):
        plain.answer(b"")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=3))
def test_no_octets_complete_an_exchange(challenges: list[bytes]) -> None:
    client = scram()
    for challenge in challenges:
        with contextlib.suppress(SaslError):
            client.answer(challenge)
    assert not client.complete
