from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.redaction import FINGERPRINT, UNREADABLE, Redactor
from lemonade_wire.testing.spellings import PASSWORD, SPELLINGS, TICKET, shown_forms, spell_too_deeply
from lemonade_wire.testing.spellings import TOKEN as MARKED

if TYPE_CHECKING:
    from collections.abc import Callable

REDACTOR = Redactor("salt")
TOKEN = "01ab" * 8
MARK = REDACTOR.fingerprint(TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "imap://h/a;URLAUTH=anonymous:INTERNAL:{}",
        '"imap://h/a;urlauth=x:internal:{}" BINARY',
        "sip:annc@h;play=imap://h/a%3AINTERNAL%3A{};x=y",
        "sip:annc@h;play=imap://h/a%253ainternal%253a{} SIP/2.0",
        "<audio url='imap://h/a:Internal:{}'/>",
        "%3a%69%4E%54%45%52%4e%41%4c%3A{}",
    ],
)
def test_a_token_becomes_its_fingerprint(text: str) -> None:
    clean = REDACTOR.text(text.format(TOKEN))
    assert clean == text.format(MARK)
    assert REDACTOR.text(clean) == clean
    assert FINGERPRINT.fullmatch(MARK)


def test_encodings_of_a_token_have_one_fingerprint() -> None:
    assert REDACTOR.fingerprint("%2530" + TOKEN[1:]) == REDACTOR.fingerprint("%30" + TOKEN[1:]) == MARK


def test_salts_and_tokens_differ() -> None:
    assert len({MARK, REDACTOR.fingerprint("x"), Redactor("other").fingerprint(TOKEN)}) == 3


def test_other_text_is_unchanged() -> None:
    assert REDACTOR.text("GENURLAUTH x INTERNAL :INTERNAL: y") == "GENURLAUTH x INTERNAL :INTERNAL: y"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_token_in_utf_16_is_found(encoding: str) -> None:
    text = f"imap://h/a:INTERNAL:{TOKEN}".encode(encoding).decode(errors="replace")
    clean = REDACTOR.text(text)
    assert clean.endswith(f"imap://h/a:INTERNAL:{MARK}")
    assert REDACTOR.text(clean) == clean


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("around", ["{}", 'url="{}" x', "<sip:annc@h;play={};x=y>", "a NO ({})\r\nb", "({})"])
def test_no_spelling_of_a_ticket_is_shown(spell: Callable[[str], str], around: str) -> None:
    clean = REDACTOR.text(around.format(spell(TICKET)))
    assert shown_forms(clean.encode(), MARKED) == []
    assert spell(MARKED) not in clean
    assert REDACTOR.text(clean) == clean
    assert clean.startswith(around.partition("{")[0].removesuffix("play="))
    assert clean.endswith(around.rpartition("}")[2])


@pytest.mark.parametrize("outer", ["UTF-16", "base64", "percent-encoded", "hexadecimal references"])
@pytest.mark.parametrize("inner", SPELLINGS.values(), ids=SPELLINGS)
def test_no_spelling_of_a_spelling_is_shown(outer: str, inner: Callable[[str], str]) -> None:
    written = SPELLINGS[outer](f'url="{inner(TICKET)}"')
    clean = REDACTOR.text(written)
    assert clean != written
    assert shown_forms(clean.encode(), MARKED) == []
    assert inner(MARKED) not in clean


@pytest.mark.parametrize("name", [name for name in SPELLINGS if not name.startswith(("base64", "hexadecimal digits"))])
def test_all_spellings_of_a_token_have_one_fingerprint(name: str) -> None:
    clean = REDACTOR.text(f'"{SPELLINGS[name](TICKET)}"')
    assert FINGERPRINT.findall(clean) == [REDACTOR.fingerprint(MARKED)]


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name != "base64 of percent-encoding"])
@pytest.mark.parametrize("around", ["{}", "login failed for joe:{}.", '"{}"'])
def test_no_spelling_of_a_known_password_is_shown(name: str, around: str) -> None:
    spell = SPELLINGS[name]
    redactor = Redactor("salt")
    redactor.hide(PASSWORD)
    clean = redactor.text(around.format(spell(PASSWORD)))
    assert shown_forms(clean.encode(), PASSWORD) == []
    assert spell(PASSWORD) not in clean
    assert redactor.text(clean) == clean


@pytest.mark.parametrize("password", ["s", "a%41b", "b\\c", "\u00e9t\u00e9", "x&amp;y", "\ud800", "a b", "**"])
def test_a_password_with_any_characters_is_hidden(password: str) -> None:
    redactor = Redactor("salt")
    redactor.hide(password)
    assert redactor.text(f"said <{password}> to") == "said <***> to"


def test_a_known_password_between_nuls_is_hidden() -> None:
    redactor = Redactor("salt")
    redactor.hide(PASSWORD)
    assert redactor.text(f"\0joe\0{PASSWORD}") == "\0joe\0***"


def test_words_that_hold_a_known_password_are_unchanged() -> None:
    redactor = Redactor("salt")
    redactor.hide("secret")
    redactor.hide("")
    assert redactor.text("a secretary, secrets") == "a secretary, secrets"


def test_a_text_that_cannot_be_decoded_is_not_shown() -> None:
    assert REDACTOR.text(spell_too_deeply(TICKET)) == UNREADABLE


def test_a_token_that_is_encoded_again_and_again_takes_linear_time() -> None:
    assert REDACTOR.fingerprint("%" + "25" * 100_000 + "30") == REDACTOR.fingerprint("0")
    assert REDACTOR.fingerprint("%" * 50_000 + "32" * 50_000).startswith("fp-")


@given(st.text(alphabet='01ab:INTERNAL%253&#58;\\"= ', max_size=100))
def test_redaction_keeps_the_text_around_and_is_idempotent(text: str) -> None:
    clean = REDACTOR.text(text)
    assert REDACTOR.text(clean) == clean
