"""Captured connections with TLS: they are read if the key log has their keys."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lemonade_testbed.authority import Authority
from lemonade_testbed.capture.reader import Reading, read_capture
from lemonade_testbed.capture.store import CAPTURE
from lemonade_testbed.capture.tshark import Tshark

if TYPE_CHECKING:
    from tests.judge.capture.conftest import Captured

CLIENT, SERVER = "127.9.8.3:40009", "127.9.8.1:1143"


class Talk:
    """The two ends of a TLS connection in memory; each message crosses the wire of a run 10 ms after the one before."""

    def __init__(self, run: Captured, folder: Path) -> None:
        self.wire, self.t = run.wire, 2000.0
        authority = Authority.make(datetime.now(UTC))
        issued = authority.issue(["imap.example.com"], datetime.now(UTC))
        (folder / "chain.pem").write_bytes(issued.certificate + issued.key)
        (folder / "ca.pem").write_bytes(authority.pem)
        self.keys = folder / "keys.log"
        ours = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        ours.keylog_filename = str(self.keys)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(folder / "chain.pem")
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = ours.wrap_bio(down, up, server_hostname="imap.example.com")
        self.server = theirs.wrap_bio(up, down, server_side=True)
        self.ways = {self.client: (CLIENT, SERVER, up), self.server: (SERVER, CLIENT, down)}

    def clear(self, source: str, text: str) -> None:
        self.t += 0.01
        self.wire.tcp(self.t, source, SERVER if source == CLIENT else CLIENT, text.encode())

    def shake_hands(self) -> None:
        for end in (self.client, self.server, self.client, self.server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            self._carry(end)

    def say(self, end: ssl.SSLObject, text: str) -> None:
        end.write(text.encode())
        self._carry(end)
        (self.server if end is self.client else self.client).read()

    def _carry(self, end: ssl.SSLObject) -> None:
        """Put the octets that an end has written on the wire, and give them to the other end."""
        source, target, out = self.ways[end]
        if octets := out.read():
            out.write(octets)
            self.t += 0.01
            self.wire.tcp(self.t, source, target, octets)


@pytest.fixture
def talk(announcement: Captured, tmp_path: Path) -> Talk:
    announcement.write()
    announcement.wire.packets.clear()
    made = Talk(announcement, tmp_path)
    made.clear(CLIENT, "")
    made.clear(SERVER, "* OK ready\r\n")
    made.clear(CLIENT, "a1 STARTTLS\r\n")
    made.clear(SERVER, "a1 OK go on\r\n")
    made.shake_hands()
    made.say(made.client, "a2 NOOP\r\n")
    made.say(made.server, "a2 OK done\r\n")
    announcement.put()
    return made


def read(run: Captured, tshark: Tshark, keys: bytes) -> Reading:
    return read_capture(run.folder / CAPTURE, run.evidence("traces").world, tshark, keys)


IN_CLEAR = ["* OK ready", "a1 STARTTLS", "a1 OK go on"]


def test_messages_inside_tls_become_events_of_both_ends(announcement: Captured, tshark: Tshark, talk: Talk) -> None:
    reading = read(announcement, tshark, talk.keys.read_bytes())
    assert (reading.problems, reading.findings, reading.remarks) == ((), (), ())
    for node, ways in (("client", ["received", "sent"]), ("imap", ["sent", "received"])):
        told = [event for event in reading.events if event.node == node]
        assert [event.text("text") for event in told] == [*IN_CLEAR, "a2 NOOP", "a2 OK done"]
        assert [event.text("way") for event in told[-2:]] == ways[::-1]
        assert [round(event.t - told[0].t, 2) for event in told[:3]] == [0.0, 0.01, 0.02]


@pytest.mark.parametrize("keys", [b"", b"CLIENT_RANDOM " + b"0" * 64 + b" " + b"1" * 96 + b"\n"])
def test_a_connection_without_its_keys_is_not_whole(
    announcement: Captured, tshark: Tshark, talk: Talk, keys: bytes
) -> None:
    reading = read(announcement, tshark, keys)
    assert [event.text("text") for event in reading.events if event.node == "imap"] == IN_CLEAR
    assert reading.problems == (
        f"IMAP {talk.ways[talk.client][0]} {SERVER} goes on encrypted, and no node has written down its keys",
    )
    assert reading.findings == ()
