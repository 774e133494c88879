"""What the mechanisms say and what becomes of an exchange."""

from __future__ import annotations

from dataclasses import dataclass, field


class SaslRefused(Exception):  # noqa: N818  what happened to the exchange
    """An exchange ends here: `result` is NO or BAD, the text what the client is told (a code may lead it)."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(text)
        self.result = result


@dataclass(frozen=True)
class PasswordShown:
    """The client showed an account's password, and asks to act as `authorise` (empty: as that account)."""

    authorise: str
    name: str
    password: str = field(repr=False)


def text_of(message: bytes) -> str:
    """Read a message as the UTF-8 text that it is in all mechanisms here; raises SaslRefused."""
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslRefused("BAD", "UTF-8 is expected") from None
