# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""What URLFETCH gives of every section, stored and decoded (RFC 5092, 6; RFC 5524, 3)."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.loopback import LoopbackServer
from lemonade_imap.policy import TicketPolicy
from lemonade_wire.imap.framing import LineFramer, LineReceived, Literal, Role

INNER = (
    b"Subject: inner\r\nFrom: ann@example.com\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
)
FORWARD = (
    b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn=\r\n"
    b"\r\n--b\r\nContent-Type: message/rfc822\r\nX-Part: 2\r\n\r\n" + INNER + b"--b--\r\n"
)
INNER_HEADER, INNER_BODY = INNER[: INNER.index(b"\r\n\r\n") + 4], b"AAEC"
OUTER_HEADER = FORWARD[: FORWARD.index(b"\r\n\r\n") + 4]


def string(octets: bytes) -> bytes:
    """Write a string as the server does."""
    return b"{%d}\r\n%s" % (len(octets), octets) if octets else b'""'


def ticket(world: Any, section: str, uid: int = 2) -> str:
    """Return a ticket for a section of a message."""
    where = f"/;SECTION={section}" if section else ""
    url: str = world.authorise("anonymous", f"imap://joe@imap.example.com/INBOX/;UID={uid}{where};URLAUTH=")
    return url


def test_a_whole_message_has_the_lines_of_header_and_body(world: Any) -> None:
    # RFC 3501, 7.4.2: the size in text lines of the encapsulated message
    world.append(FORWARD)
    told = world.fetch(world.joe, ticket(world, ""), "BODYPARTSTRUCTURE")
    assert told.endswith(b" %d NIL NIL NIL NIL))" % FORWARD.count(b"\n")), told


@pytest.mark.parametrize(
    ("section", "stored", "decoded"),
    [
        ("", FORWARD, FORWARD),
        ("HEADER", OUTER_HEADER, OUTER_HEADER),
        ("TEXT", FORWARD[len(OUTER_HEADER) :], FORWARD[len(OUTER_HEADER) :]),
        ("1", b"gr=C3=BCn=\r\n", "grün".encode()),
        ("2.MIME", b"Content-Type: message/rfc822\r\nX-Part: 2\r\n\r\n", None),
        ("2", INNER[:-2], None),
        ("2.HEADER", INNER_HEADER, None),
        ("2.TEXT", INNER_BODY, None),
        ("2.1", INNER_BODY, b"\0\1\2"),
        ("2.1.MIME", INNER_HEADER, None),
        ("HEADER.FIELDS%20(Subject%20X-None)", b"Subject: outer\r\n\r\n", None),
        (
            "2.HEADER.FIELDS.NOT%20(from%20MIME-Version%20Content-Type%20content-transfer-encoding)",
            b"Subject: inner\r\n\r\n",
            None,
        ),
        ("HEADER.FIELDS%20(X-None)", b"\r\n", None),
    ],
)
def test_every_section_stored_and_decoded(world: Any, section: str, stored: bytes, decoded: bytes | None) -> None:
    world.append(FORWARD)
    url = ticket(world, section)
    assert world.fetch(world.joe, url) == string(stored)
    assert world.fetch(world.joe, url, "BODY") == b"(BODY " + string(stored) + b")"
    octets = stored if decoded is None else decoded
    mark = b"~" if b"\0" in octets else b""
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY " + mark + string(octets) + b")"


@pytest.mark.parametrize("section", ["3", "1.1", "2.2", "2.1.1", "1.HEADER", "1.TEXT", "2.1.HEADER", "0"])
def test_a_section_that_is_not_there_is_nil(world: Any, section: str) -> None:
    world.append(FORWARD)
    if section != "0":
        assert world.fetch(world.joe, ticket(world, section), "BINARY") == b"NIL"
        return
    said = world.joe.receive_data(
        b'g GENURLAUTH "imap://joe@imap.example.com/INBOX/;UID=2/;SECTION=0;URLAUTH=anonymous" INTERNAL\r\n'
    )
    assert said.startswith(b"g BAD ")


