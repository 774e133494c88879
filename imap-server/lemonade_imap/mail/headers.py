"""Parses headers of messages and parts leniently: what cannot be parsed is ignored (RFC 5322, 2.2; RFC 2045, 5).

    field               = field-name ":" unstructured CRLF          a line that begins with a blank continues the field
    Content-Type        = type "/" subtype *(";" parameter)
    Content-Disposition = disposition-type *(";" parameter)
    parameter           = attribute "=" (token / quoted-string)

Texts keep octets that are not UTF-8 as surrogate escapes, so that the same octets can be sent again. The work is linear
in the octets of a header, whatever they are: each text is cut once into pieces, none of which is searched for again.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Self
from urllib.parse import unquote_to_bytes

from lemonade_imap.mail.charsets import codec_of
from lemonade_wire.imap.bodystructure import Disposition, Envelope, MailAddress, Params

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_TOKEN = re.compile(r"[^\s()<>@,;:\\\"/\[\]?=]+")
# A quoted string without a closing quote extends to the end of the value. The quantifiers are possessive, so that no
# octet is read twice.
_PARAMETER = re.compile(r';\s*+([^\s()<>@,;:\\"/\[\]?=]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[^;]*+)', re.DOTALL)
_PIECE = re.compile(r"([^*]+)\*(0|[1-9][0-9]{0,2})(\*?)")
_ATTRIBUTE = frozenset(string.ascii_letters + string.digits + "!#$&+-.^_`{|}~")
MOST_PARAMETERS = 1000
"""Parameters, or language tags, of one field that are read; the others are ignored."""
MOST_ADDRESSES = 1000
"""Addresses of one field that are read; the others are ignored."""
_MEDIA = re.compile(r"\s*([^\s()<>@,;:\\\"/\[\]?=]+)\s*/\s*([^\s()<>@,;:\\\"/\[\]?=]+)\s*")


@dataclass(frozen=True)
class Header:
    """The fields of a header in their order: each name as written, each value unfolded and stripped."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, octets: bytes, only: Collection[str] | None = None) -> Self:
        """Parse the octets of a header; lines that are not fields are ignored.

        `only`: keep just the first field of each of these names, which are in lower case; None keeps all fields.
        """
        found: list[tuple[str, str]] = []
        missing = None if only is None else set(only)
        for line in _FOLD.sub(b"", octets).split(b"\n"):
            if match := _FIELD.match(line.rstrip(b"\r")):
                name = match[1].decode("ascii")
                if missing is not None:
                    if name.lower() not in missing:
                        continue
                    missing.remove(name.lower())
                # NUL is removed: a string of IMAP must not contain it (RFC 3501, 9: CHAR8)
                octets = match[2].replace(b"\r", b" ").replace(b"\0", b"")
                found.append((name, octets.decode("utf-8", "surrogateescape").strip(" \t")))
        return cls(tuple(found))

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """The values of the fields by their names in lower case."""
        found: dict[str, list[str]] = {}
        for name, value in self.fields:
            found.setdefault(name.lower(), []).append(value)
        return found

    def text(self, name: str) -> str:
        """Return the value of the first field of this name in any letter case, or an empty text."""
        return self.present(name) or ""

    def present(self, name: str) -> str | None:
        """Return the value of the first field of this name in any letter case, or None."""
        values = self.values.get(name.lower())
        return values[0] if values else None

    def content_type(self, *, digest: bool = False) -> tuple[str, str, Params]:
        """Return type and subtype in upper case, and the parameters.

        A missing or invalid Content-Type gives text/plain in us-ascii (RFC 2045, 5.2); a missing one in a
        multipart/digest (`digest`) gives message/rfc822 (RFC 2046, 5.1.5).
        """
        value = self.text("Content-Type")
        bare = _without_comments(_with_quotes(value))
        match = _MEDIA.match(bare)
        if match is None:
            return ("MESSAGE", "RFC822", ()) if digest and not value else ("TEXT", "PLAIN", (("CHARSET", "us-ascii"),))
        params = parameters(bare[match.end() :])
        type_, subtype = match[1].upper(), match[2].upper()
        if type_ == "TEXT" and not params and subtype == "PLAIN":
            params = (("CHARSET", "us-ascii"),)
        return type_, subtype, params

    def encoding(self) -> str:
        """Return the Content-Transfer-Encoding in upper case, or 7BIT without one (RFC 2045, 6.1)."""
        match = _TOKEN.search(_without_comments(self.text("Content-Transfer-Encoding")))
        return match[0].upper() if match else "7BIT"

    def disposition(self) -> Disposition | None:
        """Return the Content-Disposition, its type in upper case, with its parameters (RFC 2183), or None.

        Parameters without a type belong to an attachment, as a type that is not known does (RFC 2183, 2.8).
        """
        value = _without_comments(_with_quotes(self.text("Content-Disposition")))
        match = _TOKEN.match(value)
        if match and not _EQUALS.match(value, match.end()):
            return Disposition(match[0].upper(), parameters(value[match.end() :]))
        params = parameters(value if value.startswith(";") else f";{value}")
        return Disposition("ATTACHMENT", params) if params else None

    def languages(self) -> tuple[str, ...]:
        """Return the language tags of Content-Language (RFC 3282)."""
        tags = _TOKEN.finditer(_without_comments(self.text("Content-Language")))
        return tuple(tag[0] for tag in islice(tags, MOST_PARAMETERS))

    def location(self) -> str | None:
        """Return the Content-Location without the white space that folding added (RFC 2557, 4.4.1), or None."""
        return "".join(self.text("Content-Location").split()) or None


