"""Targets for mail, which the IMAP server reads to index, search and fetch it: structure, headers, encodings."""

from __future__ import annotations

from fuzz.target import FuzzTarget, in_pieces, require
from lemonade_imap.mail.charsets import decoder_of, readable
from lemonade_imap.mail.decode import Undecodable, decoded, with_crlf
from lemonade_imap.mail.headers import Header, addresses, envelope_of, parameters, pieces_of
from lemonade_imap.mail.mime import MimePart, index
from lemonade_imap.mail.sections import chosen_fields, resolve, structure_of
from lemonade_media.decoding.decode import decode_leniently
from lemonade_wire.imap.bodystructure import BodyStructure, write_envelope
from lemonade_wire.imap.command import line_of
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived
from lemonade_wire.imap.response import FetchResponse, parse_response
from lemonade_wire.imap.section import MessageSection

_MOST_PARTS = 1001  # MAX_PARTS of `lemonade_imap.mail.mime`, and the message itself


def _all(part: MimePart) -> list[MimePart]:
    return [part, *(below for child in part.children for below in _all(child))]


def _message(octets: bytes) -> None:
    message = octets[1:]
    root = index(in_pieces(octets))
    require(root == index([message]), "the index of a message depends on how its octets come")
    parts = _all(root)
    require(len(parts) <= _MOST_PARTS, "a message has too many parts")
    for part in parts:
        require(0 <= part.header_offset <= part.body_offset <= len(message), "a part begins outside of its message")
        require(part.body_offset + part.length <= len(message), "a part ends outside of its message")
        require((part.decoded_length or 0) <= max(part.length, 0) * 2, "a part grows when it is decoded")
    structure = structure_of(root)
    again = _read_again(structure)
    require(again is not None and _read_again(again) == again, "a structure changes when it is written and read")
    for number, _ in structure.walk():
        require(resolve(root, MessageSection.parse(number)) is not None, "a part of the structure cannot be fetched")
    for all_but in (False, True):
        whole, pieces = (
            b"".join(chosen_fields(chunks, ("SUBJECT", "X-A"), all_but=all_but))
            for chunks in ([message], in_pieces(octets))
        )
        require(whole == pieces, "the chosen fields of a header depend on how its octets come")


def _read_again(structure: BodyStructure) -> BodyStructure | None:
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(line_of([b"* 1 FETCH (BODYSTRUCTURE ", *structure.write(), b")"]).octets())
    event = framer.next_event()
    response = parse_response(event.line) if isinstance(event, LineReceived) else None
    return response.structure if isinstance(response, FetchResponse) else None


def _header(octets: bytes) -> None:
    header = Header.parse(octets)
    header.content_type()
    header.disposition()
    header.languages()
    line_of(write_envelope(envelope_of(header)))
    for values in header.values.values():
        for value in values:
            addresses(value)
            readable(value)
            for _ in parameters(value):
                require(len(value) > 0, "an empty text has parameters")
            require("".join(pieces_of(value)) == value, "pieces of a header value are lost")


def _transfer_encoding(octets: bytes) -> None:
    encoding = ("BASE64", "QUOTED-PRINTABLE", "7BIT", "X-UUENCODE")[octets[0] % 4] if octets else "8BIT"
    size = 0
    for piece in with_crlf(decoded(in_pieces(octets[1:]), encoding)):
        size += len(piece)
    require(size <= 2 * len(octets), "decoded octets are more than twice those of the encoding")


def _lenient_encoding(octets: bytes) -> None:
    encoding, _, content = octets.partition(b"\n")
    decode_leniently(content, encoding.decode("latin-1"))


def _charset(octets: bytes) -> None:
    name, _, content = octets.partition(b"\n")
    decoder = decoder_of(name.decode("latin-1"))
    text = "".join([*(decoder.decode(piece) for piece in in_pieces(content)), decoder.decode(b"", final=True)])
    require(len(text) <= 8 * len(content) + 8, "a charset makes a long text of a few octets")


TARGETS = (
    FuzzTarget(
        "mail-message",
        _message,
        [
            b"\x40From: a <a@b.c>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\n"
            b"Content-Type: audio/wav; name*0=a; name*1*=utf-8''b%20\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--x--\r\n",
            b"\xffContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?=C3=A9?=\r\nContent-Type: multipart/digest;"
            b' boundary="y z"\r\n\r\n--y z\r\n\r\nTo: g:a@b,"c\\"" <d@e>;\r\n\r\nx\r\n--y z--\r\n',
            b"\x05Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n"
            b"Content-Disposition: attachment; filename=a\nContent-Language: de, en\n\na=20=\nb=FF\n",
        ],
        most=8192,
    ),
    FuzzTarget(
        "mail-header",
        _header,
        [
            b'From: "a\\"b" <@x,@y:c@d> (note \\( (in)), Group: e@f, g@h;\r\n'
            b"Subject: =?utf-8?B?w6k=?=\r\n =?x?q?_?=\r\n\r\n",
            b'Content-Type: a/b; c*=utf-8\'en\'%e2%82%ac; d*1=x; d*0=y; e="f\\"g"\r\n'
            b"Date: Mon, 1 Jan 2026 00:00:00 +0000\r\n\r\n",
        ],
    ),
    FuzzTarget(
        "mail-transfer-encoding",
        _transfer_encoding,
        [b"\x00\x03QUJD\r\nRA==", b"\x01\x04a=20=\r\nb=C3=A9 \r\n"],
        (Undecodable,),
    ),
    FuzzTarget(
        "mail-lenient-encoding", _lenient_encoding, [b"base64\nQUJ!D=", b"quoted-printable\na=2"], (ValueError,)
    ),
    FuzzTarget(
        "mail-charset",
        _charset,
        [b"utf-7\n\x05+AOk-x", b'iso-2022-jp\n\x01\x1b$B$"\x1b(B', b"utf-16\n\x03\xff\xfea\x00"],
    ),
)
