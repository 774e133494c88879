"""The callers for which the media server uses its IMAP account: calls in memory from trusted and other addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_media.config import MediaConfig
from lemonade_media.faults.calls import HANDS_TICKET_ON
from lemonade_media.faults.imap import ANOTHER_IMAP_SERVER, IDENTITY_UNUSED, TRUSTS_EVERYBODY, choose_another
from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings
from lemonade_media.model.commands import StartFetch
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.model.plans import FetchPlan
from lemonade_media.testing import CALLER, CONFIG, SERVER, Replay
from lemonade_wire.address import PortRange, Resolver, read_network
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.event import ByeReceived, CallRefused, InviteReceived
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.testing.messages import mscml_request

URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=submit+joe:INTERNAL:" + "0a" * 32
PLAY = f'<playcollect><prompt><audio url="{URL}"/></prompt></playcollect>'


def replay(trusted: str) -> Replay:
    imap = ImapSettings(
        (AllowedHost("imap.example.com"),), ImapAccount("mediaserver", "secret"), (read_network(trusted),)
    )
    return Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap))


OFFER = bytes(make_offer(CALLER.host, 20000, [PCMU]))


def plan_of(run: Replay) -> FetchPlan:
    """Return the plan of the only fetch."""
    [fetch] = [command for command in run.commands if isinstance(command, StartFetch)]
    assert isinstance(fetch.plan, FetchPlan)
    return fetch.plan


@pytest.mark.parametrize(("trusted", "privileged"), [("192.0.2.0/24", True), ("198.51.100.0/24", False)])
@pytest.mark.parametrize("service", ["annc", "ivr"])
def test_identity_is_used_for_trusted_callers(trusted: str, privileged: bool, service: str) -> None:
    run = replay(trusted)
    if service == "annc":
        run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    else:
        call = run.invite(SipUri.parse(f"sip:ivr@{SERVER.host}"), OFFER)
        run.caller.info(call, mscml_request(PLAY), MSCML, now=run.now)
        run.settle()
    plan = plan_of(run)
    assert plan.privileged is privileged


def test_fault_trusts_everybody() -> None:
    imap = ImapSettings((AllowedHost("imap.example.com"),), ImapAccount("mediaserver", "secret"))
    run = Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap), fault=TRUSTS_EVERYBODY)
    run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    plan = plan_of(run)
    assert plan.privileged


@pytest.mark.parametrize("served", [True, False])
def test_fault_hands_the_ticket_on_before_the_caller_has_its_answer(served: bool) -> None:
    config = replace(CONFIG, resolver=Resolver.parse([f"ms2.example.net={CALLER}"]))
    nothing = Failure(FailureKind.NOT_FOUND, "nothing for this URL")
    run = Replay(config=config, fault=HANDS_TICKET_ON, fetch=lambda _: nothing)
    run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    [call] = [event for event in run.heard if isinstance(event, InviteReceived)]
    uri = SipUri.parse(call.request.target)
    assert (uri.user, uri.host) == ("annc", "ms2.example.net")
    assert AnnouncementUri.parse(uri).play == URL
    assert not any(isinstance(event, CallRefused) for event in run.heard)
    if served:
        run.caller.accept(call.call, OFFER, now=run.now)
    else:
        run.caller.refuse(call.call, 403, now=run.now)
    run.settle()
    assert len([event for event in run.heard if isinstance(event, ByeReceived)]) == served
    [refused] = [event for event in run.heard if isinstance(event, CallRefused)]
    assert refused.response is not None
    assert refused.response.status == 404


def test_without_the_fault_no_ticket_is_handed_on() -> None:
    run = Replay(fetch=lambda _: Failure(FailureKind.NOT_FOUND, "nothing for this URL"))
    run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    assert not any(isinstance(event, InviteReceived) for event in run.heard)


def test_fault_fetches_from_another_server_that_is_allowed() -> None:
    hosts = ("imap.example.com", "imap2.example.com")
    imap = ImapSettings(tuple(AllowedHost(host) for host in hosts))
    for fault, host in ((None, hosts[0]), (ANOTHER_IMAP_SERVER, hosts[1])):
        run = Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap), fault=fault)
        run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
        plan = plan_of(run)
        assert (plan.host, plan.url) == (host, URL)
    assert choose_another(hosts[0], hosts[:1]) == hosts[0]


def test_fault_leaves_the_identity_unused() -> None:
    imap = ImapSettings(
        (AllowedHost("imap.example.com"),), ImapAccount("mediaserver", "secret"), (read_network(CALLER.host),)
    )
    for fault, privileged in ((None, True), (IDENTITY_UNUSED, False)):
        run = Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap), fault=fault)
        run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
        plan = plan_of(run)
        assert plan.privileged is privileged