EMPTY_HEADER = Header()


_PIECES = re.compile(r'\\.|[^\\"()<>\[\],:;]+|.', re.DOTALL)
_CLOSING = {"(": ")", "<": ">", "[": "]", '"': '"'}


def pieces_of(text: str, openings: str = '"(<[') -> list[str]:
    """Cut a text into quoted strings, comments, `<...>`, `[...]` and what stands between, in one pass.

    `openings`: the characters whose pairs are kept together: `"`, `(`, `<` or `[`; comments may be nested. A character
    without its counterpart stands alone, and one behind a backslash begins or ends nothing (RFC 5322, 3.2.1 to 3.2.4).
    """
    pieces = _PIECES.findall(text)
    ends: dict[int, int] = {}
    last: dict[str, int] = {}
    comments: list[int] = []
    for at, piece in enumerate(pieces):
        if piece == "(":
            comments.append(at)
        elif piece == ")" and comments:
            ends[comments.pop()] = at
        elif piece == '"':
            ends[last.get('"', at)] = at
            last['"'] = at
        elif piece in {">", "]"}:
            opening = "<" if piece == ">" else "["
            if opening in last:
                ends[last.pop(opening)] = at
        elif piece in {"<", "["}:
            last[piece] = at
    found: list[str] = []
    at = 0
    while at < len(pieces):
        end = ends.get(at, at) if pieces[at] in openings else at
        found.append(pieces[at] if end == at else "".join(pieces[at : end + 1]))
        at = end + 1
    return found


def is_pair(piece: str, opening: str) -> bool:
    """Tell whether a piece begins with `opening` and ends with its counterpart."""
    return len(piece) > 1 and piece[0] == opening and piece[-1] == _CLOSING[opening]


def _without_comments(value: str) -> str:
    """Remove comments, also nested ones; a parenthesis in a quoted string does not begin a comment."""
    if "(" not in value:
        return value.strip()
    return "".join(piece for piece in pieces_of(value, '"(') if not is_pair(piece, "(")).strip()