@pytest.mark.parametrize(
    ("section", "stored", "decoded"),
    [
        ("1", b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "QUOTED-PRINTABLE" 12 1 ', b'"BINARY" 5 0 '),
        ("2.1", b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 4 ', b'"BINARY" 3 '),
        ("2", b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" %d (' % (len(INNER) - 2), b'"BINARY" %d (' % (len(INNER) - 2)),
        ("", b'("MESSAGE" "RFC822" NIL NIL NIL "8BIT" %d (' % len(FORWARD), b'"BINARY" %d (' % len(FORWARD)),
        ("TEXT", b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "8BIT" ', b'"BINARY" '),
        ("HEADER.FIELDS%20(Subject)", b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "8BIT" 18 ', b'"BINARY" 18 '),
    ],
)
def test_the_structure_is_that_of_what_is_returned(world: Any, section: str, stored: bytes, decoded: bytes) -> None:
    world.append(FORWARD)
    url = ticket(world, section)
    for params in ("BODYPARTSTRUCTURE", "BODYPARTSTRUCTURE BODY", "BODY BODYPARTSTRUCTURE"):
        assert world.fetch(world.joe, url, params).startswith(b"(BODYPARTSTRUCTURE " + stored)
    assert decoded in world.fetch(world.joe, url, "BINARY BODYPARTSTRUCTURE").split(b"\r\n")[0]


def test_a_message_without_mime(world: Any) -> None:
    world.append(b"Subject: old\r\n\r\nline\r\n")
    assert world.fetch(world.joe, ticket(world, "1"), "BODYPARTSTRUCTURE BINARY") == (
        b'(BODYPARTSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "BINARY" 6 1 NIL NIL NIL NIL))'
        b" (BINARY {6}\r\nline\r\n)"
    )
    assert world.fetch(world.joe, ticket(world, "TEXT")) == b"{6}\r\nline\r\n"
    assert world.fetch(world.joe, ticket(world, "2")) == b"NIL"


@pytest.mark.parametrize(
    ("encoding", "body", "stored"),
    [
        ("base64", b"A", 1),
        ("base64", b"AAEC!", 5),
        ("quoted-printable", b"=ZZ", 3),
        ("x-blurdybloop", b"abc", 3),
    ],
)
def test_what_does_not_decode_is_binary_nil_and_the_stored_structure(
    world: Any, encoding: str, body: bytes, stored: int
) -> None:
    world.append(b"Content-Type: image/png\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (encoding.encode(), body))
    url = ticket(world, "1")
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY NIL)"
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == (
        b'(BODYPARTSTRUCTURE ("IMAGE" "PNG" NIL NIL NIL "%s" %d NIL NIL NIL NIL)) (BINARY NIL)'
        % (encoding.upper().encode(), stored)
    )
    assert world.fetch(world.joe, url, "BODY") == b"(BODY " + string(body) + b")"


def test_an_empty_part_is_empty_in_every_form(world: Any) -> None:
    world.append(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: audio/basic\r\n\r\n\r\n--b--\r\n"
    )
    url = ticket(world, "1")
    structure = b'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "%s" 0 NIL NIL NIL NIL))'
    assert world.fetch(world.joe, url) == b'""'
    assert world.fetch(world.joe, url, "BODY") == b'(BODY "")'
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == structure % b"BINARY" + b' (BINARY "")'
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE") == structure % b"7BIT"


@pytest.mark.parametrize(
    ("params", "given"), [("BINARY", False), ("BODY", False), ("", False), ("BODYPARTSTRUCTURE", True)]
)
def test_a_part_above_the_largest_is_refused_but_may_be_described(make_world: Any, params: str, given: bool) -> None:
    world = make_world(config=replace(make_world().config, tickets=TicketPolicy(max_part=511)))
    url = world.authorise("anonymous")
    assert (world.fetch(world.joe, url, params) != b"NIL") is given
    assert given or "larger than may be fetched" in world.log[-1]
    range_ = "/;PARTIAL=1.511"
    part = world.authorise("anonymous", f"imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2{range_};URLAUTH=")
    assert world.fetch(world.joe, part, params) != b"NIL"


@settings(max_examples=30)
@given(
    st.binary(max_size=300_000 // 100).map(lambda some: some * 100),
    st.integers(0, 300_100),
    st.one_of(st.none(), st.integers(1, 300_100)),
)
def test_partial_is_a_range_of_the_decoded_octets(content: bytes, offset: int, length: int | None) -> None:
    client = LoopbackServer(ServerConfig(passwords={"joe": "secret"})).connect()
    client.receive_data(b"l LOGIN joe secret\r\n")
    message = b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)
    client.receive_data(b"p APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
    partial = str(offset) if length is None else f"{offset}.{length}"
    rump = f"imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=1/;PARTIAL={partial};URLAUTH=anonymous"
    url = client.receive_data(f'g GENURLAUTH "{rump}" INTERNAL\r\n'.encode()).decode().split('"')[1]
    framer = LineFramer(Role.CLIENT)
    framer.receive_data(client.receive_data(f'u URLFETCH ("{url}" BINARY)\r\n'.encode()))
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    literals = [part.data for part in event.line.parts if isinstance(part, Literal)]
    wanted = content[offset : None if length is None else offset + length]
    assert literals == ([wanted] if wanted else [])
