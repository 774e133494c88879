"""Reads the parts of a mail and their section numbers (RFC 3501, section 6.4.5).

It uses Python's `email` package and no code of the nodes, so that the judge does not share the nodes' mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from functools import lru_cache

_DECODABLE = frozenset({"7BIT", "8BIT", "BINARY", "BASE64", "QUOTED-PRINTABLE"})


@dataclass(frozen=True)
class MailPart:
    """One MIME part of a mail, with the fields that RFC 3501, section 7.4.2 (BODYSTRUCTURE) has for it.

    `type`, `subtype` and the names of `params` are in lower case, `encoding` is in upper case. `stored` are the octets
    of its body as the mail holds them, with CRLF. `decoded` is the body without its transfer encoding, or None if the
    encoding is unknown. `parts` are the parts of a multipart, or the one message of a message/rfc822.
    """

    type: str
    subtype: str
    params: Mapping[str, str]
    encoding: str
    stored: bytes
    decoded: bytes | None
    parts: tuple[MailPart, ...] = ()

    @property
    def content_type(self) -> str:
        """`type/subtype` in lower case."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_multipart(self) -> bool:
        """Whether the part is a multipart."""
        return self.type == "multipart"


@lru_cache(maxsize=8)
def read_mail(mail: bytes) -> MailPart:
    """Return a mail as a tree of parts; line ends of LF are read as CRLF."""
    lines = mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return _read(message_from_bytes(lines, policy=policy.compat32))


@lru_cache(maxsize=8)
def parts_by_section(mail: bytes) -> Mapping[str, MailPart]:
    """Return all parts of a mail by their section number (RFC 3501, section 6.4.5).

    The mail itself has no number if it is a multipart; any other mail is part `1`.
    """
    root = read_mail(mail)
    return dict(_numbered(root, "") if root.is_multipart else _with_inner(root, "1"))


def _numbered(multipart: MailPart, prefix: str) -> Iterator[tuple[str, MailPart]]:
    for number, part in enumerate(multipart.parts, 1):
        yield from _with_inner(part, f"{prefix}{number}")


def _with_inner(part: MailPart, section: str) -> Iterator[tuple[str, MailPart]]:
    yield section, part
    if part.is_multipart:
        yield from _numbered(part, f"{section}.")
    elif part.parts:
        inner = part.parts[0]
        yield from _numbered(inner, f"{section}.") if inner.is_multipart else _with_inner(inner, f"{section}.1")


def _read(message: Message) -> MailPart:
    encoding = str(message.get("Content-Transfer-Encoding", "7bit")).split(";")[0].strip().upper() or "7BIT"
    parts: tuple[MailPart, ...] = ()
    payload = message.get_payload()
    if isinstance(payload, list):
        parts = tuple(_read(part) for part in payload if isinstance(part, Message))
        stored = _body(message)
    else:
        stored = str(payload).encode("ascii", "surrogateescape")
    return MailPart(
        message.get_content_maintype().lower(),
        message.get_content_subtype().lower(),
        {name.lower(): str(value) for name, value in message.get_params([])[1:]},
        encoding,
        stored,
        _decoded(message, stored, encoding),
        parts,
    )


def _body(multipart: Message) -> bytes:
    """Return the octets of a nested multipart behind its header, with its boundaries."""
    written = multipart.as_bytes(policy=policy.compat32.clone(linesep="\r\n", max_line_length=0, mangle_from_=False))
    # The line end before the next boundary of the enclosing multipart belongs to that boundary (RFC 2046, 5.1.1).
    return written.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def _decoded(message: Message, stored: bytes, encoding: str) -> bytes | None:
    if encoding not in _DECODABLE:
        return None
    if encoding in {"7BIT", "8BIT", "BINARY"}:
        return stored
    payload = message.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else None