# The first two alternatives keep quoted strings and comments as they are.
_UNQUOTED = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?|\((?:[^()\\]++|\\.)*+\)|(?:(?<=;)|\A)(\s*+(boundary|name|filename)\s*+=\s*+)([^";\s][^;]*+)',
    re.DOTALL | re.IGNORECASE,
)
_LAST_COMMENT = re.compile(r"\s\([^()]*\)\Z")
_EQUALS = re.compile(r"\s*=")


def _with_quotes(value: str) -> str:
    """Put quotes around boundaries and file names that lack them, which RFC 2045, 5.1 demands for `(`, `=` and blanks.

    Programs write `name=my file (1).pdf`; without quotes `(1)` would be a comment. A comment behind a boundary, which
    ends in no blank, stays one.
    """

    def quoted(found: re.Match[str]) -> str:
        if found[2] is None:
            return found[0]
        text = found[3].rstrip()
        if found[2].lower() == "boundary":
            text = _LAST_COMMENT.sub("", text).rstrip()
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{found[1]}"{escaped}"'

    return _UNQUOTED.sub(quoted, value)


def decoded_parameter(params: Params, name: str) -> str | None:
    """Return the value of a parameter, or None; `name` is in upper case.

    A value with a charset, which stands under `name*`, is decoded (RFC 2231, 4).

        name*=charset'language'value      octets of the value are percent-encoded
    """
    found = dict(params)
    if name in found or f"{name}*" not in found:
        return found.get(name)
    charset, _, rest = found[f"{name}*"].partition("'")
    return unquote_to_bytes(rest.partition("'")[2]).decode(codec_of(charset) or "utf-8", "surrogateescape")


def parameters(text: str) -> Params:
    """Parse `; name=value ...`; returns names in upper case and values without quotes."""
    found = []
    for match in islice(_PARAMETER.finditer(text), MOST_PARAMETERS):
        value = match[2].strip()
        if value.startswith('"'):
            value = re.sub(r'\\(.)|"', lambda pair: pair[1] or "", value[1:], flags=re.DOTALL)
        found.append((match[1].upper(), value))
    return _joined(found)


def _joined(found: list[tuple[str, str]]) -> Params:
    """Join parameter values that were divided into pieces (RFC 2231, 3, 4.1 and 6).

        name*0=value; name*1=value          becomes name=value
        name*0*=charset'lang'value; ...     becomes name*=charset'lang'value

    Pieces are not joined if one is missing, or if the first one lacks the charset that a later, encoded one needs.
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
    seen: set[tuple[str, str]] = set()
    for name, value in found:
        match = _PIECE.fullmatch(name)
        param = whole.get(match[1], (name, value)) if match else (name, value)
        if match is None or param not in seen:
            params.append(param)
            seen.add(param)
    return tuple(params)


def _percent(value: str) -> str:
    """Percent-encode a piece that is not encoded, for a value that is encoded (RFC 2231, 7: attribute-char)."""
    octets = value.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if chr(octet) in _ATTRIBUTE else f"%{octet:02X}" for octet in octets)


_GROUP_END = MailAddress(None, None, None, None)


def addresses(value: str) -> tuple[MailAddress, ...]:
    """Parse an address list (RFC 5322, 3.4).

    A group becomes a start marker, its addresses and an end marker, as ENVELOPE represents it (RFC 3501, 7.4.2).
    """
    found: list[MailAddress] = []
    words: list[str] = []
    comment = angle = None
    in_group = spoken = False
    for piece in [*pieces_of(value), ","]:
        if len(found) >= MOST_ADDRESSES:
            break
        if is_pair(piece, "("):
            # a comment behind an address is the display name (RFC 5322, 3.4)
            comment = piece[1:-1].strip() if spoken else comment
        elif is_pair(piece, "<"):
            angle = _without_comments(piece[1:-1])
        elif piece == ":" and not in_group:
            found.append(MailAddress(None, None, _phrase(words), None))
            words, comment, angle, in_group, spoken = [], None, None, True, False
        elif piece in {",", ";"}:
            if angle is not None or _phrase(words):
                found.append(_mailbox(words, angle, comment))
            if piece == ";" and in_group:
                found.append(_GROUP_END)
                in_group = False
            words, comment, angle, spoken = [], None, None, False
        else:
            words.append(piece)
            spoken = spoken or not piece.isspace()
    return (*found, _GROUP_END) if in_group else tuple(found)


def _phrase(words: list[str]) -> str:
    text = "".join(re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' == word[-1:] else word for word in words)
    return " ".join(text.split())


def _mailbox(words: list[str], angle: str | None, comment: str | None) -> MailAddress:
    if angle is None:
        route, address, name = "", "".join(words), comment
    else:
        # An obsolete route precedes the address (RFC 5322, 4.4); ENVELOPE has an element for it (RFC 3501, 7.4.2).
        route, _, address = angle.rpartition(":") if angle.startswith("@") else ("", "", angle)
        name = _phrase(words)
    # an @ in a quoted string does not separate local part and domain
    pieces = pieces_of(address, '"')
    at = "".join(" " * len(piece) if is_pair(piece, '"') else piece for piece in pieces).rfind("@")
    local, domain = (address[:at], address[at + 1 :]) if at >= 0 else (address, "")
    return MailAddress(name or None, route.strip() or None, _unquoted(local), _unquoted(domain))


def _unquoted(text: str) -> str:
    """Return local part or domain without quoting and without blanks outside of quotes (RFC 3501, 9: addr-mailbox)."""
    return "".join(
        re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL) if is_pair(piece, '"') else "".join(piece.split())
        for piece in pieces_of(text, '"')
    )


def envelope_of(header: Header) -> Envelope:
    """Return the ENVELOPE of a header (RFC 3501, 7.4.2); From replaces a missing Sender or Reply-To."""
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
