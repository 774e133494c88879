"""Message and part headers, read leniently: what cannot be read is passed over (RFC 5322, 2.2; RFC 2045, 5).

Text keeps octets that are no UTF-8 as surrogate escapes, so that what came in goes out again.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import Self

from lemonade_wire.imap.bodystructure import Disposition, Envelope, MailAddress, Params

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_TOKEN = re.compile(r"[^\s()<>@,;:\\\"/\[\]?=]+")
# a quoted string that is not closed goes on to the end
_PARAMETER = re.compile(r'\s*;\s*([^\s()<>@,;:\\"/\[\]?=]+)\s*=\s*("(?:[^"\\]|\\.)*(?:"|\Z)|[^;]*)', re.DOTALL)
_PIECE = re.compile(r"([^*]+)\*(0|[1-9][0-9]{0,2})(\*?)")
_ATTRIBUTE = frozenset(string.ascii_letters + string.digits + "!#$&+-.^_`{|}~")
_INNERMOST = re.compile(r"\((?:[^()\\]|\\.)*+\)", re.DOTALL)
_MOST_COMMENTS = 100
_MEDIA = re.compile(r"\s*([^\s()<>@,;:\\\"/\[\]?=]+)\s*/\s*([^\s()<>@,;:\\\"/\[\]?=]+)\s*")


@dataclass(frozen=True)
class Header:
    """The fields of a header in their order: name as written, value unfolded and stripped."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read header octets; lines that are no field are passed over."""
        found: list[tuple[str, str]] = []
        for line in _FOLD.sub(b"", octets).split(b"\n"):
            if match := _FIELD.match(line.rstrip(b"\r")):
                # NUL, which no string of IMAP may hold, is left out (RFC 3501, 9: CHAR8)
                octets = match[2].replace(b"\r", b" ").replace(b"\0", b"")
                value = octets.decode("utf-8", "surrogateescape").strip(" \t")
                found.append((match[1].decode("ascii"), value))
        return cls(tuple(found))

    def text(self, name: str) -> str:
        """Return the first field of this name, without case, or an empty text."""
        return next((value for field, value in self.fields if field.lower() == name.lower()), "")

    def present(self, name: str) -> str | None:
        """Return the first field of this name, or None where there is none."""
        return next((value for field, value in self.fields if field.lower() == name.lower()), None)

    def content_type(self, *, digest: bool = False) -> tuple[str, str, Params]:
        """Return type and subtype in upper case and the parameters.

        Nothing readable gives text/plain in us-ascii (RFC 2045, 5.2), in a digest message/rfc822 (RFC 2046, 5.1.5).
        """
        match = _MEDIA.match(_without_comments(value := self.text("Content-Type")))
        if match is None:
            return ("MESSAGE", "RFC822", ()) if digest and not value else ("TEXT", "PLAIN", (("CHARSET", "us-ascii"),))
        params = parameters(_without_comments(value)[match.end() :])
        type_, subtype = match[1].upper(), match[2].upper()
        if type_ == "TEXT" and not params and subtype == "PLAIN":
            params = (("CHARSET", "us-ascii"),)
        return type_, subtype, params

    def encoding(self) -> str:
        """Return the Content-Transfer-Encoding in upper case, 7BIT where there is none (RFC 2045, 6.1)."""
        match = _TOKEN.search(_without_comments(self.text("Content-Transfer-Encoding")))
        return match[0].upper() if match else "7BIT"

    def disposition(self) -> Disposition | None:
        """Return the Content-Disposition in upper case with its parameters (RFC 2183), or None."""
        value = _without_comments(self.text("Content-Disposition"))
        match = _TOKEN.match(value)
        return Disposition(match[0].upper(), parameters(value[match.end() :])) if match else None

    def languages(self) -> tuple[str, ...]:
        """Return the tags of Content-Language (RFC 3282)."""
        return tuple(_TOKEN.findall(_without_comments(self.text("Content-Language"))))

    def location(self) -> str | None:
        """Return the Content-Location without the white space that folding put into it (RFC 2557, 4.4.1), or None."""
        return "".join(self.text("Content-Location").split()) or None


EMPTY_HEADER = Header()


