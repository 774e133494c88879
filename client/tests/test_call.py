"""The state of a client's call after each of its events."""

from lemonade_client.call import ClientCall
from lemonade_client.testing.bench import sip_info, sip_response
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallAnswered, CallEnded, CallRefused, InfoReceived
from lemonade_wire.sip.message.uri import SipUri

OFFER = make_offer("127.0.0.3", 20000, [PCMU])
SERVER = SipUri.parse("sip:media.example.net")
RESPONSE = '<MediaServerControl version="1.0"><response request="{}" id="{}" code="200"/></MediaServerControl>'


def test_the_state_of_a_call_from_invite_to_bye() -> None:
    call = ClientCall("c", "annc", OFFER, SERVER)
    assert (call.settled, call.up, call.over) == (False, False, False)
    call.observe(CallAnswered("c", sip_response(200, "OK")))
    assert (call.settled, call.up, call.over) == (True, True, False)
    call.observe(ByeReceived("c", sip_info("")))
    call.observe(CallEnded("c", "bye-received"))
    assert (call.settled, call.up, call.over, call.ended) == (True, False, True, "bye-received")


def test_the_state_of_a_refused_and_of_an_unanswered_call() -> None:
    refused, silent = ClientCall("c", "annc", OFFER, SERVER), ClientCall("d", "annc", OFFER, SERVER)
    refused.observe(CallRefused("c", sip_response(404)))
    silent.observe(CallRefused("d", None))
    assert (refused.status, refused.over, refused.up) == ("404", True, False)
    assert (silent.status, silent.over, silent.settled) == ("no answer", True, True)


def test_the_response_to_the_last_request_is_returned_once() -> None:
    call = ClientCall("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1"), ("playcollect", "2")])
    for name, number in (("playcollect", "1"), ("stop", "2"), ("playcollect", "2")):
        call.observe(InfoReceived("c", sip_info(RESPONSE.format(name, number)), "t"))
    taken = call.take_response()
    assert taken is not None
    assert (taken.request, taken.id) == ("playcollect", "2")
    before = call.take_response()
    assert before is not None
    assert before.id == "1"
    assert call.take_response() is None


def test_an_unreadable_body_sets_trouble() -> None:
    call = ClientCall("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1")])
    call.observe(InfoReceived("c", sip_info("<MediaServerControl"), "t"))
    assert "could not be read" in call.trouble
    call.observe(
        InfoReceived(
            "c", sip_info('<MediaServerControl version="1.0"><request><stop/></request></MediaServerControl>'), "t"
        )
    )
    assert call.trouble == "the media server sent an MSCML request"
    call.observe(InfoReceived("c", sip_info("x", "text/plain"), "t"))
    assert call.take_response() is None


def test_a_response_in_a_multipart_is_read() -> None:
    """RFC 5621 section 4.2."""
    part = "--b\r\nContent-Type: application/mediaservercontrol+xml;charset=utf-8\r\n\r\n"
    call = ClientCall("c", "ivr", OFFER, SERVER, asked=[("playcollect", "1")])
    call.observe(
        InfoReceived("c", sip_info(part + RESPONSE.format("playcollect", "1"), "multipart/mixed;boundary=b"), "t")
    )
    assert call.trouble == "the body of an INFO could not be read: Multipart without its last boundary"
    body = f"{part}{RESPONSE.format('playcollect', '1')}\r\n--b--\r\n"
    call.observe(InfoReceived("c", sip_info(body, "multipart/mixed;boundary=b"), "t"))
    assert call.take_response() is not None
