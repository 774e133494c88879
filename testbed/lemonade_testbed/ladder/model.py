"""The values that ladders are made of: labels, arrows, the blocks around them, and the observed messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

ROLES = ("client", "imap", "media")
_INTERNAL = ":INTERNAL:"
_TICKET = re.compile(r":internal:", re.IGNORECASE)


@dataclass(frozen=True)
class Url:
    """An IMAP URL in a message: the text without the token, and the token's fingerprint (None without a token).

    `mark` is what stands between them, the name of the mechanism with its colons as the message has it. Two URLs agree
    if their texts are equal, octet for octet, and also their marks and fingerprints if both have a token: the argument
    of GENURLAUTH is the URL of its answer without the token.
    """

    text: str
    token: str | None = None
    mark: str = _INTERNAL

    @classmethod
    def parse(cls, text: str) -> Url:
        """Split `text` at its last `:INTERNAL:`."""
        marks = list(_TICKET.finditer(text))
        if not marks:
            return cls(text)
        return cls(text[: marks[-1].start()], text[marks[-1].end() :], marks[-1][0])

    def agrees(self, other: Url) -> bool:
        """Tell whether both can be the same URL: their texts are equal, and no two tokens or marks differ."""
        return self.text == other.text and (self.token is None or other.token is None or self == other)

    def is_same_ticket(self, other: Url) -> bool:
        """Tell whether text and token are equal, whatever the case of the mechanism (RFC 4467, section 9)."""
        return (self.text, self.token) == (other.text, other.token)

    def merged(self, other: Url) -> Url:
        """Return this URL with the token of either URL."""
        return self if self.token is not None else Url(self.text, other.token, other.mark)

    def __str__(self) -> str:
        return self.text if self.token is None else f"{self.text}{self.mark}{self.token}"


Bindings = Mapping[str, Url]


@dataclass(frozen=True)
class Bound:
    """A bound of a media time: `base` seconds plus `media` times the length of the message's media."""

    base: float
    media: float = 0.0

    def value(self, media_length: float) -> float:
        """Return the bound in seconds."""
        return self.base + self.media * media_length


@dataclass(frozen=True)
class RtpLabel:
    """`RTP PCMU 2.8..3.2 s continued`: the codec, bounds of the media time, and whether the timeline goes on."""

    codec: str
    low: Bound
    high: Bound
    continued: bool


@dataclass(frozen=True)
class Arrow:
    """One expected message.

    `index` is the position of the arrow in the document, from 1; `line` is its line in the scenario file; `words` is
    the label split at white space; `rtp` is set for a label of RTP; `clauses` are those in the `%%` comment.
    """

    index: int
    line: int
    source: str
    target: str
    response: bool
    words: tuple[str, ...]
    rtp: RtpLabel | None = None
    clauses: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The label as written."""
        return " ".join(self.words)

    def __str__(self) -> str:
        return f"{self.source}{'-->>' if self.response else '->>'}{self.target}: {self.label}"


@dataclass(frozen=True)
class Sequence:
    """Items one after another."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Opt:
    """A body that may be missing as a whole."""

    body: Sequence
    title: str = ""


@dataclass(frozen=True)
class Alt:
    """Exactly one of several branches."""

    branches: tuple[Sequence, ...]
    title: str = ""


@dataclass(frozen=True)
class Par:
    """All branches, interleaved in any way."""

    branches: tuple[Sequence, ...]
    title: str = ""


@dataclass(frozen=True)
class Loop:
    """A body once or more often."""

    body: Sequence
    title: str = ""


Node = Arrow | Sequence | Opt | Alt | Par | Loop


def arrows_of(node: Node) -> Iterator[Arrow]:
    """Yield the arrows below `node` in the order of the document."""
    match node:
        case Arrow():
            yield node
        case Sequence(items):
            for item in items:
                yield from arrows_of(item)
        case Opt(body) | Loop(body):
            yield from arrows_of(body)
        case Alt(branches) | Par(branches):
            for branch in branches:
                yield from arrows_of(branch)


