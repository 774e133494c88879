"""The client's answers to offers of the media server within a call (RFC 3264 section 8)."""

from __future__ import annotations

import pytest

from lemonade_client.sdp_answer import answer_to
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec
from lemonade_wire.sdp.description import Direction
from lemonade_wire.sdp.offer import NoCommonCodec, make_offer

OURS = make_offer("127.0.0.3", 20000, [PCMU, PCMA], direction=Direction.SENDRECV, telephone_event=True, session_id=7)


def test_the_version_grows_only_if_the_description_changes() -> None:
    offer = make_offer("127.0.0.2", 16384, [PCMU], direction=Direction.SENDONLY)
    first = answer_to(OURS, offer, "127.0.0.3")
    assert (first.description.origin.session_id, first.description.origin.version) == (7, 2)
    assert first.streams[0].direction is Direction.RECVONLY
    assert answer_to(first.description, offer, "127.0.0.3").description == first.description
    again = answer_to(first.description, make_offer("127.0.0.2", 16384, [PCMU]), "127.0.0.3")
    assert again.description.origin.version == 3


def test_telephone_event_is_accepted_if_the_last_description_has_it() -> None:
    offer = make_offer("127.0.0.2", 16384, [PCMU], direction=Direction.SENDRECV, telephone_event=True)
    assert answer_to(OURS, offer, "127.0.0.3").streams[0].telephone_event == 101
    without = make_offer("127.0.0.3", 20000, [PCMU])
    assert answer_to(without, offer, "127.0.0.3").streams[0].telephone_event is None


def test_an_offer_without_a_common_codec_raises_no_common_codec() -> None:
    with pytest.raises(NoCommonCodec):
        answer_to(OURS, make_offer("127.0.0.2", 16384, [Codec("G729", 8000)]), "127.0.0.3")
