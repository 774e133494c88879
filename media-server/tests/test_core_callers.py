"""For whom the media server shows who it is: whole calls in memory, from an address that is trusted or is not."""

from __future__ import annotations

import pytest

from lemonade_media.addresses import read_network
from lemonade_media.commands import StartFetch
from lemonade_media.config import MediaConfig
from lemonade_media.faults import IdentityUnused, TrustsEverybody
from lemonade_media.imap_settings import AllowedHost, Identity, ImapSettings
from lemonade_media.replay import CALLER, SERVER, Replay
from lemonade_wire.address import PortRange
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.sdp.codec import PCMU
from lemonade_wire.sdp.offer import make_offer
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.uri import SipUri

URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=submit+joe:INTERNAL:" + "0a" * 32
PLAY = f'<playcollect><prompt><audio url="{URL}"/></prompt></playcollect>'
REQUEST = f'<?xml version="1.0"?><MediaServerControl version="1.0"><request>{PLAY}</request></MediaServerControl>'


def replay(trusted: str) -> Replay:
    imap = ImapSettings((AllowedHost("imap.example.com"),), Identity("mediaserver", "secret"), (read_network(trusted),))
    return Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap))


OFFER = bytes(make_offer(CALLER.host, 20000, [PCMU]))


@pytest.mark.parametrize(("trusted", "privileged"), [("192.0.2.0/24", True), ("198.51.100.0/24", False)])
@pytest.mark.parametrize("service", ["annc", "ivr"])
def test_identity_is_used_for_trusted_callers(trusted: str, privileged: bool, service: str) -> None:
    run = replay(trusted)
    if service == "annc":
        run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    else:
        call = run.invite(SipUri.parse(f"sip:ivr@{SERVER.host}"), OFFER)
        run.caller.info(call, REQUEST.encode(), MSCML, now=run.now)
        run.settle()
    [fetch] = [command for command in run.commands if isinstance(command, StartFetch)]
    assert fetch.plan.privileged is privileged


def test_fault_trusts_everybody() -> None:
    imap = ImapSettings((AllowedHost("imap.example.com"),), Identity("mediaserver", "secret"))
    run = Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap), fault=TrustsEverybody())
    run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
    [fetch] = [command for command in run.commands if isinstance(command, StartFetch)]
    assert fetch.plan.privileged


def test_fault_leaves_the_identity_unused() -> None:
    imap = ImapSettings(
        (AllowedHost("imap.example.com"),), Identity("mediaserver", "secret"), (read_network(CALLER.host),)
    )
    for fault, privileged in ((None, True), (IdentityUnused(), False)):
        run = Replay(config=MediaConfig(SERVER, PortRange(16384, 16484), imap=imap), fault=fault)
        run.invite(AnnouncementUri(URL).uri(SERVER.host), OFFER)
        [fetch] = [command for command in run.commands if isinstance(command, StartFetch)]
        assert fetch.plan.privileged is privileged
