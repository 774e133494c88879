"""Finds the messages that match a search key (RFC 3501, 6.4.4); it runs by the store's runner.

A key reads only what it needs: flags, dates and sizes the mailbox's summaries; the sent date the part index; header
keys the header; BODY and TEXT the text parts, which are decoded piece by piece. Texts are compared without regard to
letter case, after transfer encodings, charsets and encoded words were decoded; a part that cannot be decoded is
searched as it is stored. One call of the store does a limited amount of work, so that calls of other sessions can be
carried out in between. Work is counted in octets: those that are read, those that are compared, and for each step
that takes time of its own as many as are compared in that time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_tz
from functools import cached_property

from lemonade_imap.grammar.search import SearchKey
from lemonade_imap.mail.charsets import decoder_of, readable
from lemonade_imap.mail.decode import decoded
from lemonade_imap.mail.headers import Header, addresses
from lemonade_imap.mail.mime import MAX_HEADER, MimePart
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.store.base import Store, StoredMailbox, StoredMessage, StoreError, Summary
from lemonade_wire.imap.bodystructure import MailAddress

_MOST_MESSAGES = 2000
_MOST_WORK = 1024 * 1024
"""Work in one call of the store, in octets: a few milliseconds."""
_KEY, _VALUE, _FIELD, _INDEX = 20, 100, 300, 2000
"""Work of testing a key, comparing a value, reading a field of a header, and reading a part index, in octets."""
_COSTS = {"HEADER": 2, "ADDRESS": 2, "BODY": 3, "TEXT": 3}


@dataclass(frozen=True)
class Found:
    """A message that matches the key: its sequence number, UID and mod-sequence."""

    number: int
    uid: int
    modseq: int


class Unfinished(Exception):  # noqa: N818  what happened to the judgement
    """The limit of work for one call of the store is reached; the same test continues there when called again."""


class Candidate:
    """A message that is tested; data that its summary lacks is read at the first access.

    `work`: what the present call of the store has done, including the work for earlier messages.
    """

    def __init__(self, store: Store, mailbox: StoredMailbox, number: int, summary: Summary) -> None:
        self.number = number
        self.summary = summary
        self.work = 0
        self._store = store
        self._mailbox = mailbox
        self._message: StoredMessage | None = None
        self._header: Header | None = None
        self._readings: dict[int, Iterator[bool]] = {}
        self._answers: dict[int, bool] = {}

    @property
    def message(self) -> StoredMessage | None:
        """The message with its part index, or None if it was expunged."""
        if self._message is None:
            self.work += _INDEX
            self._message = self._store.message(self._mailbox, self.summary.uid)
        return self._message

    @property
    def header(self) -> Header:
        """The message's header; empty if the message was expunged."""
        if self._header is None:
            self._header = Header() if self.message is None else self.header_of(self.message.root)
        return self._header

    def header_of(self, part: MimePart) -> Header:
        """Return the header of a part."""
        header = Header.parse(b"".join(self._read(part.header_offset, min(part.header_length, MAX_HEADER))))
        self.work += _FIELD * len(header.fields)
        return header

    @cached_property
    def sent(self) -> date | None:
        """The day of the Date field, without time and zone, or None if it cannot be read."""
        self.work += _INDEX
        return _sent(self.message)

    def says(self, value: str, wanted: str) -> bool:
        """Tell whether a header value contains the casefolded text, as written or after decoding encoded words."""
        self.work += _VALUE + len(value)
        if wanted in value.casefold():
            return True
        if "=?" not in value and value.isascii():
            return False
        self.work += _VALUE + 4 * len(value)
        return wanted in readable(value).casefold()

    def text_of(self, part: MimePart) -> Iterator[str]:
        """Yield a part's text, decoded from its transfer encoding and its charset."""
        chunks = self._read(part.body_offset, part.length)
        charset = dict(part.params).get("CHARSET")
        decoder = decoder_of(charset)
        for chunk in chunks if part.decoded_length is None else decoded(chunks, part.encoding):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    def holds(self, key: SearchKey, begin: Callable[[], Iterator[bool]]) -> bool:
        """Return the result of a search in header or text, which may continue over several calls of the store.

        `begin` starts the search for `key`; it yields True when it finds the text, and False after each piece without
        it. Raises Unfinished when the present call has read enough.
        """
        reading = self._readings.setdefault(id(key), begin())
        while id(key) not in self._answers:
            found = next(reading, None)
            if found is None or found:
                self._answers[id(key)] = bool(found)
            elif self.work > _MOST_WORK:
                raise Unfinished
        return self._answers[id(key)]

    def _read(self, offset: int, length: int) -> Iterator[bytes]:
        for chunk in () if self.message is None else self._store.read(self.message, offset, length):
            self.work += len(chunk)
            yield chunk


Test = Callable[[Candidate], bool]


