"""Writes FETCH responses (RFC 3501, 7.4.2) by the store's runner, for several messages in each call.

Memory is bounded: a call ends when its responses are long, and content above CHUNK octets is read while it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lemonade_imap.behaviour import CORRECT, ImapBehaviour
from lemonade_imap.grammar.base import write_date_time
from lemonade_imap.mail.charsets import keeps_line_ends
from lemonade_imap.mail.decode import cut, decoded, with_crlf
from lemonade_imap.mail.headers import decoded_parameter
from lemonade_imap.mail.mime import MimePart
from lemonade_imap.mail.sections import BeyondLimit, Extent, resolve, structure_of
from lemonade_imap.reply import Body, Piece, Reply
from lemonade_imap.selected_mailbox import flag_list
from lemonade_imap.serving.backend import Wanted, content_of, fields_of, within
from lemonade_imap.store.base import CHUNK, Store, StoredMailbox, StoredMessage, Summary
from lemonade_wire.imap.bodystructure import Envelope, write_envelope
from lemonade_wire.imap.section import FetchItem, MessageSection

SEEN = "\\Seen"
_MOST_MESSAGES = 64
_MOST_OCTETS = 2 * CHUNK
_OLD_FORMS = {
    "RFC822": MessageSection(),
    "RFC822.HEADER": MessageSection(text="HEADER"),
    "RFC822.TEXT": MessageSection(text="TEXT"),
}
_CACHED_ITEMS = {"UID", "FLAGS", "MODSEQ"}
_SUMMARISED = {*_CACHED_ITEMS, "INTERNALDATE", "RFC822.SIZE"}


@dataclass(frozen=True)
class FetchRequest:
    r"""The items that FETCH asks for.

    `marks_seen`: FETCH sets `\Seen`. `tells_modseq`: the response to such a change contains MODSEQ. `recent`: the UIDs
    that are `\Recent` in this session.
    """

    items: tuple[FetchItem, ...]
    marks_seen: bool = False
    tells_modseq: bool = False
    recent: frozenset[int] = frozenset()

    @property
    def is_cached(self) -> bool:
        """Whether the mailbox's cache contains all items."""
        return all(item.name in _CACHED_ITEMS for item in self.items)

    @property
    def is_summary(self) -> bool:
        """Whether the messages' summaries contain all items."""
        return all(item.name in _SUMMARISED for item in self.items)


def marks_seen(item: FetchItem) -> bool:
    r"""Tell whether FETCH of this item sets `\Seen` (RFC 3501, 6.4.5; RFC 3516, 4.2)."""
    return item.name in {"RFC822", "RFC822.TEXT"} or (item.name in {"BODY", "BINARY"} and item.section is not None)


