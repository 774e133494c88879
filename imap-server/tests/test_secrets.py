"""The trace of the IMAP server shows no password and no ticket, however a client spells them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.world import CONFIG
from lemonade_wire.redaction import Redactor
from lemonade_wire.testing.spellings import LOGIN_SPELLINGS, PASSWORD, SPELLINGS, TICKET, TOKEN, shown_forms
from lemonade_wire.trace import Trace


class Traced:
    """A server in memory whose trace and log are kept."""

    def __init__(self) -> None:
        self.sink = io.StringIO()
        self.log: list[str] = []
        trace = Trace("imap", self.sink, Redactor("salt"))
        config = replace(CONFIG, passwords={"joe": PASSWORD})
        self._server = LoopbackServer(config, trace=trace, log=lambda text: self.log.append(trace.redactor.text(text)))

    def connect(self) -> LoopbackConnection:
        """Return a new connection."""
        return self._server.connect()

    def shown(self, secret: str) -> list[str]:
        """Return the forms of a secret in all that was written."""
        assert self.sink.getvalue()
        return shown_forms("\n".join([self.sink.getvalue(), *self.log]).encode(), secret)


@pytest.mark.parametrize("line", LOGIN_SPELLINGS)
@pytest.mark.parametrize("idle", [False, True])
def test_no_login_shows_its_password(line: str, idle: bool) -> None:
    traced = Traced()
    client = traced.connect()
    if idle:
        client.receive_data(f"l LOGIN joe {PASSWORD}\r\ni IDLE\r\n".encode())
    client.receive_data(f"{line}\r\n".encode())
    assert traced.shown(PASSWORD) == []


def test_an_answer_to_a_refused_challenge_is_not_shown() -> None:
    traced = Traced()
    client = traced.connect()
    client.receive_data(b"a AUTHENTICATE CRAM-MD5\r\n")
    for line in LOGIN_SPELLINGS:
        client.receive_data(b"a AUTHENTICATE PLAIN\r\n")
        client.receive_data(f"{line}\r\n".encode())
    client.receive_data(b"a LOGIN joe {%d+}\r\n%s\r\n" % (len(PASSWORD), PASSWORD.encode()))
    client.receive_data(b"a LOGINX joe {%d+}\r\n%s\r\n" % (len(PASSWORD), PASSWORD.encode()))
    assert traced.shown(PASSWORD) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_ticket_is_shown_in_any_spelling(spelling: str) -> None:
    traced = Traced()
    client = traced.connect()
    client.receive_data(f"l LOGIN joe {PASSWORD}\r\n".encode())
    written = SPELLINGS[spelling](TICKET)
    for command in (
        'a URLFETCH "{}"',
        "a URLFETCH {}",
        'a URLFETCH ("{}" BINARY)',
        'a GENURLAUTH "{}" INTERNAL',
        'a SELECT "{}"',
        'a SEARCH SUBJECT "{}"',
        'a ID ("url" "{}")',
        "{}",
        "{} NOOP",
    ):
        client.receive_data(f"{command.format(written)}\r\n".encode())
    octets = written.encode()
    client.receive_data(b"a URLFETCH {%d+}\r\n%s\r\n" % (len(octets), octets))
    client.receive_data(b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(octets), octets))
    client.receive_data(b"a SELECT INBOX\r\na FETCH 1 BODY[]\r\n")
    assert traced.shown(TOKEN) == []
    assert written not in traced.sink.getvalue()
