"""The table of a call's states (RFC 3261 sections 13 to 15), and actions that come too late."""

from __future__ import annotations

from itertools import product

import pytest

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import TRANSITIONS, SipSessionInput, SipSessionState, UserAgent

S, I = SipSessionState, SipSessionInput  # noqa: E741  the table below is read with short names

POSSIBLE = {
    S.INVITING: {I.ACCEPTANCE_RECEIVED: S.CONFIRMED, I.REFUSAL_RECEIVED: S.ENDED},
    S.OFFERED: {I.ACCEPTANCE_SENT: S.ACCEPTED, I.REFUSAL_SENT: S.ENDED, I.INVITE_WITHDRAWN: S.ENDED},
    S.ACCEPTED: {I.ACK_RECEIVED: S.CONFIRMED, I.BYE_SENT: S.ENDING, I.BYE_RECEIVED: S.ENDED, I.DIALOG_OVER: S.ENDED},
    S.CONFIRMED: {I.BYE_SENT: S.ENDING, I.BYE_RECEIVED: S.ENDED, I.DIALOG_OVER: S.ENDED},
    S.ENDING: {I.DIALOG_OVER: S.ENDED},
    S.ENDED: {},
}


@pytest.mark.parametrize(("state", "event"), list(product(SipSessionState, SipSessionInput)))
def test_an_input_leads_to_its_state_or_is_not_possible(state: SipSessionState, event: SipSessionInput) -> None:
    assert TRANSITIONS.get((state, event)) == POSSIBLE[state].get(event)


@pytest.mark.parametrize("start", [S.INVITING, S.OFFERED])
def test_every_call_can_end(start: SipSessionState) -> None:
    reached = {start}
    while more := {after for (before, _), after in TRANSITIONS.items() if before in reached} - reached:
        reached |= more
    assert S.ENDED in reached
    assert reached == {S.INVITING, S.CONFIRMED, S.ENDING, S.ENDED} or reached == set(S) - {S.INVITING}


def test_an_action_on_an_ended_call_raises_an_error() -> None:
    ua = UserAgent(UaSettings(Address("127.0.0.1", 5060)))
    with pytest.raises(SipUsageError, match="there is no call 'gone'"):
        ua.accept("gone", b"", now=0)
    with pytest.raises(SipUsageError, match="there is no call 'gone'"):
        ua.bye("gone", now=0)


def test_an_action_on_an_ended_call_is_reported_and_does_nothing_where_the_application_wants_that() -> None:
    late: list[str] = []
    ua = UserAgent(UaSettings(Address("127.0.0.1", 5060)))
    ua.report_late = late.append
    ua.accept("gone", b"", now=0)
    ua.refuse("gone", 404, now=0)
    ua.bye("gone", now=0)
    assert not ua.info("gone", b"x", "text/plain", now=0)
    ua.respond("gone", 200, now=0)  # the request is answered already
    assert late == ["there is no call 'gone'"] * 4
    assert ua.outputs() == []
