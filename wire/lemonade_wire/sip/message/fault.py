"""Faults that change SIP messages after the node has built them, just before they are sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias

from lemonade_wire.faults import Fault, FaultRow

REQUEST = "[A-Z]+"
"""The `kind` of every request."""
RESPONSE = "[1-6].*"
"""The `kind` of every response."""
REFUSAL = "[3-6].*"
"""The `kind` of a response that refuses or redirects."""


@dataclass
class EditedMessage:
    """A SIP message as editable text; a message with `withheld` set is not sent.

    `change_body` and `set_body` update Content-Length.
    """

    start: str
    rows: list[tuple[str, str]]
    body: str
    withheld: bool = False

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Split a message that this code wrote into start line, headers and body."""
        head, _, body = data.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        rows = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return cls(start, rows, body)

    def __bytes__(self) -> bytes:
        head = "".join(f"{name}: {value}\r\n" for name, value in self.rows)
        return f"{self.start}\r\n{head}\r\n{self.body}".encode("utf-8", "surrogateescape")

    @property
    def kind(self) -> str:
        """The method of a request (`BYE`), or the status and the CSeq method of a response (`200 BYE`)."""
        method = self.header("CSeq").rpartition(" ")[2]
        return f"{self.start.split(' ')[1]} {method}" if self.start.startswith("SIP/") else self.start.partition(" ")[0]

    def header(self, name: str) -> str:
        """Return the value of the first header of that name; "" if there is none."""
        return next((value for known, value in self.rows if known == name), "")

    def put(self, name: str, value: str) -> None:
        """Replace all headers of that name by one at the end."""
        self.drop(name)
        self.rows.append((name, value))

    def drop(self, name: str) -> None:
        """Remove all headers of that name."""
        self.rows = [row for row in self.rows if row[0] != name]

    def change(self, name: str, pattern: str, text: str) -> None:
        """Replace each match of the regular expression `pattern` in the values of a header."""
        self.rows = [(known, re.sub(pattern, text, value) if known == name else value) for known, value in self.rows]

    def change_body(self, pattern: str, text: str) -> None:
        """Replace each match of `pattern` in the body; `^` and `$` match at each line."""
        self.set_body(re.sub(pattern, text, self.body, flags=re.MULTILINE))

    def raise_cseq(self, by: int) -> None:
        """Add a number to that of CSeq."""
        number, _, method = self.header("CSeq").partition(" ")
        self.put("CSeq", f"{int(number) + by} {method}")

    def set_body(self, body: str) -> None:
        """Replace the body, and set Content-Length to its octets."""
        self.body = body
        self.put("Content-Length", str(len(body.encode("utf-8", "surrogateescape"))))


class MessageFault(Fault):
    """A fault that changes the SIP messages that a node sends.

    `pause` is the time in seconds between a message and what `behind` returns for it.
    """

    pause: float = 0.0

    def edit(self, message: EditedMessage) -> None:
        """Change a message in place; it is called for every message that the node sends, also for retransmissions."""

    def behind(self, data: bytes) -> bytes:
        """Return what is sent `pause` seconds after a message, to the same place; empty for nothing."""
        return b""

    def rewrite(self, data: bytes) -> bytes:
        """Return the octets to send instead of a message; empty if nothing is sent."""
        message = EditedMessage.parse(data)
        self.edit(message)
        return b"" if message.withheld else bytes(message)


Edit: TypeAlias = Callable[[EditedMessage], None]
"""A function that changes a message in place."""


def withhold(message: EditedMessage) -> None:
    """Do not send the message."""
    message.withheld = True


def drop_header(name: str) -> Edit:
    """Return the edit that removes all headers of that name."""
    return lambda message: message.drop(name)


def put_header(name: str, value: str) -> Edit:
    """Return the edit that replaces all headers of that name by one at the end."""
    return lambda message: message.put(name, value)


def change_header(name: str, pattern: str, text: str) -> Edit:
    """Return the edit that replaces each match of the regular expression `pattern` in the values of a header."""
    return lambda message: message.change(name, pattern, text)


def change_body(pattern: str, text: str) -> Edit:
    """Return the edit that replaces each match of `pattern` in the body; `^` and `$` match at each line."""
    return lambda message: message.change_body(pattern, text)


def change_start(pattern: str, text: str) -> Edit:
    """Return the edit that replaces each match of `pattern` in the request line or the status line."""

    def edit(message: EditedMessage) -> None:
        message.start = re.sub(pattern, text, message.start)

    return edit


def set_status(status: str) -> Edit:
    """Return the edit that gives a response another status code and reason phrase."""
    return change_start("^.*", f"SIP/2.0 {status}")


@dataclass(frozen=True)
class MessageEdit(FaultRow, MessageFault):
    """A fault that makes one edit in every message whose `kind` matches the regular expression `kind` as a whole."""

    kind: str
    change: Edit

    def edit(self, message: EditedMessage) -> None:
        """Change the message if it is of the kind."""
        if re.fullmatch(self.kind, message.kind):
            self.change(message)


@dataclass(frozen=True)
class ExtraMessage(FaultRow, MessageFault):
    """A fault that sends a changed copy behind every message of a kind; `pause` is the time between them in seconds."""

    kind: str
    change: Edit
    pause: float = 0.0

    def behind(self, data: bytes) -> bytes:
        """Return the changed copy of a message of the kind."""
        message = EditedMessage.parse(data)
        if not re.fullmatch(self.kind, message.kind):
            return b""
        self.change(message)
        return bytes(message)


class CopiesWithheld(MessageFault):
    """Base class: the node sends a message of the kind `kind` once, and never retransmits it.

    Two messages are the same if the headers `identity` are equal.
    """

    kind: ClassVar[str]
    identity: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self._sent: set[tuple[str, ...]] = set()

    def edit(self, message: EditedMessage) -> None:
        """Withhold the message if it was sent before."""
        if message.kind == self.kind:
            identity = tuple(map(message.header, self.identity))
            message.withheld = identity in self._sent
            self._sent.add(identity)


BYE_UNANSWERED = MessageEdit(
    "bye-unanswered", "leaves BYE without an answer", ("RFC3261-15.1.2",), f"{RESPONSE} BYE", withhold
)
"""A fault of the media server and of the client."""
