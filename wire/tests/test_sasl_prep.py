from __future__ import annotations

import pytest

from lemonade_wire.sasl.prep import PrepError, saslprep, trace_information


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
