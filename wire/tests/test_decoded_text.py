from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.decoded_text import DecodedText, TooDeepError, decode_spellings, find_encoded
from lemonade_wire.testing.spellings import SPELLINGS, TICKET, spell_too_deeply

URL = TICKET.replace("=20", "=x")  # `=20` is a blank in quoted-printable
PLAIN = [
    name for name in SPELLINGS if not name.startswith(("base64", "hexadecimal digits", "UTF-16", "lower", "mixed"))
]


@pytest.mark.parametrize("name", PLAIN)
def test_a_spelling_is_decoded(name: str) -> None:
    assert decode_spellings(SPELLINGS[name](URL)) == URL


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name.startswith(("base64", "hexadecimal digits"))])
def test_a_word_is_decoded(name: str) -> None:
    written = f"a {SPELLINGS[name](URL)}\r\n b"
    found = [(written[at:end], decode_spellings(text)) for at, end, text in find_encoded(written)]
    assert any(URL in text for _, text in found)
    assert {word for word, _ in found} == {SPELLINGS[name](URL)}


def test_each_character_has_its_place() -> None:
    decoded = DecodedText.of("a&#58;b%253ac\\u003ad")
    assert decoded.text == "a:b:c:d"
    assert decoded.starts == [0, 1, 6, 7, 12, 13, 19, 20]


@pytest.mark.parametrize("text", ["&nbsp;", "&#9999999;", "%zz", "=zz", "100 %", "a=b&c=d", "a\\"])
def test_what_means_nothing_stays(text: str) -> None:
    assert decode_spellings(text) == DecodedText.of(text).text == text


def test_a_text_with_too_many_spellings_is_refused() -> None:
    text = spell_too_deeply(":")
    with pytest.raises(TooDeepError):
        decode_spellings(text)
    with pytest.raises(TooDeepError):
        DecodedText.of(text)


@given(st.text(alphabet="ab:%25&amp#x3;\\u=\r\n\0<![CDATA[]]>", max_size=120))
def test_both_ways_of_decoding_agree(text: str) -> None:
    try:
        decoded = DecodedText.of(text)
    except TooDeepError:
        with pytest.raises(TooDeepError):
            decode_spellings(text)
        return
    assert decoded.text == decode_spellings(text)
    assert len(decoded.starts) == len(decoded.text) + 1
    assert decoded.starts == sorted(set(decoded.starts))
    assert decoded.starts[-1] == len(text)
