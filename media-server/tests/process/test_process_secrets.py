"""What the media server writes shows no ticket and no password, however a caller or an IMAP server spells them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from lemonade_media.testing.processes import OPTIONS, Peer, run_media, until
from lemonade_wire.testing.messages import mscml_request
from lemonade_wire.testing.spellings import PASSWORD, SPELLINGS, TICKET, TOKEN, shown_forms

MSCML = mscml_request('<play><prompt><audio url="URL"/></prompt></play>').decode()


def bodies(written: str) -> Iterator[tuple[str, bytes]]:
    """Yield headers and bodies that hold a spelling of the ticket, in the encodings of a MIME body."""
    document = MSCML.replace("URL", written)
    kind = "Content-Type: application/mediaservercontrol+xml"
    part = f"--b\r\n{kind}\r\n\r\n{document}\r\n--b--\r\n"
    nested = f"--c\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{part}\r\n--c--\r\n"
    yield kind, document.encode()
    yield kind, document.encode("utf-16")
    yield "Content-Type: multipart/mixed; boundary=b", part.encode()
    yield "Content-Type: multipart/mixed; boundary=c", nested.encode()
    for encoding, spelt in (
        ("base64", SPELLINGS["base64 in lines"]),
        ("quoted-printable", SPELLINGS["quoted-printable"]),
    ):
        yield f"{kind}\r\nContent-Transfer-Encoding: {encoding}", spelt(document).encode()


def requests(peer: Peer, number: int, written: str) -> Iterator[bytes]:
    """Yield requests that hold a spelling of the ticket in each place."""
    target = "sip:annc@127.0.0.1"
    places = [(f"{target};play={written}", "", "X: y", b"")]
    places += [(target, written, "X: y", b"")]
    places += [
        (target, "", header, b"")
        for header in (
            f"Route: <sip:127.0.0.1;lr;play={written}>",
            f"Refer-To: <sip:annc@h;play={written}>",
            f"Contact: <sip:annc@h;play={written}>",
            f'Reason: SIP;cause=200;text="{written}"',
            f'Authorization: Digest username="joe", uri="sip:annc@h;play={written}"',
            f"Subject: {written}",
        )
    ]
    places += [(target, "", header, body) for header, body in bodies(written)]
    for at, (uri, inner, header, body) in enumerate(places):
        for method in ("INVITE", "INFO", "OPTIONS"):
            ident = f"{number}-{at}-{method}"
            yield (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {peer.address};branch=z9hG4bK{ident};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com;x={inner}>\r\n"
                f"Call-ID: {ident}\r\nCSeq: 1 {method}\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def let_the_server_read_all(peer: Peer, trace: TextIO, number: int) -> None:
    """Wait until the last request of a series is in the trace."""
    peer.sip.sendto(OPTIONS.format(here=peer.address, number=f"last-{number}").encode(), peer.server)
    until(lambda: f"Call-ID: last-{number}@probe" in trace.read(), 60)


def test_no_spelling_of_a_ticket_is_written(tmp_path: Path) -> None:
    with run_media(tmp_path, "--imap-user", f"joe:{PASSWORD}") as (_, peer):
        peer.ask_options()
        with (tmp_path / "trace.jsonl").open() as trace:
            for number, spell in enumerate(SPELLINGS.values()):
                for request in requests(peer, number, spell(TICKET)):
                    peer.sip.sendto(request, peer.server)
                let_the_server_read_all(peer, trace, number)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert written.count(b'"way": "received"') > 1000
    assert b":INTERNAL:fp-" in written
    assert shown_forms(written, TOKEN) == []
    assert shown_forms(written, PASSWORD) == []
