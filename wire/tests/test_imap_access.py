from __future__ import annotations

import pytest

from lemonade_wire.imap.access import Access, AccessKind
from lemonade_wire.imap.errors import ImapParseError


@pytest.mark.parametrize(
    ("text", "access", "kind"),
    [
        ("anonymous", Access("anonymous"), AccessKind.ANONYMOUS),
        ("AuthUser", Access("authuser"), AccessKind.AUTHUSER),
        ("user+fred", Access("user", "fred"), AccessKind.USER),
        ("submit+f%40red", Access("submit", "f@red"), AccessKind.SUBMIT),
        ("stream", Access("stream"), AccessKind.APPLICATION),
        ("stream+joe", Access("stream", "joe"), AccessKind.APPLICATION),
    ],
)
def test_identifiers(text: str, access: Access, kind: AccessKind) -> None:
    assert Access.parse(text) == access
    assert access.kind is kind
    assert Access.parse(str(access)) == access


@pytest.mark.parametrize(
    "text", ["", "submit+", "submit", "user", "anonymous+joe", "authuser+x", "a-b", "user+a@b", "user+%f"]
)
def test_identifiers_that_are_none(text: str) -> None:
    with pytest.raises(ImapParseError):
        Access.parse(text)
