from __future__ import annotations

import pytest

from lemonade_imap.sasl.messages import PasswordShown, SaslRefused
from lemonade_imap.sasl.plain import read_anonymous, read_plain


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
