"""What a ladder is made of: labels, arrows, the blocks around them, and the messages seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ROLES = ("client", "imap", "media")
_TICKET = re.compile(r":internal:", re.IGNORECASE)


@dataclass(frozen=True)
class Url:
    """An IMAP URL as seen: the text outside its token, and the token's fingerprint (None where it has no token).

    Two URLs agree when the texts are equal, octet for octet, and the fingerprints too where both have one: the
    argument of GENURLAUTH is the URL of its answer without the token.
    """

    text: str
    token: str | None = None

    @classmethod
    def parse(cls, text: str) -> Url:
        """Split `text` at its last `:INTERNAL:`."""
        marks = list(_TICKET.finditer(text))
        if not marks:
            return cls(text)
        return cls(text[: marks[-1].start()], text[marks[-1].end() :])

    def agrees(self, other: Url) -> bool:
        """Tell whether both are the same URL as far as they say."""
        return self.text == other.text and (self.token is None or other.token is None or self.token == other.token)

    def merged(self, other: Url) -> Url:
        """Return this URL with the token of either."""
        return Url(self.text, self.token if self.token is not None else other.token)

    def __str__(self) -> str:
        return self.text if self.token is None else f"{self.text}:INTERNAL:{self.token}"


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
    """`RTP PCMU 2.8..3.2 s continued`: codec, media time from..to in seconds, and whether the timeline goes on."""

    codec: str
    low: Bound
    high: Bound
    continued: bool


@dataclass(frozen=True)
class Arrow:
    """One expected message.

    `index` counts the arrows of the document from 1; `line` is its line in the scenario file; `words` is the label
    split at white space; `rtp` is set where the label is one of RTP; `clauses` are those of the `%%` comment.
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
    """Items one after the other."""

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
    """Yield the arrows below `node` in document order."""
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
    """Yield each `par` below `node` that is in no other one."""
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
        """All arrows in document order; the arrow with index i is at place i - 1."""
        return tuple(arrows_of(self.tree))

    @property
    def imap_commands(self) -> frozenset[tuple[str, str]]:
        """The IMAP commands that it names, each with the role that sends it."""
        return frozenset(
            (one.source, one.words[1]) for one in self.arrows if one.words[0] == "IMAP" and not one.response
        )


@dataclass(frozen=True)
class RtpSeen:
    """One RTP arrow: codec, media time in seconds, packets, and how it stands to the arrow before.

    `continued`: same SSRC, sequence and timestamp go on; `broken`: the timeline breaks inside this arrow;
    `packets` are places in the evidence's events.
    """

    codec: str
    seconds: float
    ssrc: int
    continued: bool
    broken: bool
    packets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Seen:
    """One message observed between two roles.

    `t` seconds since 1970 of its sending; `words` the label's words, an IMAP URL as `Url`; `copies` how often it
    crossed the wire (retransmissions are folded); `events` the places of its events in the evidence; `answers` is
    the same text for a request and the responses to it (call and CSeq, or connection and tag).
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
        """Return the label; a URL that agrees with a bound `$name` stands under that name."""
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

    `ignored`: how many exchanges of which IMAP command were left out; `remarks`: disagreements between nodes and
    traffic of unknown addresses; `retransmissions`: how many copies were folded.
    """

    messages: tuple[Seen, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    retransmissions: int = 0
