"""Calls of PJSIP, an independent SIP implementation, to the real servers: it listens to mail and presses keys.

Its recording has passed its jitter buffer, which drops or inserts 10 ms when this machine is slow. Therefore the sound
is searched piece by piece: all of it must be there and in order, and half of the pieces unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest

from lemonade_testbed.audio.compare import Samples, correlation, find
from lemonade_testbed.ladder.mscmltext import ResponseText
from lemonade_testbed.ladder.siptext import SipText, mscml_of

if TYPE_CHECKING:
    from tests.pjsua2.conftest import Agent, Place

MSCML = "application/mediaservercontrol+xml"
DOCUMENT = '<?xml version="1.0"?><MediaServerControl version="1.0"><request>{}</request></MediaServerControl>'
COLLECT = '<playcollect id="{id}" {how}><prompt><audio url={url}/></prompt></playcollect>'
RATE = 8000
PIECE = RATE // 25
UNTOUCHED = 0.5
"""The least share of the pieces that must be unchanged: on an idle machine all are, and of another sound none is."""
SLACK = RATE // 5
"""Samples by which pieces may be shifted against each other; a hold that lost sound would shift them by more."""
G711 = ["PCMU/8000"]
EVERYTHING = [*G711, "PCMA/8000", "speex/16000", "speex/8000", "speex/32000", "iLBC/8000", "GSM/8000", "G722/16000"]


def where(sound: Samples, heard: Samples) -> dict[int, int]:
    """Return the positions in `heard` of those pieces of `sound` that are found there, by the number of the piece."""
    found = {}
    for number in range(len(sound) // PIECE):
        piece = sound[number * PIECE : (number + 1) * PIECE]
        start = max(find(piece, heard), 0)
        there = heard[start : start + PIECE]
        if len(there) == PIECE and correlation(piece.astype(np.float64), there.astype(np.float64)) > 0.99:
            found[number] = start
    return found


def must_be_whole(sound: Samples, heard: Samples) -> None:
    found, pieces = where(sound, heard), len(sound) // PIECE
    assert len(found) >= UNTOUCHED * pieces, f"{sorted(found)} of {pieces} pieces"
    shifts = [start - number * PIECE for number, start in found.items()]
    assert max(shifts) - min(shifts) <= SLACK, f"{min(shifts)} to {max(shifts)} samples out of place"


def must_be_the_start(sound: Samples, heard: Samples, seconds: float) -> None:
    """Assert that the first `seconds` of the sound were heard, and no more."""
    ended = round(seconds * RATE)
    must_be_whole(sound[:ended], heard)
    assert not [number for number in where(sound, heard) if number * PIECE > ended]


def is_final(text: SipText, method: str = "INVITE") -> bool:
    return text.is_response and text.method == method and text.status >= "200"


def collect(place: Place, call: int, id: str, how: str) -> None:  # noqa: A002  MSCML's name
    """Ask an ivr leg to play the mail and to collect keys."""
    request = COLLECT.format(id=id, how=how, url=quoteattr(place.url))
    place.agent.do("request", call, type=MSCML, body=DOCUMENT.format(request))


def await_response(agent: Agent, call: int) -> ResponseText:
    found = mscml_of(agent.await_message(call, lambda text: isinstance(mscml_of(text), ResponseText)))
    assert isinstance(found, ResponseText)
    return found


@pytest.mark.parametrize(
    ("transport", "codecs", "over"),
    [("udp", G711, "UDP"), ("tcp", ["PCMA/8000"], "TCP"), ("udp", EVERYTHING, "TCP")],
    ids=["UDP", "TCP", "too big for UDP"],
)
def test_an_announcement_is_heard_whole(place: Place, transport: str, codecs: list[str], over: str) -> None:
    """An offer of all that PJSIP knows is longer than 1,300 octets: it goes over TCP (RFC 3261 section 18.1.1).

    It also is answered by more than one codec, which PJSIP changes by a re-INVITE at once.
    """
    agent = place.agent
    call = agent.call(place.annc(transport), codecs)
    accepted = agent.await_message(call, is_final)
    assert accepted.header("via").startswith(f"SIP/2.0/{over} ")
    assert accepted.header("session-expires") == "1800;refresher=uac"
    assert agent.await_told("state", call, state="DISCONNECTED")["status"] == 200
    must_be_whole(place.sound, agent.heard(call))


def test_content_that_cannot_be_played_is_refused(place: Place) -> None:
    agent = place.agent
    for uri, codecs, status in (
        (place.annc("udp").replace("SECTION", "SECTIOM"), G711, 404),
        (place.annc("udp"), ["GSM/8000"], 488),
    ):
        call = agent.call(uri, codecs)
        assert agent.await_told("state", call, state="DISCONNECTED")["status"] == status


@pytest.mark.parametrize("codecs", [G711, EVERYTHING], ids=["PCMU alone", "everything"])
def test_keys_by_info_and_in_rtp_are_collected_in_their_order(place: Place, codecs: list[str]) -> None:
    agent = place.agent
    call = agent.call(place.ivr(), codecs)
    agent.await_told("state", call, state="CONFIRMED")
    collect(place, call, "keys", 'maxdigits="4" interdigittimer="20s"')
    agent.await_packets(call, 40)
    agent.do("press", call, keys="1", by="info")
    assert agent.await_message(call, lambda text: is_final(text, "INFO")).status == "200"
    agent.do("press", call, keys="234", by="rtp")
    response = await_response(agent, call)
    assert (response.id, response.code, response.reason, response.digits) == ("keys", 200, "match", "1234")
    agent.do("hang-up", call)
    agent.await_told("state", call, state="DISCONNECTED")
    assert response.play_duration_ms is not None
    must_be_the_start(place.sound, agent.heard(call), response.play_duration_ms / 1000)


@pytest.mark.parametrize("by", ["info", "rtp"])
def test_the_escape_key_stops_the_sound_and_the_call_goes_on(place: Place, by: str) -> None:
    """PJSIP answers 500 to the server's INFO with the response; that must not end the call."""
    agent = place.agent
    call = agent.call(place.ivr(), G711)
    agent.await_told("state", call, state="CONFIRMED")
    collect(place, call, "stop", 'escapekey="*"')
    agent.await_packets(call, 40)
    agent.do("press", call, keys="*", by=by)
    stopped = await_response(agent, call)
    assert (stopped.id, stopped.reason, stopped.digits) == ("stop", "escapekey", "")
    assert stopped.play_duration_ms is not None
    assert stopped.play_duration_ms < 1000 * len(place.sound) / RATE
    came = agent.await_packets(call, 0)
    agent.do("request", call, type=MSCML, body=DOCUMENT.format('<playcollect id="more" firstdigittimer="300ms"/>'))
    assert (await_response(agent, call).id, agent.await_packets(call, 0)) == ("more", came)
    agent.do("hang-up", call)
    agent.await_told("state", call, state="DISCONNECTED")
    must_be_the_start(place.sound, agent.heard(call), stopped.play_duration_ms / 1000)


def test_an_announcement_on_hold_stands_still_while_another_is_heard(place: Place) -> None:
    """The hold loses what is in PJSIP's jitter buffer. If the server played on, the rest would be lost too."""
    agent = place.agent
    held = agent.call(place.annc("udp"), G711)
    agent.await_told("state", held, state="CONFIRMED")
    agent.await_packets(held, 40)
    agent.do("hold", held)
    assert agent.await_message(held, lambda text: is_final(text) and "recvonly" in text.body).status == "200"
    other = agent.call(place.annc("udp", duration=1500), G711)
    agent.await_told("state", other, state="DISCONNECTED")
    agent.do("resume", held)
    agent.await_told("state", held, state="DISCONNECTED")
    must_be_the_start(place.sound, agent.heard(other), 1.5)
    found = where(place.sound, agent.heard(held))
    assert min(found) <= 5
    assert len([number for number in found if number * PIECE >= RATE]) >= 6
    assert [found[number] for number in sorted(found)] == sorted(found.values())
