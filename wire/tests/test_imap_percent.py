from __future__ import annotations

import pytest

from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.percent import percent_decode, percent_encode


def test_only_what_must_be_is_encoded() -> None:
    assert percent_encode("a-._~!$'()*+,&=;:@/ %ü") == "a-._~!$'()*+,&=%3B%3A%40%2F%20%25%C3%BC"
    assert percent_encode("a:@/;?", "&=:@/") == "a:@/%3B%3F"


def test_decoding_is_done_once() -> None:
    assert percent_decode("%2520%c3%bc+") == "%20ü+"


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%ff", "%00", "%0d", "%0A"])
def test_what_cannot_be_decoded_is_refused(text: str) -> None:
    with pytest.raises(ImapParseError):
        percent_decode(text)
