"""What each fault of the media server's SIP messages and SDP answers changes, octet by octet."""

from __future__ import annotations

import pytest

from lemonade_media.faults.registry import FAULTS
from lemonade_media.faults.sdp import SDP_FAULTS
from lemonade_media.faults.sip import SIP_FAULTS
from lemonade_wire.sip.message.fault import MessageFault

HEAD = (
    "Via: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bKi;rport=5060\r\nMax-Forwards: 70\r\nFrom: <sip:joe@127.0.0.3>;tag=a\r\n"
    "To: <sip:annc@127.0.0.2>;tag=b\r\nCall-ID: c@x\r\nCSeq: 7 %s\r\nContact: <sip:annc@127.0.0.2>\r\n\r\n"
)
BYE = "BYE sip:joe@127.0.0.3 SIP/2.0\r\n" + HEAD % "BYE"
SDP = (
    "v=0\r\no=- 9 2 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0 96\r\n"
    "a=rtpmap:96 telephone-event/8000\r\na=sendonly\r\nm=video 0 RTP/AVP 31\r\n"
)


def response(status: str, method: str) -> str:
    return f"SIP/2.0 {status}\r\n" + HEAD % method


TRYING, GONE = response("100 Trying", "INVITE"), "481 Call/Transaction Does Not Exist"
REFUSED, CANCELLED = response("488 Not Acceptable", "INVITE"), response("487 Request Terminated", "INVITE")
NO_TYPE = response("415 Unsupported Media Type", "INFO").replace("\r\n\r\n", "\r\nAccept: application/sdp\r\n\r\n")
OK_BYE, OK_CANCEL = response("200 OK", "BYE"), response("200 OK", "CANCEL")
OK = response("200 OK", "INVITE").replace("\r\n\r\n", "\r\nContent-Type: application/sdp\r\n\r\n")


def fault_of(name: str) -> MessageFault:
    fault = FAULTS.pick(name)
    assert isinstance(fault, MessageFault)
    return fault


SIP = {
    "header-unreadable": (TRYING, "100 Trying\r\n", "100 Trying\r\nServer lemonade\r\n"),
    "bye-without-max-forwards": (BYE, "Max-Forwards: 70\r\n", ""),
    "bye-to-record": (BYE, "BYE sip:joe@127.0.0.3", "BYE sip:nobody@example.com"),
    "bye-without-tag": (BYE, ";tag=b", ""),
    "cseq-stuck": (BYE, "CSeq: 7", "CSeq: 1"),
    "via-other-transport": (BYE, "SIP/2.0/UDP", "SIP/2.0/TCP"),
    "bye-unanswered": (OK_BYE, OK_BYE, ""),
    "bye-refused": (OK_BYE, "200 OK", GONE),
    "cancel-unanswered": (OK_CANCEL, OK_CANCEL, ""),
    "cancel-ignored": (CANCELLED, CANCELLED, ""),
    "cancel-refused": (OK_CANCEL, "200 OK", GONE),
    "answer-without-contact": (OK, "Contact: <sip:annc@127.0.0.2>\r\n", ""),
    "answer-without-type": (OK, "Content-Type: application/sdp\r\n", ""),
    "answer-changes-tag": (OK_BYE, ";tag=b", ";tag=xb"),
    "answer-changes-from": (OK_BYE, "sip:joe", "sip:xjoe"),
    "refusal-without-tag": (REFUSED, ";tag=b", ""),
    "refusal-says-ok": (REFUSED, "488 Not Acceptable", "488 OK"),
    "warning-malformed": (REFUSED, "\r\n\r\n", '\r\nWarning: 399 "no such service"\r\n\r\n'),
    "rport-empty": (REFUSED, ";rport=5060", ";rport"),
    "rport-wrong": (REFUSED, ";rport=5060", ";rport=1"),
    "refusal-without-accept": (NO_TYPE, "Accept: application/sdp\r\n", ""),
    "requires-timer": (OK, "\r\n\r\n", "\r\nRequire: timer\r\n\r\n"),
    "session-too-short": (OK, "\r\n\r\n", "\r\nSession-Expires: 60;refresher=uas\r\n\r\n"),
    "refresher-unnamed": (OK, "\r\n\r\n", "\r\nSession-Expires: 1800\r\n\r\n"),
    "retry-after-in-words": (REFUSED, "\r\n\r\n", "\r\nRetry-After: soon\r\n\r\n"),
    "trying-missing": (TRYING, TRYING, ""),
    "from-uri-changes": (BYE, "sip:joe@127.0.0.3>", "sip:mediaserver@example.net>"),
    "refuses-everything": (response("200 OK", "OPTIONS"), "200 OK", "488 Not Acceptable Here"),
}
SDP_CHANGES = {
    "answer-without-direction": ("a=sendonly\r\n", ""),
    "answer-other-transport": ("RTP/AVP ", "RTP/AVPF "),
    "answer-other-format": ("RTP/AVP 0 96", "RTP/AVP 18"),
    "answer-odd-port": ("audio 16384", "audio 16381"),
    "answer-long-ptime": ("a=sendonly", "a=ptime:2000\r\na=sendonly"),
    "answer-without-connection": ("c=IN IP4 127.0.0.2\r\n", ""),
    "answer-without-time": ("t=0 0\r\n", ""),
    "answer-other-time": ("t=0 0", "t=3970000000 0"),
    "answer-two-directions": ("a=sendonly", "a=sendonly\r\na=sendrecv"),
    "answer-inactive": ("a=sendonly", "a=inactive"),
    "answer-elsewhere": ("c=IN IP4 127.0.0.2", "c=IN IP4 192.0.2.1"),
    "answer-rejects-all": ("audio 16384", "audio 0"),
    "answer-without-name": ("s=-\r\n", "s=\r\n"),
    "answer-other-clock": ("telephone-event/8000", "telephone-event/16000"),
    "version-stuck": ("o=- 9 2", "o=- 9 1"),
}
STATEFUL = {"no-second-200", "answer-sent-twice", "info-unanswered", "ok-after-ack", "bye-twice", "ringing-after-200"}


