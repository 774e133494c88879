"""Every response of the IVR service is valid by the schema: for every failure, and for events in any order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_media.model.actions import Action, FetchMedia, Notify, Respond, StartPlaying
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.services.ivr import IvrSession, Phase
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.dregex import DRegex
from lemonade_wire.mscml.grammar import Grammar
from lemonade_wire.mscml.messages import (
    Audio,
    ConfigureLeg,
    KeypressSubscription,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    Request,
    StopRequest,
    Unsupported,
)
from lemonade_wire.mscml.structure import REQUESTS

Check = Callable[[bytes], None]
PROMPT = Prompt((Audio("imap://h/one"), Audio("imap://h/two")), stop_on_error=True)
FOLDER = Path("/srv/recordings")


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize(
    "asked", [PlayRequest(PROMPT), PlayCollectRequest(PROMPT, "1"), PlayRecordRequest("file:///a.wav", PROMPT)]
)
def test_the_response_to_every_failure_is_valid(kind: FailureKind, asked: Request, valid_mscml: Check) -> None:
    session = IvrSession(FOLDER)
    session.receive(asked, 0)
    (answered,) = session.fetch_failed(Failure(kind, "because"), 1)
    assert isinstance(answered, Respond)
    assert answered.response.code >= 400
    valid_mscml(write_document(answered.response))


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_the_response_to_every_unsupported_request_is_valid(name: str, valid_mscml: Check) -> None:
    valid_mscml(write_document(MscmlResponse(name, 400, "Bad Request", "1")))
    (answered,) = IvrSession().receive(Unsupported(name, "1"), 0)
    assert isinstance(answered, Respond)
    valid_mscml(write_document(answered.response))


QUICK = PlayCollectRequest(PROMPT, first_digit_ms=0.0, interdigit_ms=0.0, extra_digit_ms=0.0)
ASKED: list[Request] = [
    PlayRequest(PROMPT, "play"),
    PlayRequest(None, "nothing"),
    replace(QUICK, id="collect", clear_digits=True, ff_key="6", rw_key="4"),
    PlayCollectRequest(None, "count", max_digits=2),
    PlayCollectRequest(
        PROMPT, "pattern", barge=False, clear_digits=True, patterns=(Grammar(DRegex.parse("1x"), "pin"),)
    ),
    PlayCollectRequest(PROMPT, "endless", first_digit_ms=math.inf, interdigit_ms=math.inf),
    PlayRecordRequest("file:///a.wav", PROMPT, "record"),
    PlayRecordRequest("file:///a.wav", None, "at once", beep=False, stop_keys="#"),
    PlayRecordRequest("file:///../a.wav", None, "nowhere"),
    StopRequest("stop"),
    StopRequest(),
    ConfigureLeg(KeypressSubscription("both"), (), "leg"),
    Unsupported("faxplay", "fax"),
]
EVENTS = st.one_of(
    st.sampled_from(ASKED).map(lambda request: ("ask", request)),
    st.sampled_from("0124569*#A").map(lambda key: ("key", key)),
    st.sampled_from([Failure(kind, "because") for kind in FailureKind]).map(lambda failure: ("failed", failure)),
    st.sampled_from(["limit", "first-silence", "last-silence", "stopped", "error"]).map(lambda why: ("recorded", why)),
    st.sampled_from(["fetched", "played", "released", "timer", "stop"]).map(lambda name: (name, None)),
)


def happens(session: IvrSession, event: tuple[str, object], now: float) -> list[Action]:
    match event:
        case ("ask", request):
            return session.receive(request, now)  # type: ignore[arg-type]  # EVENTS gives a request
        case ("key", key):
            return session.key(str(key), now, held_ms=0)
        case ("failed", failure):
            return session.fetch_failed(failure, now)  # type: ignore[arg-type]  # EVENTS gives a failure
        case ("recorded", why):
            return session.recording_ended(1000, 8058, why, now)  # type: ignore[arg-type]  # EVENTS gives one of its words
        case ("fetched", _):
            return session.media_fetched(5000, now)
        case ("played", _):
            return session.playing_ended(2500, 2500, now)
        case ("released", _):
            return session.key_released("4", now)
        case ("timer", _):
            return session.handle_timer(now)
    return session.stop(now)


@settings(max_examples=300)
@given(events=st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.02, 0.5, 3.0])), max_size=25))
def test_each_request_gets_one_valid_response_in_its_order(
    events: list[tuple[tuple[str, object], float]], valid_mscml: Check
) -> None:
    session, now = IvrSession(FOLDER), 0.0
    asked: list[str | None] = []
    answered: list[str | None] = []
    at_once: list[str | None] = []
    over: list[tuple[str, object]] = [("stop", None), ("played", None), ("recorded", "stopped"), ("played", None)]
    endings = [(event, 0.1) for event in [*over, *over]]  # what runs, and what waits behind it
    for event, wait in [*events, *endings]:
        now += wait
        if event[0] == "ask":
            request: Request = event[1]  # type: ignore[assignment]  # EVENTS gives a request
            (at_once if isinstance(request, ConfigureLeg | Unsupported) else asked).append(request.id)
        actions = happens(session, event, now)
        assert sum(isinstance(action, FetchMedia | StartPlaying) for action in actions) <= 1
        for action in actions:
            if isinstance(action, Respond):
                valid_mscml(write_document(action.response))
                other = action.response.request in {"configure_leg", "faxplay"}
                assert not other or at_once.pop(0) == action.response.id
                answered += [] if other else [action.response.id]
            elif isinstance(action, Notify):
                valid_mscml(write_document(action.keypress))
        assert answered == asked[: len(answered)]
        assert session.phase is not Phase.OVER
        due = session.next_timer()
        assert due is None or session.phase is Phase.COLLECTING
    assert answered == asked
    assert session.phase is None
    assert at_once == []