def _without_comments(value: str) -> str:
    """Take comments away, nested ones too; a parenthesis inside a quoted string is no comment."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', value)
    return "".join(part if index % 2 else _uncommented(part) for index, part in enumerate(parts)).strip()


def _uncommented(text: str) -> str:
    for _ in range(_MOST_COMMENTS):
        text, found = _INNERMOST.subn("", text)
        if not found:
            break
    return text


def parameters(text: str) -> Params:
    """Read `; name=value ...`; names in upper case, values without their quotes."""
    found = []
    for match in _PARAMETER.finditer(text):
        value = match[2].strip()
        if value.startswith('"'):
            value = re.sub(r'\\(.)|"', lambda pair: pair[1] or "", value[1:], flags=re.DOTALL)
        found.append((match[1].upper(), value))
    return _joined(found)


def _joined(found: list[tuple[str, str]]) -> Params:
    """Put values together that came in pieces (RFC 2231, 3 and 6); the name keeps its `*` where one is encoded.

    Pieces among which one is missing, or which begin without the charset that later ones need, stay pieces.
    """
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, value in found:
        if match := _PIECE.fullmatch(name):
            pieces.setdefault(match[1], {}).setdefault(int(match[2]), (value, bool(match[3])))
    whole: dict[str, tuple[str, str]] = {}
    for name, numbered in pieces.items():
        in_order = [numbered[at] for at in sorted(numbered)]
        encoded = any(one for _, one in in_order)
        if sorted(numbered) == list(range(len(numbered))) and in_order[0][1] == encoded:
            texts = (value if one or not encoded else _percent(value) for value, one in in_order)
            whole[name] = (name + "*" * encoded, "".join(texts))
    params: list[tuple[str, str]] = []
    for name, value in found:
        match = _PIECE.fullmatch(name)
        param = whole.get(match[1], (name, value)) if match else (name, value)
        if match is None or param not in params:
            params.append(param)
    return tuple(params)


def _percent(value: str) -> str:
    """Write a piece that is not encoded for a value that is (RFC 2231, 7: attribute-char stays)."""
    octets = value.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if chr(octet) in _ATTRIBUTE else f"%{octet:02X}" for octet in octets)


_COMMENT = r"\((?:[^()\\]|\\.|{})*+\)"
_COMMENTS = _COMMENT.format(_COMMENT.format(_COMMENT.format(r"(?!)")))  # three deep
# none of these looks beyond the next character of its kind: a header of nothing but `<` costs no more than another
_ADDRESS_TOKEN = re.compile(rf'"(?:[^"\\]|\\.)*"|{_COMMENTS}|<[^<>]*>|\[[^\[\]]*\]|[,;:]|[^"(<\[,;:]+|.', re.DOTALL)


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_QUOTED_STRING = re.compile(f"({_QUOTED.pattern})", re.DOTALL)
_GROUP_END = MailAddress(None, None, None, None)


def addresses(value: str) -> tuple[MailAddress, ...]:
    """Read an address list; a group stands between its marks as RFC 3501, 7.4.2 draws it (`ENVELOPE`)."""
    found: list[MailAddress] = []
    words: list[str] = []
    comment = angle = None
    in_group = False
    for piece in [*_ADDRESS_TOKEN.findall(value), ","]:
        if piece.startswith("(") and piece.endswith(")"):
            # behind an address it is the name (RFC 5322, 3.4)
            comment = piece[1:-1].strip() if any(map(str.strip, words)) else comment
        elif piece.startswith("<") and piece.endswith(">"):
            angle = _without_comments(piece[1:-1])
        elif piece == ":" and not in_group:
            found.append(MailAddress(None, None, _phrase(words), None))
            words, comment, angle, in_group = [], None, None, True
        elif piece in {",", ";"}:
            if angle is not None or _phrase(words):
                found.append(_mailbox(words, angle, comment))
            if piece == ";" and in_group:
                found.append(_GROUP_END)
                in_group = False
            words, comment, angle = [], None, None
        else:
            words.append(piece)
    return (*found, _GROUP_END) if in_group else tuple(found)


def _phrase(words: list[str]) -> str:
    text = "".join(re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' == word[-1:] else word for word in words)
    return " ".join(text.split())


def _mailbox(words: list[str], angle: str | None, comment: str | None) -> MailAddress:
    if angle is None:
        route, address, name = "", "".join(words), comment
    else:
        # an obsolete route stands before the address (RFC 5322, 4.4), and has a place of its own (RFC 3501, 7.4.2)
        route, _, address = angle.rpartition(":") if angle.startswith("@") else ("", "", angle)
        name = _phrase(words)
    # an @ in a quoted string is none
    at = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), address).rfind("@")
    local, domain = (address[:at], address[at + 1 :]) if at >= 0 else (address, "")
    return MailAddress(name or None, route.strip() or None, _unquoted(local), _unquoted(domain))


def _unquoted(text: str) -> str:
    """Return a part of an address without quoting and without blanks around its words (RFC 3501, 9: addr-mailbox)."""
    pieces = _QUOTED_STRING.split(text)
    return "".join(
        re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL) if at % 2 else "".join(piece.split())
        for at, piece in enumerate(pieces)
    )


def envelope_of(header: Header) -> Envelope:
    """Return the envelope of a header (RFC 3501, 7.4.2): an absent Sender or Reply-To is the From."""
    sender = addresses(header.text("From"))
    return Envelope(
        date=header.present("Date"),
        subject=header.present("Subject"),
        from_=sender,
        sender=addresses(header.text("Sender")) or sender,
        reply_to=addresses(header.text("Reply-To")) or sender,
        to=addresses(header.text("To")),
        cc=addresses(header.text("Cc")),
        bcc=addresses(header.text("Bcc")),
        in_reply_to=header.present("In-Reply-To"),
        message_id=header.present("Message-ID"),
    )
