"""Turns the responses of an IMAP server into facts: short texts that can be compared between servers.

The facts leave out what differs between correct servers: tags, human-readable text, the order of responses that may
come in any order, UIDVALIDITY, mod-sequences, the time of arrival, capability lists, the tokens of URLs, and whether a
string is quoted or a literal. Mailbox names have `/` as their hierarchy separator.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from differential.structure import envelope_facts, structure_facts
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.command import line_of
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.imap.lexer import Atom, Lexer, ListValue, Value, as_number, as_octets, as_text
from lemonade_wire.imap.response import (
    CapabilityResponse,
    Continuation,
    Exists,
    FetchedUrl,
    FetchResponse,
    GenUrlAuthResponse,
    Listed,
    Metadata,
    Other,
    Response,
    SearchResponse,
    StatusResponse,
    UrlFetchResponse,
    parse_response,
)

LONGEST = 160
"""The most characters that a fact shows of a string; of a longer one it shows the beginning and a digest."""
_NUMBERED_CODES = {"UIDVALIDITY", "HIGHESTMODSEQ"}
_SETS = {"APPENDUID": (1,), "COPYUID": (1, 2), "MODIFIED": (0,)}
"""Response codes with sets of numbers, and the positions of the sets among the code's words (from 0).

Of APPENDUID and COPYUID the word 0 is a UIDVALIDITY.
"""
_TOKEN = re.compile(r":internal:[0-9a-f]+", re.IGNORECASE)
_MODSEQ = re.compile(rb"\(MODSEQ [0-9]+\)|MODSEQ \(?[0-9]+\)?|HIGHESTMODSEQ [0-9]+")
_RECENTLY = timedelta(hours=2)


@dataclass
class ToldFacts:
    """Values that a server returned and that later steps use: the variables of scripts, by name."""

    values: dict[str, str]

    def learn(self, lines: Sequence[LogicalLine]) -> None:
        """Set the variables `modseq` and `url` from the last mod-sequence and the last GENURLAUTH response."""
        for line in lines:
            for found in _MODSEQ.finditer(line.text):
                self.values["modseq"] = re.sub(rb"[^0-9]", b"", found[0]).decode()
            try:
                response = parse_response(line)
            except ImapParseError:
                continue
            if isinstance(response, GenUrlAuthResponse) and response.urls:
                self.values["url"] = response.urls[-1]


class _Facts:
    """Collects the facts of the responses to one step."""

    def __init__(self, tag: str, separator: str, now: datetime) -> None:
        self._tag = tag
        self._separator = separator
        self._now = now
        self._last: dict[str, str] = {}
        self._items: dict[int, dict[str, Value]] = {}
        self._removed: list[int] = []
        self.found: list[str] = []

    def take(self, line: LogicalLine) -> None:
        """Add the facts of one line; a line that cannot be parsed is a fact too."""
        try:
            self._take(parse_response(line), line)
        except ImapParseError as problem:
            self.found.append(f"unreadable: {problem}: {shown(line.text)}")

    def end(self) -> list[str]:
        """Return the facts of all lines, sorted; FETCH items of one message are merged, as are EXPUNGE responses."""
        for number, items in self._items.items():
            for name, value in items.items():
                try:
                    self.found += [f"{number} {fact}" for fact in self._item(name, value)]
                except ImapParseError as problem:
                    self.found.append(f"{number} {name} unreadable: {problem}")
        if self._removed:
            self.found.append(f"EXPUNGE {_listed(self._removed)}")
        return sorted([*self.found, *self._last.values()])

    def _take(self, response: Response, line: LogicalLine) -> None:
        match response:
            case StatusResponse():
                self._status(response)
            case Continuation():
                self.found.append("+")
            case CapabilityResponse():
                self.found.append("CAPABILITY")
            case Exists(count):
                self._last["EXISTS"] = f"EXISTS {count}"
            case SearchResponse(numbers):
                modseq = " (MODSEQ n)" if b"(MODSEQ " in line.text.upper() else ""
                self.found.append(f"SEARCH {_listed(numbers)}{modseq}".rstrip())
            case FetchResponse(number=number, items=items):
                self._items.setdefault(self._original(number), {}).update(items)
            case Listed(mailbox, delimiter, flags):
                word = line.text.split()[1].decode().upper()
                attributes = " ".join(sorted(flag.capitalize() for flag in flags))
                told = "" if delimiter == self._separator else f" separator {delimiter}"
                self.found.append(f"{word} {self._name(mailbox)} ({attributes}){told}")
            case Metadata(mailbox, values, changed):
                self.found += [f"METADATA {mailbox or 'server'} {name} = {_text(v)}" for name, v in values.items()]
                self.found += [f"METADATA {mailbox or 'server'} {name} changed" for name in changed]
            case GenUrlAuthResponse(urls):
                self.found += [f"GENURLAUTH {_without_token(url)}" for url in urls]
            case UrlFetchResponse(fetched):
                for one in fetched:
                    self.found += [f"URLFETCH {fact}" for fact in _url_facts(one)]
            case Other():
                self._other(response)

    def _status(self, status: StatusResponse) -> None:
        code = _code(status)
        if status.tag is not None:
            result = "answer" if status.tag == self._tag else f"answer to {status.tag}"
            self.found += [f"{result} {status.result}", *([f"code{code}"] if code else [])]
        elif status.result != "OK" or code:
            fact = f"untagged {status.result}{code}"
            self._last[fact] = fact

    def _other(self, response: Other) -> None:
        match response.name:
            case "EXPUNGE" if response.number is not None:
                self._removed.append(self._original(response.number))
                self._removed.sort()
            case "RECENT":
                self._last["RECENT"] = f"RECENT {response.number}"
            case "FLAGS" if response.values:
                self._last["FLAGS"] = f"FLAGS {_flags(response.values[0])}"
            case "STATUS" if len(response.values) == 2 and isinstance(response.values[1], ListValue):
                words = [as_text(value) for value in response.values[1].items]
                pairs = sorted(zip(map(str.upper, words[::2]), words[1::2], strict=False))
                name = self._name(mutf7.decode(as_octets(response.values[0])))
                told = (f"{item} {'n' if item in _NUMBERED_CODES else value}" for item, value in pairs)
                self.found.append(f"STATUS {name} {' '.join(told)}")
            case "ESEARCH":
                self.found.append(f"ESEARCH {self._esearch(response.values)}")
            case "ID":
                self.found.append("ID")
            case "ENABLED":
                self.found.append(f"ENABLED {' '.join(sorted(as_text(value).upper() for value in response.values))}")
            case _:
                number = "" if response.number is None else f"{response.number} "
                self.found.append(f"{number}{response.name} {' '.join(map(self._written, response.values))}".rstrip())

    def _esearch(self, values: Sequence[Value]) -> str:
        told: list[str] = []
        found: list[str] = []
        rest = list(values)
        if rest and isinstance(rest[0], ListValue):
            words = [as_text(value) for value in rest.pop(0).items]  # type: ignore[union-attr]  # just looked
            told.append("its tag" if words[1:] == [self._tag] else "another tag")
        if rest and as_text(rest[0]).upper() == "UID":
            told.append("UID")
            rest.pop(0)
        for key, value in zip(rest[::2], rest[1::2], strict=False):
            word = as_text(key).upper()
            number = as_text(value) if not isinstance(value, ListValue) else "()"
            found.append(f"{word} {'n' if word == 'MODSEQ' else _expanded(number)}")
        return " ".join([*told, *sorted(found)])

    def _original(self, number: int) -> int:
        """Return the sequence number that a message had before this step's EXPUNGE responses."""
        for removed in self._removed:
            if removed <= number:
                number += 1
        return number

    def _item(self, name: str, value: Value) -> list[str]:
        label = _label(name)
        match label:
            case "FLAGS":
                return [f"FLAGS {_flags(value)}"]
            case "MODSEQ":
                return ["MODSEQ n"]
            case "INTERNALDATE":
                return [f"INTERNALDATE {self._date(as_text(value))}"]
            case "UID" | "RFC822.SIZE":
                return [f"{label} {as_number(value)}"]
            case "ENVELOPE":
                return [f"ENVELOPE {fact}" for fact in envelope_facts(value, _text)]
            case "BODY" | "BODYSTRUCTURE":
                return [f"{label} {fact}" for fact in structure_facts(value, _text)]
            case _:
                return [f"{label} = {self._written(value)}"]

    def _date(self, text: str) -> str:
        try:
            at = datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
        except ValueError:
            return shown(text.encode())
        return "now" if abs(at - self._now) < _RECENTLY else at.strftime("%Y-%m-%d %H:%M:%S")

    def _name(self, name: str) -> str:
        return shown(name.replace(self._separator, "/").encode())

    def _written(self, value: Value) -> str:
        if isinstance(value, ListValue):
            return f"({' '.join(map(self._written, value.items))})"
        if isinstance(value, Atom):
            return value.text
        octets = as_octets(value)
        return _text(b"/" if octets == self._separator.encode() else octets)


