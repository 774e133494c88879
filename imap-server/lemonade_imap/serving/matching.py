"""Whether messages meet a search key (RFC 3501, 6.4.4): judged where the store lives, reading what a key needs.

Flags, dates and sizes cost nothing more than the mailbox's summaries; ENVELOPE's subject and sent date the index of
the parts; header keys the header; BODY and TEXT the text parts, decoded as they stream by. Text compares without case,
after transfer encodings, charsets and encoded words are off; a part that does not decode is searched as it stands.
However long a text is, a visit to the store reads little of it: others have their turn in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_tz

from lemonade_imap.grammar.search import SearchKey
from lemonade_imap.mail.charsets import decoder_of
from lemonade_imap.mail.decode import decoded
from lemonade_imap.mail.headers import Header
from lemonade_imap.mail.mime import MAX_HEADER, Part
from lemonade_imap.mail.words import readable
from lemonade_imap.store.base import Mailbox, Message, Store, StoreError, Summary
from lemonade_imap.view import View

_MOST_MESSAGES = 2000
_MOST_OCTETS = 1024 * 1024
_DEAR = {"HEADER": 2, "BODY": 3, "TEXT": 3}


@dataclass(frozen=True)
class Found:
    """A message that meets the key."""

    number: int
    uid: int
    modseq: int


class Unfinished(Exception):  # noqa: N818  what happened to the judgement
    """Enough is read for one visit: asked again, the same question goes on from there."""


class Candidate:
    """A message as the keys see it: what is not in its summary is read when it is first asked for.

    `octets_read`: what this visit to the store has read, of messages before this one too.
    """

    def __init__(self, store: Store, mailbox: Mailbox, number: int, summary: Summary) -> None:
        self.number = number
        self.summary = summary
        self.octets_read = 0
        self._store = store
        self._mailbox = mailbox
        self._message: Message | None = None
        self._header: Header | None = None
        self._readings: dict[int, Iterator[bool]] = {}
        self._answers: dict[int, bool] = {}

    @property
    def message(self) -> Message | None:
        """The message with its index, or None where it is gone by now."""
        if self._message is None:
            self._message = self._store.message(self._mailbox, self.summary.uid)
        return self._message

    @property
    def header(self) -> Header:
        """The message's header."""
        if self._header is None:
            self._header = Header() if self.message is None else self.header_of(self.message.root)
        return self._header

    def header_of(self, part: Part) -> Header:
        """Read a part's header."""
        return Header.parse(b"".join(self._read(part.header_offset, min(part.header_length, MAX_HEADER))))

    def text_of(self, part: Part) -> Iterator[str]:
        """Yield a part's text without encoding and charset."""
        chunks = self._read(part.body_offset, part.length)
        charset = dict(part.params).get("CHARSET")
        decoder = decoder_of(charset)
        for chunk in chunks if part.decoded_length is None else decoded(chunks, part.encoding):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    def holds(self, key: SearchKey, begin: Callable[[], Iterator[bool]]) -> bool:
        """Tell what a reading comes to, which yields whether it found the key's text so far; raises Unfinished."""
        reading = self._readings.setdefault(id(key), begin())
        while id(key) not in self._answers:
            found = next(reading, None)
            if found is None or found:
                self._answers[id(key)] = bool(found)
            elif self.octets_read > _MOST_OCTETS:
                raise Unfinished
        return self._answers[id(key)]

    def _read(self, offset: int, length: int) -> Iterator[bytes]:
        for chunk in () if self.message is None else self._store.read(self.message, offset, length):
            self.octets_read += len(chunk)
            yield chunk


Test = Callable[[Candidate], bool]


class Hunt:
    """Judges the messages of a view one after the other; every method runs where the store lives."""

    def __init__(self, store: Store, view: View, key: SearchKey, recent: frozenset[int]) -> None:
        self._store = store
        self._mailbox = view.mailbox
        self._numbers = {uid: number for number, uid in enumerate(view.uids, 1)}
        self._test = compiled(key, len(view.uids), view.uids[-1] if view.uids else 0, recent)
        self._waiting: deque[Summary] | None = None
        self._begun: Candidate | None = None

    def some(self) -> list[Found] | None:
        """Judge some more messages and return those that meet the key; None when all are judged."""
        if self._waiting is None:
            self._waiting = deque(
                summary for summary in self._store.summaries(self._mailbox) if summary.uid in self._numbers
            )
        if not self._waiting:
            return None
        found: list[Found] = []
        octets = 0
        for _ in range(min(_MOST_MESSAGES, len(self._waiting))):
            summary = self._waiting[0]
            candidate = self._begun or Candidate(self._store, self._mailbox, self._numbers[summary.uid], summary)
            candidate.octets_read = octets
            try:
                meets = self._meets(candidate)
            except Unfinished:
                self._begun = candidate
                break
            self._waiting.popleft()
            self._begun = None
            if meets:
                found.append(Found(candidate.number, summary.uid, summary.modseq))
            octets = candidate.octets_read
            if octets > _MOST_OCTETS:
                break
        return found

    def _meets(self, candidate: Candidate) -> bool:
        try:
            return self._test(candidate)
        except StoreError:
            # one that is expunged on the way is no more found than one that was before
            if self._store.message(self._mailbox, candidate.summary.uid) is not None:
                raise
            return False


