"""Random sequences of actions of two user agents over a lossy network: each call ends exactly once."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.address import Address
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import (
    CallAnswered,
    CallConfirmed,
    InfoReceived,
    InviteReceived,
    ReinviteAnswered,
    RequestAnswered,
)
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.testing import Net

MEDIA = Address("127.0.0.2", 5060)
OTHER = b"v=0\r\no=other offer\r\n"
AGREED = b"v=0\r\no=other answer\r\n"
ACTIONS = ["reinvite", "accept", "refuse", "info", "respond", "wait", "wait long", "bye"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["client", "media"]), st.sampled_from(ACTIONS)), max_size=25),
    st.integers(0, 2**32),
    st.sampled_from([0, 0.2]),
)
def test_the_call_ends_once_on_each_side_in_any_order_of_actions(
    actions: list[tuple[str, str]], seed: int, share: float
) -> None:
    """In any order of actions and with lost datagrams each request is answered, and the call ends once on each side."""
    rng = random.Random(seed)
    net = Net(loses=lambda _: rng.random() < share)
    calls = dict(zip(("client", "media"), net.talk(), strict=True)) if not share else talk_at_last(net)
    asked: dict[str, list[str]] = {"client": [], "media": []}
    for name, action in actions:
        ua, call = net.ua(name), calls[name]
        with contextlib.suppress(SipUsageError):
            if action == "reinvite":
                asked[name].append(ua.reinvite(call, OTHER, now=net.now))
            elif action == "accept":
                ua.accept(call, AGREED, now=net.now)
            elif action == "refuse":
                ua.refuse(call, rng.choice([488, 491, 500]), now=net.now)
            elif action == "info":
                asked[name].append(ua.info(call, b"x", "text/x", now=net.now))
            elif action == "bye":
                ua.bye(call, now=net.now)
        if action == "respond":
            for event in net.happened[name]:
                if isinstance(event, InfoReceived):
                    ua.respond(event.transaction, 200, now=net.now)
        net.run(net.now + {"wait": 1.0, "wait long": 10.0}.get(action, 0.0))
    net.loses = lambda _: False
    for name in ("client", "media"):
        with contextlib.suppress(SipUsageError):
            net.ua(name).bye(calls[name], now=net.now)
        net.run(net.now + 40)
    net.run(net.now + 300)
    for name in ("client", "media"):
        assert net.ua(name).next_timer() is None
        events = net.happened[name]
        assert net.kinds(name).count("CallEnded") == 1
        answers = [event.transaction for event in events if isinstance(event, RequestAnswered | ReinviteAnswered)]
        assert sorted(answers) == sorted(asked[name])


def talk_at_last(net: Net) -> dict[str, str]:
    """Repeat a call over a lossy network until one is set up; returns its identifiers on both sides."""
    while True:
        mine = net.client.invite(SipUri.parse("sip:annc@media.example.net"), next_hop=MEDIA, now=net.now, body=b"v=0")
        net.run(net.now + 31)
        for event in net.happened["media"]:
            if isinstance(event, InviteReceived):
                with contextlib.suppress(SipUsageError):
                    net.media.accept(event.call, AGREED, now=net.now)
                    net.run(net.now + 31)
        confirmed = [event.call for event in net.happened["media"] if isinstance(event, CallConfirmed)]
        answered = [event.call for event in net.happened["client"] if isinstance(event, CallAnswered)]
        ended = "CallEnded" in net.kinds("client") + net.kinds("media")
        if confirmed and answered == [mine] and not ended:
            return {"client": mine, "media": confirmed[0]}
        net.run(net.now + 300)
        for name in ("client", "media"):
            net.happened[name].clear()