def test_each_fault_is_in_a_table() -> None:
    assert {fault.name for fault in SIP_FAULTS} == {*SIP, *STATEFUL}
    assert {fault.name for fault in SDP_FAULTS if isinstance(fault, MessageFault)} == {*SDP_CHANGES}


@pytest.mark.parametrize("name", SIP)
def test_a_message_is_changed_in_one_place_and_no_other_message(name: str) -> None:
    message, old, new = SIP[name]
    assert old in message
    assert fault_of(name).rewrite(message.encode()).decode() == message.replace(old, new)
    other = OK.replace("200 OK", "183 Session Progress") if name not in {"rport-empty", "rport-wrong"} else BYE
    assert fault_of(name).rewrite(other.encode()).decode() == other


@pytest.mark.parametrize("name", SDP_CHANGES)
def test_an_answer_is_changed_in_one_place(name: str) -> None:
    old, new = SDP_CHANGES[name]
    assert old in SDP
    changed = SDP.replace(old, new)
    length = f"\r\nContent-Length: {len(changed)}\r\n\r\n"
    assert fault_of(name).rewrite((OK + SDP).encode()).decode() == OK.replace("\r\n\r\n", length) + changed
    assert fault_of(name).rewrite((BYE + SDP).encode()).decode() == BYE + SDP


def test_a_200_to_invite_is_sent_once_for_each_invite() -> None:
    fault, later = fault_of("no-second-200"), OK.replace("CSeq: 7", "CSeq: 8")
    sent = [fault.rewrite(data.encode()).decode() for data in (OK, OK, later, OK_BYE, OK_BYE)]
    assert sent == [OK, "", later, OK_BYE, OK_BYE]


def test_the_first_info_of_a_call_is_answered_and_no_other() -> None:
    fault, first = fault_of("info-unanswered"), response("200 OK", "INFO")
    later = first.replace("CSeq: 7", "CSeq: 8")
    other_call = later.replace("c@x", "d@x")
    sent = [fault.rewrite(data.encode()).decode() for data in (first, later, first, other_call)]
    assert sent == [first, "", first, other_call]


def test_the_200_to_invite_is_sent_again_behind_bye() -> None:
    fault = fault_of("ok-after-ack")
    assert fault.rewrite(OK.encode()) == OK.encode()
    assert fault.behind(OK.encode()) == b""
    assert fault.behind(BYE.encode()) == OK.encode()


def test_a_second_bye_has_the_next_number_and_another_branch() -> None:
    fault = fault_of("bye-twice")
    second = fault.behind(BYE.encode()).decode()
    assert "CSeq: 8 BYE\r\n" in second
    assert "branch=z9hG4bKxi" in second
    assert fault.behind(OK_BYE.encode()) == b""
    assert fault.rewrite(BYE.encode()) == BYE.encode()
    assert fault.pause > 0


def test_180_is_sent_behind_the_200_to_invite() -> None:
    fault = fault_of("ringing-after-200")
    ringing = fault.behind((OK + SDP).encode()).decode()
    assert ringing.startswith("SIP/2.0 180 Ringing\r\n")
    assert ringing.endswith("\r\nContent-Length: 0\r\n\r\n")
    assert "Content-Type" not in ringing
    assert fault.behind(OK_BYE.encode()) == b""


def test_a_200_to_invite_is_sent_twice() -> None:
    fault = fault_of("answer-sent-twice")
    assert fault.behind(OK.encode()) == fault.rewrite(OK.encode()) == OK.encode()
    assert fault.behind(OK_BYE.encode()) == b""
    assert 0 < fault.pause < 0.1
