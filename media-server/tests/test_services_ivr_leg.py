"""The notifications of key presses (RFC 5022 section 7.1)."""

from __future__ import annotations

import pytest

from lemonade_media.model.actions import Action, Notify, Respond, StopPlaying
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.mscml.messages import (
    Audio,
    ConfigureLeg,
    Keypress,
    KeypressSubscription,
    MscmlResponse,
    PlayCollectRequest,
    PlayRecordRequest,
    PlayRequest,
    Prompt,
    Report,
)

PROMPT = Prompt((Audio("imap://h/x"),), stop_on_error=True)


def subscribed(report: Report = "both") -> IvrSession:
    session = IvrSession()
    session.start(0)
    answered = session.receive(ConfigureLeg(KeypressSubscription(report), id="9"), 1)
    assert answered == [Respond(MscmlResponse("configure_leg", id="9"))]
    return session


def told(actions: list[Action]) -> list[Keypress]:
    return [action.keypress for action in actions if isinstance(action, Notify)]


@pytest.mark.parametrize(
    ("report", "plain", "held", "doubled"),
    [
        ("standard", ["standard"], ["standard"], ["standard"]),
        ("long", [], ["long"], ["double"]),
        ("both", ["standard"], ["standard", "long"], ["standard", "double"]),
        ("none", [], [], []),
    ],
)
def test_each_subscription_reports_its_kinds_of_press(
    report: Report, plain: list[str], held: list[str], doubled: list[str]
) -> None:
    session = subscribed(report)
    assert [one.method for one in told(session.key("4", 10))] == plain
    assert [one.method for one in told(session.key("5", 20, held_ms=1001))] == held
    session.key("6", 30)
    assert [one.method for one in told(session.key("6", 32))] == doubled


def test_the_first_event_has_no_time_before_it_and_the_next_ones_have() -> None:
    session = subscribed()
    first, second = told(session.key("4", 10)), told(session.key("5", 10.25))
    assert (first[0].since_ms, second[0].since_ms) == (0, 250)
    assert (first[0].length, first[0].digit) == ("standard", "4")
    standard, double = told(session.key("5", 11.25))
    assert (standard.since_ms, double.since_ms, double.length) == (1000, 0, "long")
    session.receive(ConfigureLeg(KeypressSubscription("standard")), 12)
    assert told(session.key("4", 13))[0].since_ms == 0


def test_a_late_or_third_press_or_another_key_makes_no_double() -> None:
    session = subscribed("long")
    for key, now in (("4", 0), ("4", 2.001), ("5", 3), ("4", 3.5), ("5", 4)):
        assert told(session.key(key, now)) == []
    assert [one.method for one in told(session.key("5", 5))] == ["double"]
    assert told(session.key("5", 6)) == []  # a third press is the first of the next double press
    assert [one.method for one in told(session.key("5", 7))] == ["double"]


def test_a_key_held_for_long_is_reported_at_its_release() -> None:
    session = subscribed()
    session.key("4", 10, held_ms=0)
    assert session.key_released("5", 12) == []
    (late,) = told(session.key_released("4", 11.5))
    assert (late.method, late.since_ms) == ("long", 1500)
    assert session.key_released("4", 13) == []
    session.key("4", 20, held_ms=0)
    assert session.key_released("4", 21) == []
    assert IvrSession().key_released("4", 21) == []


def test_the_status_has_the_running_command_and_its_duration() -> None:
    def status(actions: list[Action]) -> tuple[str, float]:
        (one,) = told(actions)
        return one.command, one.command_ms

    session = subscribed("standard")
    assert status(session.key("4", 3)) == ("idle", 3000)
    session.receive(PlayCollectRequest(PROMPT, clear_digits=True), 5)
    session.media_fetched(9000, 5.5)
    actions = session.key("4", 7)
    assert status(actions) == ("play", 2000)
    assert actions[-1] == StopPlaying()
    session.playing_ended(1500, 1500, 7.25)
    assert status(session.key("4", 8)) == ("collect", 750)
    session.key("*", 9)
    assert status(session.key("4", 9.5)) == ("idle", 500)


def test_a_subscription_does_not_stop_the_running_request() -> None:
    session = subscribed()
    session.receive(PlayRequest(PROMPT), 1)
    assert session.media_fetched(9000, 1.5)
    assert session.receive(ConfigureLeg(KeypressSubscription("none")), 2) == [Respond(MscmlResponse("configure_leg"))]
    assert session.key("4", 3) == []
    assert session.playing_ended(9000, 9000, 10) != []


def test_configure_leg_without_a_subscription_changes_nothing() -> None:
    session = subscribed()
    assert session.receive(ConfigureLeg(), 2) == [Respond(MscmlResponse("configure_leg"))]
    assert len(told(session.key("4", 3))) == 1


def test_a_subscription_to_call_progress_tones_gets_501() -> None:
    session = IvrSession()
    asked = ConfigureLeg(KeypressSubscription("both"), (("busy", True),), "1")
    assert session.receive(asked, 1) == [Respond(MscmlResponse("configure_leg", 501, "Not Implemented", "1"))]
    assert session.key("4", 2) == []
    silent = ConfigureLeg(KeypressSubscription("both"), (("busy", False),), "1")
    assert session.receive(silent, 3) == [Respond(MscmlResponse("configure_leg", id="1"))]
    assert len(told(session.key("5", 4))) == 1


def test_an_ended_call_sends_no_notification() -> None:
    session = subscribed()
    session.key("4", 2, held_ms=0)
    session.close()
    assert session.key("4", 3) == []
    assert session.key_released("4", 4) == []
    assert session.receive(ConfigureLeg(), 5) == []


def test_a_failed_request_leaves_the_leg_idle() -> None:
    session = subscribed()
    session.receive(PlayRecordRequest("file:///x.wav"), 5)
    assert told(session.key("4", 6))[0].command == "idle"
    session.receive(PlayRequest(PROMPT), 7)
    session.fetch_failed(Failure(FailureKind.NOT_FOUND, "NIL"), 8)
    assert told(session.key("4", 9))[0].command == "idle"
