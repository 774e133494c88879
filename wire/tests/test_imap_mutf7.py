from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap import mutf7
from lemonade_wire.imap.errors import ImapParseError


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 5.1.3
        ("A&B", b"A&-B"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("inbox", b"INBOX"),
        ("", b""),
        ("😀", b"&2D3eAA-"),
    ],
)
def test_names_are_encoded_and_decoded(name: str, wire: bytes) -> None:
    assert mutf7.encode(name) == wire
    assert mutf7.decode(wire) == ("INBOX" if name == "inbox" else name)


@pytest.mark.parametrize("wire", [b"a&", b"&U", b"&!!-", b"&AA-", b"&2D0-", b"\xff"])
def test_malformed_names_are_refused(wire: bytes) -> None:
    with pytest.raises(ImapParseError):
        mutf7.decode(wire)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda name: name.upper() != "INBOX"))
def test_any_name_reads_back(name: str) -> None:
    wire = mutf7.encode(name)
    assert wire.isascii()
    assert mutf7.decode(wire) == name