def compiled(key: SearchKey, count: int, last_uid: int, recent: frozenset[int]) -> Test:
    """Return the test that a key is, for a mailbox of `count` messages whose last has `last_uid`."""
    match key.word:
        case "ALL":
            return lambda _one: True
        case "AND" | "OR" | "NOT":
            # what costs least is asked first: the rest is often not asked at all
            keys = sorted(key.keys, key=_cost)
            tests = [compiled(part, count, last_uid, recent) for part in keys]
            if key.word == "AND":
                return lambda one: all(test(one) for test in tests)
            if key.word == "OR":
                return lambda one: any(test(one) for test in tests)
            return lambda one: not tests[0](one)
        case "FLAG":
            if key.text == "\\recent":
                return lambda one: one.summary.uid in recent
            return lambda one: any(flag.lower() == key.text for flag in one.summary.flags)
        case "NUMBERS" | "UID":
            return _in_set(key, count, last_uid)
        case "LARGER":
            return lambda one: one.summary.size > key.size
        case "SMALLER":
            return lambda one: one.summary.size < key.size
        case "MODSEQ":
            return lambda one: one.summary.modseq >= key.size
        case "HEADER" | "BODY" | "TEXT":
            return _text_test(key)
        case _:
            return _day_test(key)


def _cost(key: SearchKey) -> int:
    own = _DEAR.get(key.word, 1 if key.word.startswith("SENT") else 0)
    return max([own, *map(_cost, key.keys)])


def _in_set(key: SearchKey, count: int, last_uid: int) -> Test:
    by_uid = key.word == "UID"
    spans = key.numbers.spans(last_uid if by_uid else count) if key.numbers else []

    def test(one: Candidate) -> bool:
        number = one.summary.uid if by_uid else one.number
        return any(low <= number <= high for low, high in spans)

    return test


def _day_test(key: SearchKey) -> Test:
    """Dates compare without time and zone (RFC 3501, 6.4.4); a message without a readable date is sent on no day."""
    wanted = key.day or date.min
    word = key.word.removeprefix("SENT")

    def test(one: Candidate) -> bool:
        day = one.summary.received.date() if word == key.word else _sent(one.message)
        if day is None:
            return False
        return day < wanted if word == "BEFORE" else day >= wanted if word == "SINCE" else day == wanted

    return test


def _sent(message: Message | None) -> date | None:
    envelope = message.root.envelope if message is not None else None
    try:
        parsed = parsedate_tz((envelope.date if envelope else None) or "")
        return date(*parsed[:3]) if parsed else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _text_test(key: SearchKey) -> Test:
    wanted = key.text.casefold()
    if key.word == "HEADER":
        name = key.name.lower()
        return lambda one: any(_says(value, wanted) for field, value in one.header.fields if field.lower() == name)
    body_only = key.word == "BODY"
    return lambda one: one.holds(key, lambda: _reading(one, one.message, wanted, body_only=body_only))


def _says(value: str, wanted: str) -> bool:
    """Tell whether a header's value holds the text, as it is written or as it is meant."""
    if wanted in value.casefold():
        return True
    return ("=?" in value or not value.isascii()) and wanted in readable(value).casefold()


def _reading(one: Candidate, message: Message | None, wanted: str, *, body_only: bool) -> Iterator[bool]:
    """Look for text in a message: yield True where it is, and False after each piece without it."""
    if message is not None:
        yield from _in_part(one, message.root, wanted, body_only=body_only) if wanted else (True,)


def _in_part(one: Candidate, part: Part, wanted: str, *, body_only: bool) -> Iterator[bool]:
    """Look into a part and what is inside it: text and messages hold text, other media do not.

    BODY looks at no MIME header, but at the header of a message in the message, which is part of the body.
    """
    headers = [] if body_only else [part]
    if part.is_message and body_only:
        headers += part.children
    for owner in headers:
        yield any(_says(f"{name}: {value}", wanted) for name, value in one.header_of(owner).fields)
    for child in part.children:
        yield from _in_part(one, child, wanted, body_only=body_only)
    if part.type == "TEXT" and not part.children:
        yield from found_in(one.text_of(part), wanted)


def found_in(pieces: Iterable[str], wanted: str) -> Iterator[bool]:
    """Tell after each piece of a text whether what is wanted, casefolded already, was in it or began before it."""
    kept = ""
    for piece in pieces:
        text = kept + piece.casefold()
        yield wanted in text
        kept = text[-(len(wanted) - 1) :] if len(wanted) > 1 else ""