def parallels_of(node: Node) -> Iterator[Par]:
    """Yield each `par` below `node` that is not inside another one."""
    match node:
        case Par():
            yield node
        case Sequence(items) | Alt(items):
            for item in items:
                yield from parallels_of(item)
        case Opt(body) | Loop(body):
            yield from parallels_of(body)


@dataclass(frozen=True)
class Ladder:
    """An expected ladder: its tree, and its text as written."""

    tree: Sequence
    source: str = ""

    @property
    def arrows(self) -> tuple[Arrow, ...]:
        """All arrows in the order of the document; the arrow with index i is at position i - 1."""
        return tuple(arrows_of(self.tree))

    @property
    def named(self) -> frozenset[tuple[str, str]]:
        """The commands, methods and statuses that the ladder names, each with the node that sends it.

        These are IMAP commands (`FETCH` with its items too), SIP methods, and the statuses of SIP responses.
        """
        named: set[tuple[str, str]] = set()
        for arrow in self.arrows:
            if arrow.words[0] == "SIP" or (arrow.words[0] == "IMAP" and not arrow.response):
                named |= {(arrow.source, " ".join(map(str, arrow.words[1:end]))) for end in (2, 3)}
        return frozenset(named)


@dataclass(frozen=True)
class RtpSeen:
    """One RTP arrow: codec, media time in seconds, and packets.

    `continued` is True if SSRC, sequence numbers and timestamps go on from the arrow before; `broken` is True if the
    timeline breaks inside this arrow. `packets` are positions in the events of the evidence.
    """

    codec: str
    seconds: float
    ssrc: int
    continued: bool
    broken: bool
    packets: tuple[int, ...] = ()


@dataclass(frozen=True)
class ObservedMessage:
    """One message that was observed between two nodes.

    `t` is the time of its sending in seconds since 1970; `words` are the words of its label, an IMAP URL as `Url`;
    `copies` is the number of times that it was sent (retransmissions are folded); `events` are the positions of its
    events in the evidence; `answers` is the same text for a request and its responses (call and CSeq, or connection and
    tag).
    """

    t: float
    source: str
    target: str
    response: bool
    words: tuple[str | Url, ...]
    rtp: RtpSeen | None = None
    copies: int = 1
    events: tuple[int, ...] = ()
    answers: str = ""

    def label(self, bindings: Bindings | None = None) -> str:
        """Return the label; a URL that agrees with the one bound to `$name` is written as that name."""
        return " ".join(word if isinstance(word, str) else _name(word, bindings or {}) for word in self.words)

    def text(self, bindings: Bindings | None = None) -> str:
        """Return the arrow as a line of a ladder."""
        return f"{self.source}{'-->>' if self.response else '->>'}{self.target}: {self.label(bindings)}"

    def __str__(self) -> str:
        return self.text()


def _name(url: Url, bindings: Bindings) -> str:
    for name, bound in bindings.items():
        if url.agrees(bound):
            return name
    return f"<{url}>"


@dataclass(frozen=True)
class Observed:
    """The observed ladder.

    `ignored` has the number of exchanges that were left out, by IMAP command. `remarks` are disagreements between
    nodes, and traffic of unknown addresses. `retransmissions` is the number of copies that were folded.
    """

    messages: tuple[ObservedMessage, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    retransmissions: int = 0


@dataclass(frozen=True)
class Mismatch:
    """The first place where the observed ladder differs from the expected one.

    `index` is that of the expected arrow, from 1 (one more than there are if nothing more was expected). `position` is
    the position of the message in the observed ladder. `how` says what is wrong, `wanted` are the arrows that could
    stand there, and `around` shows both ladders near the place.
    """

    index: int
    position: int
    how: Literal["missing", "extra", "out-of-order", "changed"]
    wanted: tuple[str, ...]
    seen: str
    around: tuple[str, ...] = ()


@dataclass(frozen=True)
class LadderResult:
    """The match of a ladder: the index of the arrow for each observed message, None from the mismatch on."""

    arrows: tuple[int | None, ...]
    bindings: Bindings = field(default_factory=dict)
    mismatch: Mismatch | None = None