class MessageSearch:
    """Tests the messages of the selected mailbox one after another; its methods must run by the store's runner."""

    def __init__(self, store: Store, view: SelectedMailbox, key: SearchKey, recent: frozenset[int]) -> None:
        self._store = store
        self._mailbox = view.mailbox
        self._numbers = {uid: number for number, uid in enumerate(view.uids, 1)}
        self._work = _VALUE + _KEY * _count(key)
        self._test = compiled(key, len(view.uids), view.uids[-1] if view.uids else 0, recent)
        self._waiting: deque[Summary] | None = None
        self._begun: Candidate | None = None

    def next_batch(self) -> list[Found] | None:
        """Test some more messages and return those that match; None after the last message."""
        if self._waiting is None:
            self._waiting = deque(
                summary for summary in self._store.summaries(self._mailbox) if summary.uid in self._numbers
            )
        if not self._waiting:
            return None
        found: list[Found] = []
        work = 0
        for _ in range(min(_MOST_MESSAGES, len(self._waiting))):
            summary = self._waiting[0]
            candidate = self._begun or Candidate(self._store, self._mailbox, self._numbers[summary.uid], summary)
            candidate.work = work + self._work
            try:
                meets = self._meets(candidate)
            except Unfinished:
                self._begun = candidate
                break
            self._waiting.popleft()
            self._begun = None
            if meets:
                found.append(Found(candidate.number, summary.uid, summary.modseq))
            work = candidate.work
            if work > _MOST_WORK:
                break
        return found

    def _meets(self, candidate: Candidate) -> bool:
        try:
            return self._test(candidate)
        except StoreError:
            # A message that is expunged during the search does not match, like one that was expunged before it.
            if self._store.message(self._mailbox, candidate.summary.uid) is not None:
                raise
            return False


def compiled(key: SearchKey, count: int, last_uid: int, recent: frozenset[int]) -> Test:
    r"""Return a function that tests whether a message matches the key.

    `count`: number of messages in the mailbox. `last_uid`: the UID of the last one. `recent`: the UIDs that are
    `\Recent` in the session.
    """
    match key.word:
        case "ALL":
            return lambda _one: True
        case "AND" | "OR" | "NOT":
            # The cheapest keys are tested first; often they decide, and the others need no test.
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
        case "HEADER" | "ADDRESS" | "BODY" | "TEXT":
            return _text_test(key)
        case _:
            return _day_test(key)


def _cost(key: SearchKey) -> int:
    own = _COSTS.get(key.word, 1 if key.word.startswith("SENT") else 0)
    return max([own, *map(_cost, key.keys)])


def _count(key: SearchKey) -> int:
    return 1 + sum(map(_count, key.keys))


def _in_set(key: SearchKey, count: int, last_uid: int) -> Test:
    by_uid = key.word == "UID"
    spans = key.numbers.spans(last_uid if by_uid else count) if key.numbers else []
    lowest = [low for low, _ in spans]

    def test(one: Candidate) -> bool:
        number = one.summary.uid if by_uid else one.number
        at = bisect_right(lowest, number)
        return at > 0 and number <= spans[at - 1][1]

    return test


def _day_test(key: SearchKey) -> Test:
    """Return a test of a date without time and zone (RFC 3501, 6.4.4); an unreadable Date field matches no day."""
    wanted = key.day or date.min
    word = key.word.removeprefix("SENT")

    def test(one: Candidate) -> bool:
        day = one.summary.received.date() if word == key.word else one.sent
        if day is None:
            return False
        return day < wanted if word == "BEFORE" else day >= wanted if word == "SINCE" else day == wanted

    return test


def _sent(message: StoredMessage | None) -> date | None:
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
        return lambda one: one.holds(key, lambda: _in_values(one, one.header.values.get(name, ()), wanted))
    if key.word == "ADDRESS":
        name = key.name.lower()
        return lambda one: one.holds(key, lambda: _in_addresses(one, one.header.values.get(name, ()), wanted))
    body_only = key.word == "BODY"
    return lambda one: one.holds(key, lambda: _reading(one, one.message, wanted, body_only=body_only))


def _in_values(one: Candidate, values: Iterable[str], wanted: str) -> Iterator[bool]:
    """Search a text in header values: yields True where it is found, and False after each piece of work without it."""
    for value in values:
        if one.says(value, wanted):
            yield True
        if one.work > _MOST_WORK:
            yield False


def _in_addresses(one: Candidate, values: Sequence[str], wanted: str) -> Iterator[bool]:
    """Search a text in fields of addresses as they are written, and in each address as ENVELOPE has it.

    Source: RFC 3501, 6.4.4. The form of an address is `name <local@domain>`, without comments, blanks and quotes of the
    field.
    """
    yield from _in_values(one, values, wanted)
    for value in values:
        one.work += 4 * len(value)
        yield from _in_values(one, map(_shown, addresses(value)), wanted)


def _shown(address: MailAddress) -> str:
    mailbox = f"{address.local}@{address.domain}" if address.domain else address.local or ""
    return f"{address.name} <{mailbox}>" if address.name else mailbox


def _reading(one: Candidate, message: StoredMessage | None, wanted: str, *, body_only: bool) -> Iterator[bool]:
    """Search a text in a message: yields True where it is found, and False after each piece without it."""
    if message is not None:
        yield from _in_part(one, message.root, wanted, body_only=body_only) if wanted else (True,)


def _in_part(one: Candidate, part: MimePart, wanted: str, *, body_only: bool) -> Iterator[bool]:
    """Search a text in a part and in the parts inside it; only parts of type text have a body that is searched.

    BODY does not search MIME headers, but the header of an enclosed message: it is a part of the body.
    """
    headers = [] if body_only else [part]
    if part.is_message and body_only:
        headers += part.children
    for owner in headers:
        yield from _in_values(one, (f"{name}: {value}" for name, value in one.header_of(owner).fields), wanted)
    for child in part.children:
        yield from _in_part(one, child, wanted, body_only=body_only)
    if part.type == "TEXT" and not part.children:
        yield from found_in(one.text_of(part), wanted)


def found_in(pieces: Iterable[str], wanted: str) -> Iterator[bool]:
    """Yield for each piece of a text whether `wanted` ends in it; it may begin in the piece before.

    `wanted` must be casefolded already.
    """
    kept = ""
    for piece in pieces:
        text = kept + piece.casefold()
        yield wanted in text
        kept = text[-(len(wanted) - 1) :] if len(wanted) > 1 else ""