def facts(lines: Sequence[LogicalLine], tag: str, separator: str, now: datetime) -> list[str]:
    """Return the facts of a step's lines, sorted.

    `tag` is the command's tag, `separator` is the server's hierarchy separator, and `now` has a time zone: an
    INTERNALDATE within two hours of it becomes `now`.
    """
    collected = _Facts(tag, separator, now)
    for line in lines:
        collected.take(line)
    return collected.end()


def shown(data: bytes) -> str:
    """Return octets as one line of ASCII with escapes; of long ones the beginning, the size, and a digest."""
    text = data.decode("latin-1").encode("unicode_escape").decode("ascii")
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(data)} octets, {hashlib.sha256(data).hexdigest()[:8]})"


def _text(data: bytes | None) -> str:
    return "NIL" if data is None else f'"{shown(data)}"'


def _flags(value: Value) -> str:
    if not isinstance(value, ListValue):
        raise ImapParseError("flags are a list")
    words = [as_text(flag) for flag in value.items]
    known = [word.lower() if word.startswith("\\") else word for word in words]
    return f"({' '.join(sorted(known))})"


def _label(name: str) -> str:
    """Return the name of a FETCH item in upper case, with quoted header field names as atoms."""
    return re.sub(r'(?<=[( ])"([^"\\() \]]+)"(?=[) ])', r"\1", name.upper())


