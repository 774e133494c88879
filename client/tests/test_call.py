"""A call's state, event by event."""

from collections.abc import Callable
from typing import Any

from lemonade_client.call import Call
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallEnded, CallRefused, InfoReceived
from lemonade_wire.sip.uri import SipUri

OFFER = make_offer("127.0.0.3", 20000, [PCMU])
SERVER = SipUri.parse("sip:media.example.net")
RESPONSE = '<MediaServerControl version="1.0"><response request="{}" id="{}" code="200"/></MediaServerControl>'


def test_from_the_invite_to_the_bye(bench: Callable[..., Any]) -> None:
    make = bench("  []\n")
    call = Call("c", "annc", OFFER, SERVER)
    assert (call.settled, call.up, call.over) == (False, False, False)
    call.observe(CallAnswered("c", make.make_response(200, "OK")))
    assert (call.settled, call.up, call.over) == (True, True, False)
    call.observe(ByeReceived("c", make.make_info("")))
    call.observe(CallEnded("c", "bye-received"))
    assert (call.settled, call.up, call.over, call.ended) == (True, False, True, "bye-received")


def test_a_refusal_and_no_answer_at_all(bench: Callable[..., Any]) -> None:
    refused, silent = Call("c", "annc", OFFER, SERVER), Call("d", "annc", OFFER, SERVER)
    refused.observe(CallRefused("c", bench("  []\n").make_response(404)))
    silent.observe(CallRefused("d", None))
    assert (refused.status, refused.over, refused.up) == ("404", True, False)
    assert (silent.status, silent.over, silent.settled) == ("no answer", True, True)


def test_the_response_to_the_last_request_is_taken_once(bench: Callable[..., Any]) -> None:
    make = bench("  []\n").make_info
    call = Call("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1"), ("playcollect", "2")])
    for name, number in (("playcollect", "1"), ("stop", "2"), ("playcollect", "2")):
        call.observe(InfoReceived("c", make(RESPONSE.format(name, number)), "t"))
    taken = call.take_response()
    assert taken is not None
    assert (taken.request, taken.id) == ("playcollect", "2")
    before = call.take_response()
    assert before is not None
    assert before.id == "1"
    assert call.take_response() is None


def test_what_cannot_be_read_is_remembered_as_trouble(bench: Callable[..., Any]) -> None:
    make = bench("  []\n").make_info
    call = Call("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1")])
    call.observe(InfoReceived("c", make("<MediaServerControl"), "t"))
    assert "could not be read" in call.trouble
    call.observe(
        InfoReceived(
            "c", make('<MediaServerControl version="1.0"><request><stop/></request></MediaServerControl>'), "t"
        )
    )
    assert call.trouble == "the media server sent an MSCML request"
    call.observe(InfoReceived("c", make("x", "text/plain"), "t"))
    assert call.take_response() is None


def test_a_response_may_stand_in_a_multipart(bench: Callable[..., Any]) -> None:
    """RFC 5621 section 4.2."""
    make = bench("  []\n").make_info
    part = "--b\r\nContent-Type: application/mediaservercontrol+xml;charset=utf-8\r\n\r\n"
    call = Call("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1")])
    call.observe(InfoReceived("c", make(part + RESPONSE.format("playcollect", "1"), "multipart/mixed;boundary=b"), "t"))
    assert call.trouble == "the body of an INFO could not be read: Multipart without its last boundary"
    body = f"{part}{RESPONSE.format('playcollect', '1')}\r\n--b--\r\n"
    call.observe(InfoReceived("c", make(body, "multipart/mixed;boundary=b"), "t"))
    assert call.take_response() is not None
