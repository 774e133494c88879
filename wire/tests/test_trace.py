import base64
import io
import json

from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace


def test_events_are_numbered_redacted_lines() -> None:
    sink = io.StringIO()
    trace = Trace("imap", sink, Redactor("s"), clock=lambda: 12.3456789)
    trace.emit("log", level="info", text="a:INTERNAL:0123")
    trace.emit("imap", at=1.5, literals=[{"size": 3, "text": "b:INTERNAL:0123"}], resend=False, none=None)
    first, second = map(json.loads, sink.getvalue().splitlines())
    mark = Redactor("s").fingerprint("0123")
    assert first == {
        "t": 12.345679,
        "node": "imap",
        "n": 1,
        "event": "log",
        "level": "info",
        "text": f"a:INTERNAL:{mark}",
    }
    assert (second["t"], second["n"], second["resend"], second["none"]) == (1.5, 2, False, None)
    assert second["literals"] == [{"size": 3, "text": f"b:INTERNAL:{mark}"}]


def test_without_a_sink_nothing_is_written() -> None:
    Trace("imap", None, Redactor("s"), clock=lambda: 1 // 0).emit("log", text="x")


def test_digits_of_a_masked_call_are_not_written() -> None:
    sink = io.StringIO()
    trace = Trace("media", sink, Redactor("s"))
    head = "INFO sip:ivr@h SIP/2.0\r\nCall-ID: 1\r\nContent-Type: "
    for text in (
        head + "application/dtmf\r\n\r\n5",
        head + 'application/mediaservercontrol+xml\r\n\r\n<playcollect maskdigits="yes"/>',
        head + "application/dtmf\r\n\r\n7",
    ):
        trace.emit("sip", way="received", text=text)
    bodies = [json.loads(line)["text"].partition("\r\n\r\n")[2] for line in sink.getvalue().splitlines()]
    assert bodies == ["5", '<playcollect maskdigits="yes"/>', "-"]
    trace.emit("rtp", pt=101, payload="BooGQA==")
    assert json.loads(sink.getvalue().splitlines()[-1])["payload"] == "/4oGQA=="


def test_neither_a_ticket_nor_digits_in_base64_are_written() -> None:
    sink = io.StringIO()
    trace = Trace("media", sink, Redactor("s"))
    head = "INFO sip:ivr@h SIP/2.0\r\nCall-ID: 1\r\nContent-Transfer-Encoding: base64\r\nContent-Type: "
    ticket = '<playcollect maskdigits="yes"><audio url="imap://h/a:INTERNAL:0123"/></playcollect>'
    for kind, body in (("application/mediaservercontrol+xml", ticket), ("application/dtmf", "7")):
        trace.emit("sip", way="received", text=f"{head}{kind}\r\n\r\n{base64.b64encode(body.encode()).decode()}")
    asked, key = [json.loads(line)["text"].partition("\r\n\r\n")[2] for line in sink.getvalue().splitlines()]
    assert asked == ticket.replace("0123", Redactor("s").fingerprint("0123"))
    assert key == "-"
