"""The checks of SIP messages, dialogs and session descriptions: each rule is red at the node that broke it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from lemonade_testbed.checks.dialogs import CHECKS as DIALOGS
from lemonade_testbed.checks.messages import CHECKS as MESSAGES
from lemonade_testbed.checks.sdp import CHECKS as SDP
from lemonade_testbed.checks.sip import same_uri, uri_in, values_of
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.ladder.siptext import read_sip
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.testing.flow import OFFER, Flow, Message

ANNC = load_scenario(SCENARIOS / "announcement-service.yaml")
CHECKS = {check.words: check for check in (*MESSAGES, *DIALOGS, *SDP)}
Change = Callable[["Flow"], None]
CONTACT = "Contact: <sip:annc@127.9.8.2:5060>"


def found(flow: Flow) -> set[tuple[str, str, str]]:
    """Return check, node and first clause of everything that the checks of this file find."""
    evidence = flow.evidence()
    return {
        (words, breach.node, breach.clauses[0])
        for words, check in CHECKS.items()
        for breach in check.run(ANNC, evidence, "").breaches
    }


def replace(names: str, old: str, new: str) -> Change:
    """Change the messages with these names, such as a request and the answer that repeats it."""

    def change(flow: Flow) -> None:
        for name in names.split():
            flow.change(name, old, new)

    return change


def after(first: Change, second: Change) -> Change:
    def change(flow: Flow) -> None:
        first(flow)
        second(flow)

    return change


def add(flow: Flow, message: Message, name: str, *changes: tuple[str, str], after: str) -> None:
    """Put a changed copy of a message after another message."""
    copy = deepcopy(message)
    copy.name = name
    for old, new in changes:
        assert old in copy.text
        copy.text = copy.text.replace(old, new)
    flow.messages.insert(flow.messages.index(flow[after]) + 1, copy)


def refuse(flow: Flow) -> None:
    """Let a first INVITE be refused, so that the call that follows is the second one."""
    for name, after, changes in (
        ("second", "bye-ok", [("client1", "client7"), ("tag=a", "tag=z"), ("call1", "call2")]),
        ("refusal", "second", [("client1", "client7"), ("tag=a", "tag=z"), ("call1", "call2"), ("200 OK", "488 No")]),
        ("refusal-ack", "refusal", [("client1ACK", "client7INVITE"), ("tag=a", "tag=z"), ("call1", "call2")]),
    ):
        source = {"second": "invite", "refusal": "invite-ok", "refusal-ack": "ack"}[name]
        add(flow, flow[source], name, *changes, after=after)
    flow.change("refusal-ack", "ACK sip:annc@127.9.8.2:5060", flow["second"].text.partition(" SIP/2.0")[0][7:])
    flow["refusal-ack"].text = "ACK " + flow["refusal-ack"].text


def refuse_and(names: str, old: str, new: str) -> Change:
    return after(refuse, replace(names, old, new))


def cancel(flow: Flow) -> None:
    """Let the call of `refuse` be cancelled before its refusal."""
    refuse(flow)
    start = flow["second"].text.partition(" SIP/2.0")[0]
    add(flow, flow["refusal-ack"], "cancel", (" ACK\r", " CANCEL\r"), (";tag=b", ""), after="second")
    flow["cancel"].text = start.replace("INVITE", "CANCEL") + flow["cancel"].text[len(start) - 3 :]
    copies = [("client1", "client7"), ("tag=a", "tag=z"), ("call1", "call2"), (" INVITE\r", " CANCEL\r")]
    add(flow, flow["invite-ok"], "cancel-ok", *copies, after="cancel")
    add(flow, flow["refusal"], "second-trying", ("488 No", "100 Trying"), after="second")


def cancel_and(names: str, old: str, new: str) -> Change:
    return after(cancel, replace(names, old, new))


def reoffer(flow: Flow) -> None:
    """Let the client put the call on hold, so that both sides send new session descriptions."""
    changes = [("client1", "client2"), ("1 INVITE", "2 INVITE"), ("o=- 1 1", "o=- 1 2"), ("recvonly", "inactive")]
    add(flow, flow["invite"], "hold", *changes, ("net>\r", "net>;tag=b\r"), after="rtp")
    changes = [("client1", "client2"), ("1 INVITE", "2 INVITE"), ("o=- 2 1", "o=- 2 2"), ("sendonly", "inactive")]
    add(flow, flow["invite-ok"], "hold-ok", *changes, after="hold")
    add(flow, flow["ack"], "hold-ack", ("client1", "client2"), ("1 ACK", "2 ACK"), after="hold-ok")


def reoffer_and(names: str, old: str, new: str) -> Change:
    return after(reoffer, replace(names, old, new))


def repeat_otherwise(flow: Flow) -> None:
    """Let the media server send its 200 again with another To tag."""
    add(flow, flow["invite-ok"], "again", (";tag=b", ";tag=c"), after="invite-ok")


def record_route(flow: Flow) -> None:
    """Let there be a proxy between client and media server."""
    route = "Record-Route: <sip:127.9.8.9;lr>\r\nCSeq"
    for name in ("invite", "invite-ok"):
        flow.change(name, "CSeq", route)
    flow.change("bye", "CSeq", "Route: <sip:127.9.8.9;lr>\r\nCSeq")


def leave_out(name: str) -> Change:
    def change(flow: Flow) -> None:
        flow.drop(name)
        flow.waited = 100.0

    return change


def offer_zero(flow: Flow) -> None:
    flow.change("invite", "a=recvonly\r\n", "a=recvonly\r\nm=video 0 RTP/AVP 34\r\n")
    flow.change("invite-ok", "a=sendonly\r\n", "a=sendonly\r\nm=video 9000 RTP/AVP 34\r\n")


WHOLE, REPEATED, KEPT = "sip messages are whole", "responses repeat their request", "requests keep to their dialog"
BELONGING, NEW = "acks and cancels belong to their invite", "calls and requests are new"
SECOND, HOLD = "second refusal refusal-ack", "hold hold-ok hold-ack"
ANSWERED, FORM, FITS = "sip requests are answered", "session descriptions are whole", "answers fit their offers"

RED: dict[str, tuple[Change, str, str, str]] = {
    "no Max-Forwards": (replace("bye", "Max-Forwards: 70\r\n", ""), WHOLE, "media", "RFC3261-8.1.1"),
    "Max-Forwards that is no number": (
        replace("ack", "Forwards: 70", "Forwards: ²"),
        WHOLE,
        "client",
        "RFC3261-8.1.1",
    ),
    "odd Max-Forwards": (replace("ack", "Forwards: 70", "Forwards: x"), WHOLE, "client", "RFC3261-8.1.1"),
    "no From tag": (replace("ack", ">;tag=a", ">"), WHOLE, "client", "RFC3261-8.1.1"),
    "CSeq of another method": (replace("ack", "1 ACK", "1 INVITE"), WHOLE, "client", "RFC3261-8.1.1.5"),
    "branch without cookie": (replace("ack", "z9hG4bK", "x"), WHOLE, "client", "RFC3261-8.1.1.7"),
    "no Contact in INVITE": (replace("invite", "Contact:", "X:"), WHOLE, "client", "RFC3261-8.1.1.8"),
    "no Contact in 200": (replace("invite-ok", "Contact:", "X:"), WHOLE, "media", "RFC3261-12.1.1"),
    "body without type": (replace("invite", "Content-Type:", "X:"), WHOLE, "client", "RFC3261-20.15"),
    "description of another type": (
        replace("invite", "application/sdp", "text/sdp"), WHOLE, "client", "RFC3261-20.15",
    ),
    "wrong length": (replace("invite", "Content-Length: ", "Content-Length: 1"), WHOLE, "client", "RFC3261-18.3"),
    "warning without agent": (replace("bye-ok", "CSeq", 'Warning: 399 "x"\r\nCSeq'), WHOLE, "client", "RFC3261-20.43"),
    "404 OK": (replace("bye-ok", "200 OK", "404 OK"), WHOLE, "client", "RFC3261-7.2"),
    "200 Not Found": (replace("invite-ok", "200 OK", "200 Not Found"), WHOLE, "media", "RFC3261-7.2"),
    "other Via": (replace("bye-ok", "127.9.8.2:5060;", "127.9.8.7:5060;"), REPEATED, "client", "RFC3261-8.2.6.2"),
    "other From": (replace("bye-ok", "From: <sip:media", "From: <sip:other"), REPEATED, "client", "RFC3261-8.2.6.2"),
    "other number": (replace("bye-ok", "CSeq: 1", "CSeq: 2"), REPEATED, "client", "RFC3261-8.2.6.2"),
    "other Call-ID": (replace("bye-ok", "call1", "call9"), REPEATED, "client", "RFC3261-8.2.6.2"),
    "no To tag": (replace("bye-ok", ";tag=a", ""), REPEATED, "client", "RFC3261-8.2.6.2-2"),
    "other To tag": (replace("bye-ok", ";tag=a", ";tag=c"), REPEATED, "client", "RFC3261-8.2.6.2-2"),
    "other To tag in a copy": (repeat_otherwise, REPEATED, "media", "RFC3261-8.2.6.2-2"),
    "other To tag in a copy, and in the ACK": (
        after(repeat_otherwise, replace("ack", ";tag=b", ";tag=c")), REPEATED, "media", "RFC3261-8.2.6.2-2",
    ),
    "rport left empty": (replace("bye-ok", "rport=5060", "rport"), REPEATED, "client", "RFC3581-4"),
    "other From tag inside": (replace("bye bye-ok", ";tag=b", ";tag=c"), KEPT, "media", "RFC3261-12.2.1.1"),
    "no To tag inside": (replace("bye", ";tag=a", ""), KEPT, "media", "RFC3261-12.2.1.1"),
    "number that falls": (reoffer_and(HOLD, "CSeq: 2", "CSeq: 0"), KEPT, "client", "RFC3261-12.2.1.1-2"),
    "number that jumps": (reoffer_and(HOLD, "CSeq: 2", "CSeq: 5"), KEPT, "client", "RFC3261-12.2.1.1-2"),
    "other target": (replace("bye", "sip:127.9.8.3:5060", "sip:joe@example.com"), KEPT, "media", "RFC3261-12.2.1.1-3"),
    "no Route": (
        after(record_route, replace("bye", "Route: <sip:127.9.8.9;lr>\r\n", "")), KEPT, "media", "RFC3261-12.2.1.1-3",
    ),
    "ACK of 200 with its branch": (
        replace("ack", "client1ACK", "client1INVITE"), BELONGING, "client", "RFC3261-13.2.2.4",
    ),
    "ACK of 200 with another number": (replace("ack", "1 ACK", "2 ACK"), BELONGING, "client", "RFC3261-13.2.2.4"),
    "ACK of refusal with a new branch": (
        refuse_and("refusal-ack", "client7INVITE", "client8INVITE"), BELONGING, "client", "RFC3261-17.1.1.3",
    ),
    "ACK of refusal without its To tag": (
        refuse_and("refusal-ack", ";tag=b", ""), BELONGING, "client", "RFC3261-17.1.1.3",
    ),
    "CANCEL with another branch": (
        cancel_and("cancel cancel-ok", "client7INVITE", "client8INVITE"), BELONGING, "client", "RFC3261-9.1",
    ),
    "CANCEL with another number": (
        cancel_and("cancel cancel-ok", "CSeq: 1", "CSeq: 2"), BELONGING, "client", "RFC3261-9.1",
    ),
    "copy with a new branch": (
        lambda flow: add(flow, flow["bye"], "again", ("media1BYE", "media9BYE"), after="bye"),
        BELONGING, "media", "RFC3261-17.1.2",
    ),
    "To tag in a first INVITE": (replace("invite", "net>\r", "net>;tag=b\r"), NEW, "client", "RFC3261-8.1.1.2"),
    "branch used twice": (refuse_and(SECOND, "client7INVITE", "client1INVITE"), NEW, "client", "RFC3261-8.1.1.7-2"),
    "Call-ID used twice": (refuse_and(SECOND, "call2", "call1"), NEW, "client", "RFC3261-8.1.1.4"),
    "From tag used twice": (refuse_and(SECOND, ";tag=z", ";tag=a"), NEW, "client", "RFC3261-19.3"),
    "BYE unanswered": (leave_out("bye-ok"), ANSWERED, "client", "RFC3261-15.1.2"),
    "CANCEL unanswered": (after(cancel, leave_out("cancel-ok")), ANSWERED, "media", "RFC3261-9.2"),
    "no ACK of a 200": (leave_out("ack"), ANSWERED, "client", "RFC3261-13.2.2.4-2"),
    "no ACK of a refusal": (after(refuse, leave_out("refusal-ack")), ANSWERED, "client", "RFC3261-17.1.1.3-2"),
    "no origin": (replace("invite-ok", "o=- 2 1 IN IP4 127.9.8.2\r\n", ""), FORM, "media", "RFC4566-5"),
    "no time": (replace("invite", "t=0 0\r\n", ""), FORM, "client", "RFC4566-5"),
    "no connection": (replace("invite", "c=IN IP4 127.9.8.3\r\n", ""), FORM, "client", "RFC4566-5.7"),
    "ptime of a second": (replace("invite-ok", "a=send", "a=ptime:1000\r\na=send"), FORM, "media", "RFC4566-6"),
    "answer from nowhere": (
        replace("invite-ok", "c=IN IP4 127.9.8.2", "c=IN IP4 0.0.0.0"), FORM, "media", "RFC4566-5.7-2",
    ),
    "odd port": (replace("invite-ok", "16384", "16385"), FORM, "media", "RFC3550-11"),
    "two directions": (replace("invite", "a=recvonly", "a=recvonly\r\na=inactive"), FORM, "client", "RFC3264-5"),
    "other medium": (replace("invite-ok", "m=audio", "m=video"), FITS, "media", "RFC3264-6"),
    "other transport": (replace("invite-ok", "RTP/AVP", "RTP/SAVP"), FITS, "media", "RFC3264-6"),
    "port for a line offered with 0": (offer_zero, FITS, "media", "RFC3264-6"),
    "no common format": (replace("invite-ok", "RTP/AVP 0", "RTP/AVP 8"), FITS, "media", "RFC3264-6-2"),
    "other time": (replace("invite-ok", "t=0 0", "t=3970000000 0"), FITS, "media", "RFC3264-6-3"),
    "answer without direction": (replace("invite-ok", "a=sendonly\r\n", ""), FITS, "media", "RFC3264-6.1"),
    "recvonly for recvonly": (replace("invite-ok", "sendonly", "recvonly"), FITS, "media", "RFC3264-6.1"),
    "version that stays": (reoffer_and("hold-ok", "o=- 2 2", "o=- 2 1"), FITS, "media", "RFC3264-8"),
    "version that jumps": (reoffer_and("hold", "o=- 1 2", "o=- 1 4"), FITS, "client", "RFC3264-8"),
    "other session": (reoffer_and("hold-ok", "o=- 2 2", "o=- 3 2"), FITS, "media", "RFC3264-8"),
    "other user": (reoffer_and("hold-ok", "o=- 2 2", "o=x 2 2"), FITS, "media", "RFC3264-8"),
    "port of another": (replace("invite-ok", "rport=5060", "rport=1"), REPEATED, "media", "RFC3581-4"),
    "address of another": (
        replace("invite-ok", "received=127.9.8.3", "received=127.9.8.9"), REPEATED, "media", "RFC3581-4",
    ),
    "no address": (replace("invite-ok", ";received=127.9.8.3", ""), REPEATED, "media", "RFC3581-4"),
    "no hop left": (replace("invite", "Max-Forwards: 70", "Max-Forwards: 0"), WHOLE, "client", "RFC3261-8.1.1.6"),
    "Retry-After in words": (
        refuse_and("refusal", "CSeq", "Retry-After: soon\r\nCSeq"), WHOLE, "media", "RFC3261-20.33",
    ),
    "length without body": (replace("bye-ok", "Length: 0", "Length: 5"), WHOLE, "client", "RFC3261-18.3"),
    "branch of the other side": (
        replace("bye bye-ok", "media1BYE", "client1INVITE"), NEW, "media", "RFC3261-8.1.1.7-2",
    ),
    "From URI of another": (
        replace("bye bye-ok", "From: <sip:", "From: <sip:x"), KEPT, "media", "RFC3261-12.2.1.1",
    ),
    "ACK with a description": (
        replace("ack", "\r\n\r\n", "\r\nContent-Type: application/sdp\r\n\r\n" + OFFER),
        BELONGING, "client", "RFC3261-13.2.1",
    ),
    "CANCEL before a response": (after(cancel, leave_out("second-trying")), BELONGING, "client", "RFC3261-9.1-2"),
    "CANCEL with Require": (cancel_and("cancel", "CSeq", "Require: timer\r\nCSeq"), BELONGING, "client", "RFC3261-9.1"),
    "empty session name": (replace("invite-ok", "s=-", "s="), FORM, "media", "RFC4566-5.3"),
    "lines without CR": (
        replace("invite-ok", "s=-\r\nc=IN IP4 127.9.8.2\r\n", "s=-\nc=IN IP4 127.9.8.2\n"), FORM, "media", "RFC4566-5",
    ),
    "address of another type": (replace("invite-ok", "c=IN IP4", "c=IN IP6"), FORM, "media", "RFC4566-5.7"),
    "payload type without mapping": (replace("invite", "RTP/AVP 0", "RTP/AVP 0 97"), FITS, "client", "RFC4566-5.14"),
    "payload type of another codec": (
        after(
            replace("invite", "AVP 0\r\n", "AVP 0 97\r\na=rtpmap:97 iLBC/8000\r\n"),
            replace("invite-ok", "AVP 0\r\n", "AVP 0 97\r\na=rtpmap:97 speex/8000\r\n"),
        ), FITS, "media", "RFC3264-8.3.2",
    ),
    "other address of the session": (
        reoffer_and("hold-ok", "2 2 IN IP4 127.9.8.2", "2 2 IN IP4 127.9.8.7"), FITS, "media", "RFC3264-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words", "node", "clause"), RED.values(), ids=RED)
def test_a_breach_is_charged_to_its_sender(annc: Flow, change: Change, words: str, node: str, clause: str) -> None:
    change(annc)
    assert found(annc) & {(words, node, clause)}, found(annc)
    assert {one[1] for one in found(annc)} == {node}


def leave(_flow: Flow) -> None:
    """Leave the announcement unchanged."""


@pytest.mark.parametrize("change", [leave, refuse, cancel, reoffer, record_route])
def test_correct_calls_are_green(annc: Flow, change: Change) -> None:
    change(annc)
    assert found(annc) == set()


HARMLESS: dict[str, Change] = {
    "free wording": replace("invite-ok", "200 OK", "200 Here you are"),
    "display name": replace("invite-ok", CONTACT, 'Contact: "a <b>" <sip:annc@127.9.8.2:5060>;expires=60'),
    "bare contact": replace("invite-ok", CONTACT, "Contact: sip:annc@127.9.8.2:5060"),
    "host in capitals": after(
        replace("invite", "<sip:127.9.8.3:5060>", "<sip:joe@Client.example>"),
        replace("bye", "sip:127.9.8.3:5060", "sip:joe@client.EXAMPLE:5060"),
    ),
    "warnings": replace("bye-ok", "CSeq", 'Warning: 399 h:5060 "a, \\"b", 301 - "c"\r\nCSeq'),
    "tried again with its Call-ID": after(
        refuse, lambda flow: flow.messages.extend(flow.messages.pop(flow.messages.index(flow[name]))
                                                  for name in ("invite", "trying", "invite-ok", "ack", "rtp", "bye",
                                                               "bye-ok")),
    ),
    "inactive for recvonly": replace("invite-ok", "sendonly", "inactive"),
    "extra format in an answer": replace("invite-ok", "RTP/AVP 0", "RTP/AVP 0 18"),
    "copies": lambda flow: setattr(flow["bye"], "copies", 3),
    "hold from nowhere": after(
        reoffer_and("hold", "c=IN IP4 127.9.8.3", "c=IN IP4 0.0.0.0"),
        replace("hold-ok", "c=IN IP4 127.9.8.2", "c=IN IP4 0.0.0.0"),
    ),
    "description unchanged": reoffer_and("hold-ok", "inactive", "inactive"),
}  # fmt: skip


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_harmless_variations_are_green(annc: Flow, change: Change) -> None:
    change(annc)
    assert found(annc) == set()


def test_a_run_without_sip_shows_nothing(annc: Flow) -> None:
    annc.messages = [one for one in annc.messages if one.kind == "imap"]
    for check in CHECKS.values():
        assert check.run(ANNC, annc.evidence(), "").reached == ()


def test_uris_are_read_whatever_their_display_name() -> None:
    assert uri_in('"a <b>, c" <sip:x@h>;q=1') == "sip:x@h"
    assert uri_in("sip:x@h;q=1") == "sip:x@h"
    assert same_uri("sip:x@H;lr;a=1", "SIP:x@h:5060;a=1;lr")
    assert not same_uri("sip:x@h", "sip:X@h")
    assert not same_uri("sip:x@h", "sips:x@h")


def test_lists_of_one_line_are_told_apart() -> None:
    text = 'BYE sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nWarning: 399 h "a, b"\r\n\r\n'
    message = read_sip(text)
    assert values_of(message, "via") == ("SIP/2.0/UDP a", "SIP/2.0/UDP b")
    assert values_of(message, "warning") == ('399 h "a, b"',)