def _listed(numbers: Sequence[int]) -> str:
    return " ".join(map(str, sorted(numbers)))


def _expanded(words: str) -> str:
    """Return the numbers of a sequence set, sorted and separated by commas; any other text is returned unchanged."""
    if not re.fullmatch(r"[0-9]+(:[0-9]+)?(,[0-9]+(:[0-9]+)?)*", words):
        return words
    numbers: list[int] = []
    for span in words.split(","):
        low, _, high = span.partition(":")
        ends = sorted([int(low), int(high or low)])
        numbers += range(ends[0], ends[1] + 1)
    return ",".join(map(str, sorted(numbers)))


def _code(status: StatusResponse) -> str:
    name, arguments = status.code_name, status.code_arguments
    if not name or name == "CAPABILITY":
        return ""
    if name in _NUMBERED_CODES:
        return f" [{name} n]"
    if name == "MAILBOXID":
        return f" [{name} id]"
    words = arguments.split()
    if name == "PERMANENTFLAGS":
        flags = sorted(word.lower() if word.startswith("\\") else word for word in arguments.strip("()").split())
        return f" [{name} ({' '.join(flags)})]"
    if name == "BADCHARSET":
        return f" [{name}]"
    for place in _SETS.get(name, ()):
        if place < len(words):
            words[place] = _expanded(words[place])
    if name in {"APPENDUID", "COPYUID"} and words:
        words[0] = "n"
    return f" [{' '.join([name, *words])}]"


def _without_token(url: str) -> str:
    return _TOKEN.sub(":INTERNAL:token", url)


def _url_facts(one: FetchedUrl) -> list[str]:
    if one.refused:
        return ["NIL"]
    found: list[str] = []
    if one.structure is not None:
        written = Lexer(line_of(one.structure.write())).value()
        found += [f"BODYPARTSTRUCTURE {fact}" for fact in structure_facts(written, _text)]
    found += [f"BODY = {_text(one.body)}"] if one.body_came else []
    found += [f"BINARY = {_text(one.binary)}"] if one.binary_came else []
    return found or ["nothing"]
