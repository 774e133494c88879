import pytest

from lemonade_wire.redaction import FINGERPRINT, Redactor

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
