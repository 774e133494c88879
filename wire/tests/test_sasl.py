from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire import sasl
from lemonade_wire.sasl import (
    MAX_PREPARED,
    OneMessage,
    PrepError,
    SaslError,
    ScramKeys,
    ScramSha256,
    is_too_long,
    mask,
    saslprep,
    sign,
    trace_information,
)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        # RFC 4013, 3
        ("I\N{SOFT HYPHEN}X", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\N{FEMININE ORDINAL INDICATOR}", "a"),
        ("\N{ROMAN NUMERAL NINE}", "IX"),
        ("a\N{NO-BREAK SPACE}b", "a b"),
        ("", ""),
        ("\N{ARABIC LETTER ALEF}1\N{ARABIC LETTER ALEF}", "\N{ARABIC LETTER ALEF}1\N{ARABIC LETTER ALEF}"),
    ],
)
def test_strings_are_prepared(given: str, made: str) -> None:
    assert saslprep(given) == made


@pytest.mark.parametrize("given", ["\x07", "\N{ARABIC LETTER ALEF}1", "a\N{ARABIC LETTER ALEF}", "\ue000", "\ud800"])
def test_strings_that_are_prohibited(given: str) -> None:
    with pytest.raises(PrepError):
        saslprep(given)


def test_what_unicode_3_2_does_not_know_is_not_stored() -> None:
    assert saslprep("\N{SNOWMAN WITHOUT SNOW}") == "\N{SNOWMAN WITHOUT SNOW}"
    with pytest.raises(PrepError):
        saslprep("\N{SNOWMAN WITHOUT SNOW}", stored=True)


def test_a_trace_is_an_address_or_short() -> None:
    assert trace_information("sirhc") == "sirhc"
    assert trace_information("a" * 300 + "@example.net").endswith(".net")
    assert trace_information("with\N{NO-BREAK SPACE}space") == "with\N{NO-BREAK SPACE}space"
    for prohibited in ("a" * 256, "a\tb", "\ue000"):
        with pytest.raises(PrepError):
            trace_information(prohibited)


MARKS = "a" + "\N{COMBINING ACUTE ACCENT}" * 16383 + "\N{COMBINING TILDE OVERLAY}" * 16383


@pytest.mark.parametrize(
    "text",
    ["a" * 1025, "\N{COMBINING ACUTE ACCENT}" * 513, MARKS, "\ud800" * 342],
    ids=["ascii", "utf-8", "marks", "surrogates"],
)
def test_what_is_too_long_is_refused_before_it_is_prepared(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[int] = []

    def normalised(_form: str, mapped: str) -> str:
        worked.append(len(mapped))
        return mapped

    monkeypatch.setattr(sasl, "_normalised", normalised)
    monkeypatch.setattr(sasl, "_check", lambda checked, _tables: worked.append(len(checked)))
    assert is_too_long(text)
    for prepare in (saslprep, trace_information, lambda password: ScramKeys.make(password, SALT, 1)):
        with pytest.raises(PrepError, match="at most 1024 octets"):
            prepare(text)
    assert worked == []


@pytest.mark.parametrize("text", ["a" * 1024, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 512])
def test_1024_octets_are_prepared(text: str) -> None:
    assert len(text.encode()) == MAX_PREPARED
    assert not is_too_long(text)
    assert saslprep(text) == text


def test_marks_in_the_wrong_order_are_put_in_order() -> None:
    acute, tilde = "\N{COMBINING ACUTE ACCENT}", "\N{COMBINING TILDE OVERLAY}"
    assert saslprep("q" + acute * 255 + tilde * 255) == "q" + tilde * 255 + acute * 255


# RFC 7677, 3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SAID = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
)


def test_the_proofs_of_rfc_7677() -> None:
    keys = ScramKeys.make("pencil", SALT, 4096)
    proof = mask(keys.client, sign(keys.stored, *SAID))
    assert base64.b64encode(proof) == b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert base64.b64encode(sign(keys.server, *SAID)) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert mask(proof, sign(keys.stored, *SAID)) == keys.client


def test_passwords_are_prepared() -> None:
    assert ScramKeys.make("pen\N{SOFT HYPHEN}cil", SALT, 1) == ScramKeys.make("pencil", SALT, 1)


def test_keys_are_not_shown() -> None:
    assert repr(ScramKeys.make("pencil", SALT, 1)) == "ScramKeys()"


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


def test_optional_extensions_are_ignored() -> None:
    client = scram()
    assert client.answer(SERVER_FIRST + b",x=1").startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%")
    # The extensions are part of the AuthMessage, so that the server's signature of RFC 7677 does not match.
    with pytest.raises(SaslError):
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
def test_a_missing_or_wrong_server_signature_is_an_error(final: bytes) -> None:
    client = scram()
    client.answer(SERVER_FIRST)
    with pytest.raises(SaslError, match="does not prove"):
        client.answer(final)
    assert not client.complete


def test_plain_has_only_one_message() -> None:
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
