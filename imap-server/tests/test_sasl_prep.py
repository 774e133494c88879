from __future__ import annotations

import pytest

from lemonade_imap.sasl.messages import PasswordShown, SaslRefused
from lemonade_imap.sasl.plain import read_anonymous, read_plain
from lemonade_imap.sasl.prep import PrepError, saslprep, trace_information


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
