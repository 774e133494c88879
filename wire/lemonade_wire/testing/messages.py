"""What the tests of several modules begin with: an IMAP client after its greeting, MSCML requests, WAV files."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable

from lemonade_wire.imap.client import ClientEvent, CommandDone, GreetingReceived, ImapClient

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS AUTH=PLAIN SASL-IR] ready\r\n"
PLAIN_GREETING = b"* OK hello\r\n"


def greeted(greeting: bytes = GREETING) -> ImapClient:
    """Return an IMAP client that has received this greeting."""
    client = ImapClient()
    assert [type(event) for event in client.receive_data(greeting)] == [GreetingReceived]
    return client


def done(events: Iterable[ClientEvent]) -> CommandDone:
    """Return the only `CommandDone` among these events."""
    [answer] = [event for event in events if isinstance(event, CommandDone)]
    return answer


def mscml_request(body: str) -> bytes:
    """Return an MSCML document with this element as its request (RFC 5022, section 4.2), for instance `<stop/>`."""
    head = '<?xml version="1.0"?><MediaServerControl version="1.0">'
    return f"{head}<request>{body}</request></MediaServerControl>".encode()


def wav_file(samples: bytes, rate: int = 8000, *, channels: int = 1, width: int = 2) -> bytes:
    """Return a WAV file of PCM; `rate` in frames per second, `width` in octets per sample."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(samples)
    return file.getvalue()