class FetchResponseWriter:
    r"""Writes the FETCH responses of messages; its methods must run by the store's runner.

    `numbered`: pairs of sequence number and UID. `marked`: the messages on which FETCH set `\Seen`. `undecoded`:
    whether an item was left out because the part cannot be decoded. `beyond_limit`: the limit because of which the
    index lacks a part, if an item was left out for that. `irregular`: the UIDs of messages of which a part was decoded
    that is not to the letter of its encoding. `gone`: whether messages were skipped because they were expunged.
    """

    def __init__(
        self,
        store: Store,
        mailbox: StoredMailbox,
        numbered: Iterable[tuple[int, int]],
        request: FetchRequest,
        behaviour: ImapBehaviour = CORRECT,
    ) -> None:
        self._store = store
        self._behaviour = behaviour
        self._mailbox = mailbox
        self._waiting = deque(numbered)
        self._request = request
        self._ready: deque[tuple[int, StoredMessage, bool]] = deque()
        self.marked: list[Summary] = []
        self.undecoded = False
        self.beyond_limit = ""
        self.irregular: list[int] = []
        self.gone = False

    def next_batch(self) -> list[Reply]:
        """Return the next responses, or an empty list after the last; messages that were expunged are skipped."""
        replies: list[Reply] = []
        octets = 0
        while octets < _MOST_OCTETS and len(replies) < _MOST_MESSAGES and (self._ready or self._waiting):
            if not self._ready:
                self._load()
                continue
            number, message, marked = self._ready.popleft()
            reply = self._line(number, message, marked)
            replies.append(reply)
            octets += sum(_MOST_OCTETS if isinstance(piece, Body) else _length(piece) for piece in reply.pieces)
        return replies

    def _load(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(_MOST_MESSAGES, len(self._waiting)))]
        found = [(number, self._store.message(self._mailbox, uid)) for number, uid in batch]
        there = [(number, message) for number, message in found if message is not None]
        self.gone = self.gone or len(there) < len(found)
        unseen = [message.uid for _, message in there if SEEN not in message.flags] if self._request.marks_seen else []
        changed: dict[int, Summary] = {}
        if unseen:
            told, _ = self._store.change_flags(self._mailbox, unseen, "+", [SEEN])
            changed = {summary.uid: summary for summary in told}
            self.marked += told
        for number, message in there:
            now = changed.get(message.uid)
            if now is not None:
                message = replace(message, flags=now.flags, modseq=now.modseq)  # noqa: PLW2901  the same message
            self._ready.append((number, message, now is not None))

    def _line(self, number: int, message: StoredMessage, marked: bool) -> Reply:
        items = self._request.items
        names = {item.name for item in items}
        if marked:
            told = ("FLAGS", "MODSEQ") if self._request.tells_modseq else ("FLAGS",)
            items = (*items, *(FetchItem(name) for name in told if name not in names))
        pieces: list[Piece] = []
        for item in items:
            try:
                written = self._item(message, item)
            except BeyondLimit as limit:
                self.beyond_limit = str(limit)
                continue
            if written:
                pieces += [b" " if pieces else b"* %d FETCH (" % number, *written]
        reply = Reply.join([*(pieces or [b"* %d FETCH (UID %d" % (number, message.uid)]), b")"])
        # A long list is joined here, by the store's runner, and not where it is sent.
        line = reply.line
        return reply if line is None else Reply(line.parts)

    def _item(self, message: StoredMessage, item: FetchItem) -> list[Piece]:
        """Return an item with its name, or an empty list if the part cannot be decoded."""
        if item.name.startswith("BINARY") and item.section is not None:
            return self._binary(message, item, item.section)
        if item.section is not None:
            origin = b"" if item.offset is None else b"<%d>" % item.offset
            label = b"BODY[%s]%s " % (str(item.section).encode("ascii"), origin)
            return [label, self._stored(message, resolve(message.root, item.section), item)]
        name = item.name.encode("ascii")
        match item.name:
            case "ENVELOPE":
                return [b"ENVELOPE ", *write_envelope(message.root.envelope or Envelope())]
            case "BODY" | "BODYSTRUCTURE":
                extended = item.name == "BODYSTRUCTURE"
                return [name + b" ", *self._behaviour.body_structure(structure_of(message.root), extended=extended)]
            case "RFC822" | "RFC822.HEADER" | "RFC822.TEXT":
                return [name + b" ", self._stored(message, resolve(message.root, _OLD_FORMS[item.name]), item)]
            case _:
                return [summary_item(message, item.name, self._request.recent)]

    def _stored(self, message: StoredMessage, extent: Extent | None, item: FetchItem) -> Piece:
        if extent is None:
            return b"NIL"
        if extent.fields:
            return fields_of(self._store, message, extent, item.offset, item.length)[1]
        offset, length = within(item.offset, item.length, extent.length)
        return content_of(self._store, message, Wanted(extent.offset + offset, length, length))

    def _binary(self, message: StoredMessage, item: FetchItem, section: MessageSection) -> list[Piece]:
        """Return BINARY or BINARY.SIZE of a section; partials count decoded octets (RFC 3516, 4.2, 4.3)."""
        name = "BINARY.SIZE" if item.name == "BINARY.SIZE" else "BINARY"
        origin = "" if item.offset is None else f"<{item.offset}>"
        label = f"{name}[{section}]{origin} ".encode("ascii")
        extent = resolve(message.root, section)
        if extent is None:
            return [label, b"0" if name == "BINARY.SIZE" else b"NIL"]
        encoding, size = "BINARY", extent.length
        part = extent.part
        if part is not None:
            if part.decoded_length is None:
                self.undecoded = True
                return []
            if part.irregular and name == "BINARY":
                self.irregular.append(message.uid)
            encoding, size = part.encoding, self._decoded_size(message, part)
        if name == "BINARY.SIZE":
            return [label, b"%d" % size]
        offset, length = within(item.offset, item.length, size)

        def render(chunks: Iterator[bytes]) -> Iterator[bytes]:
            plain = decoded(chunks, encoding)
            return cut(with_crlf(plain) if part is not None and _gets_crlf(part) else plain, offset, length)

        has_nul = message.root.has_nul if part is None else part.has_nul
        return [label, content_of(self._store, message, Wanted(extent.offset, extent.length, length, render, has_nul))]

    def _decoded_size(self, message: StoredMessage, part: MimePart) -> int:
        """Return the number of octets that BINARY sends: lines of text are ended by CRLF (RFC 3516, 6)."""
        if not _gets_crlf(part) or part.decoded_length is None:
            return part.decoded_length or 0
        plain = decoded(self._store.read(message, part.body_offset, part.length), part.encoding)
        return sum(map(len, with_crlf(plain)))


def _gets_crlf(part: MimePart) -> bool:
    """Tell whether a bare LF in the content is a line end, which BINARY sends as CRLF (RFC 3516, 6)."""
    return part.type == "TEXT" and keeps_line_ends(decoded_parameter(part.params, "CHARSET"))


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def summary_item(message: Summary | StoredMessage, name: str, recent: frozenset[int]) -> bytes:
    """Return an item, with its name, that a message's summary contains."""
    match name:
        case "UID":
            return b"UID %d" % message.uid
        case "FLAGS":
            return b"FLAGS " + flag_list(message.uid, message.flags, recent)
        case "INTERNALDATE":
            return b'INTERNALDATE "%s"' % write_date_time(message.received)
        case "RFC822.SIZE":
            return b"RFC822.SIZE %d" % message.size
        case _:
            return b"MODSEQ (%d)" % message.modseq
