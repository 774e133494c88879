from __future__ import annotations

import io
import json

import pytest

from lemonade_imap.config import ServerConfig
from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing import LoopbackServer
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

CONFIG = ServerConfig(passwords={"joe": "sesame"})


def test_two_connections_share_a_store_and_a_trace() -> None:
    sink = io.StringIO()
    server = LoopbackServer(CONFIG, MemoryStore(), trace=Trace("imap", sink, Redactor("salt"), lambda: server.now))
    first, second = server.connect("127.0.0.2:5"), server.connect()
    first.receive_data(b"a LOGIN joe sesame\r\nb APPEND INBOX {5+}\r\nhello\r\n")
    assert b"* 1 EXISTS" in second.receive_data(b"a AUTHENTICATE PLAIN\r\nAGpvZQBzZXNhbWU=\r\nb SELECT INBOX\r\n")
    events = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert {event["event"] for event in events} == {"imap"}
    assert {event["side"] for event in events} == {"server"}
    assert {event["remote"] for event in events} == {"127.0.0.2:5", "127.0.0.1:1"}
    (append,) = [event for event in events if "APPEND INBOX" in event["text"]]
    assert (append["way"], append["text"]) == ("received", "b APPEND INBOX {5+}")
    assert (append["literals"][0]["size"], append["literals"][0]["text"]) == (5, "hello")
    for secret in ("sesame", "AGpvZQBzZXNhbWU="):
        assert secret not in sink.getvalue()


def test_a_runner_that_waits_raises_runtime_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waits:
        def __await__(self) -> object:
            yield

    monkeypatch.setattr(InlineRunner, "call", lambda *_: Waits())
    client = LoopbackServer(CONFIG).connect()
    with pytest.raises(RuntimeError, match="had to wait"):
        client.receive_data(b"a LOGIN joe sesame\r\nb SELECT INBOX\r\n")
