"""What each fault before a call puts on the wire, beside what the correct client does there."""

import re

import pytest

from lemonade_client.faults.calls import CALL_FAULTS
from lemonade_client.faults.imap import IMAP_FAULTS
from lemonade_client.faults.registry import FAULTS
from lemonade_client.testing.bench import Bench, behaviour_of
from lemonade_wire.faults import Fault
from lemonade_wire.profile import RFC_5616
from lemonade_wire.sip.message.fault import MessageFault

NESTED = (
    '(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 11 1)("TEXT" "HTML" NIL NIL NIL "7BIT" 11 1)'
    '("AUDIO" "BASIC" NIL NIL NIL "BASE64" 87256) "MIXED")'
)
CLIP = '(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 11 1)("VIDEO" "MP4" NIL NIL NIL "BASE64" 87256) "MIXED")'


def listing(value: str) -> dict[str, str]:
    return {"GETMETADATA": f'* METADATA "" (/public/mediaServers "{value}")\r\n'}


def asked(run: Bench) -> list[str]:
    """Return the arguments of every GENURLAUTH that was sent."""
    return [line.removeprefix("GENURLAUTH ") for line in run.mail.sent if line.startswith("GENURLAUTH ")]


@pytest.mark.parametrize("fault", [*CALL_FAULTS, *IMAP_FAULTS])
def test_every_fault_can_be_picked(fault: Fault) -> None:
    assert FAULTS.faults[fault.name] is fault


@pytest.mark.parametrize(("name", "sent"), [("", ["RESETKEY"]), ("raw-imap-unsent", [])])
def test_raw_commands(name: str, sent: list[str]) -> None:
    behaviour = behaviour_of(name)
    run = Bench("  - imap: RESETKEY\n", behaviour=behaviour, server={"RESETKEY": ""}).start()
    assert [line for line in run.mail.sent if line == "RESETKEY"] == sent
    assert run.states == ["1 done"]


@pytest.mark.parametrize(("name", "access"), [("", "submit+joe"), ("always-anonymous", "anonymous")])
def test_the_access_that_is_asked_for(name: str, access: str) -> None:
    behaviour = behaviour_of(name)
    run = Bench("  - find-part: {}\n  - authorise: {expire: none}\n", behaviour=behaviour).start()
    assert [line.partition(";URLAUTH=")[2] for line in asked(run)] == [f'{access}" INTERNAL']


@pytest.mark.parametrize(("name", "access"), [("", "stream"), ("draft-access", "submit+joe")])
def test_the_access_of_another_profile(name: str, access: str) -> None:
    steps = "  - find-part: {}\n  - authorise: {expire: none}\n"
    run = Bench(steps, behaviour=behaviour_of(name), profile=RFC_5616).start()
    assert [line.partition(";URLAUTH=")[2] for line in asked(run)] == [f'{access}" INTERNAL']


@pytest.mark.parametrize(("name", "access"), [("", "submit+joe"), ("token-by-case", "anonymous")])
def test_a_token_in_another_case(name: str, access: str) -> None:
    steps = "  - find-part: {}\n  - discover: {}\n  - authorise: {access: anonymous, expire: none}\n"
    server = listing("<sip:annc@a.example.net>:AuthUser")
    run = Bench(steps, behaviour=behaviour_of(name), server=server).start()
    assert [line.partition(";URLAUTH=")[2] for line in asked(run)] == [f'{access}" INTERNAL']


@pytest.mark.parametrize(
    ("name", "host"), [("", "a.example.net"), ("list-ignored", "media"), ("other-schemes-called", "b")]
)
def test_the_host_that_is_called(name: str, host: str) -> None:
    server = listing("<rtsp://b>;<sip:annc@a.example.net>")
    steps = "  - discover: {}\n  - announce: {url: 'imap://x'}\n"
    run = Bench(steps, head="media: 'sip:media'\n", behaviour=behaviour_of(name), server=server).start()
    assert run.last("INVITE").sent_to[0].partition(";")[0] == f"sip:annc@{host}"


def test_a_host_that_is_neither_listed_nor_configured() -> None:
    fault = FAULTS.pick("host-not-listed")
    assert isinstance(fault, MessageFault)
    invite = b"INVITE sip:annc@media.example.net:5060;play=imap:%2F%2Fjoe%40x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"
    assert fault.rewrite(invite) == invite.replace(b"media.example.net", b"media.elsewhere.example")


@pytest.mark.parametrize(("name", "entries"), [("", 0), ("discovers-unasked", 2)])
def test_discovery_that_no_step_asks_for(name: str, entries: int) -> None:
    run = Bench("  - find-part: {}\n", behaviour=behaviour_of(name)).start()
    assert sum("GETMETADATA" in line for line in run.mail.sent) == entries


@pytest.mark.parametrize(("name", "entries"), [("", 2), ("no-discovery", 0)])
def test_discovery_that_a_step_asks_for(name: str, entries: int) -> None:
    run = Bench("  - discover: {}\n", behaviour=behaviour_of(name)).start()
    assert sum("GETMETADATA" in line for line in run.mail.sent) == entries


@pytest.mark.parametrize(("name", "calls"), [("", 0), ("goes-on-without-ticket", 1)])
def test_a_call_without_a_ticket(name: str, calls: int) -> None:
    run = Bench("  - stream: {}\n", behaviour=behaviour_of(name), server={"GENURLAUTH": "NO no"}).start()
    assert sum(one.what == "INVITE" for one in run.phone.asked) == calls


@pytest.mark.parametrize(
    ("name", "section", "fetched"), [("", "3", 1), ("section-guessed", "2", 1), ("structure-not-fetched", "2", 0)]
)
def test_the_section_that_is_chosen(name: str, section: str, fetched: int) -> None:
    server = {"UID FETCH 20 (BODYSTRUCTURE)": f"* 3 FETCH (UID 20 BODYSTRUCTURE {NESTED})\r\n"}
    steps = "  - find-part: {}\n  - authorise: {}\n"
    run = Bench(steps, behaviour=behaviour_of(name), server=server).start()
    assert [re.findall(r"/;SECTION=([0-9.]+)", line) for line in asked(run)] == [[section]]
    assert sum("BODYSTRUCTURE" in line for line in run.mail.sent) == fetched


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("", ';EXPIRE=2027-01-15T08:10:00Z;URLAUTH=submit+joe" INTERNAL'),
        ("expire-after-urlauth", ';URLAUTH=submit+joe;EXPIRE=2027-01-15T08:10:00Z" INTERNAL'),
        ("expire-two-hours", ';EXPIRE=2027-01-15T10:00:00Z;URLAUTH=submit+joe" INTERNAL'),
        ("other-mechanism", ';EXPIRE=2027-01-15T08:10:00Z;URLAUTH=submit+joe" X-OTHER'),
    ],
)
def test_what_follows_the_section(name: str, tail: str) -> None:
    steps = "  - find-part: {}\n  - authorise: {expire: 10 min}\n"
    run = Bench(steps, behaviour=behaviour_of(name)).start()
    assert [line.partition("/;SECTION=2")[2] for line in asked(run)] == [tail]


@pytest.mark.parametrize(("name", "written"), [("", "Voice%20Mail"), ("mailbox-escaped-twice", "Voice%2520Mail")])
def test_the_mailbox_in_the_url(name: str, written: str) -> None:
    steps = "  - find-part: {mailbox: Voice Mail}\n  - authorise: {}\n"
    run = Bench(steps, behaviour=behaviour_of(name)).start()
    assert [line.startswith(f'"imap://joe@imap.example.com/{written};UIDVALIDITY=') for line in asked(run)] == [True]


@pytest.mark.parametrize(("name", "calls"), [("", 1), ("no-fallback", 0)])
def test_the_configured_server_where_none_is_listed(name: str, calls: int) -> None:
    run = Bench("  - stream: {}\n", behaviour=behaviour_of(name)).start()
    assert sum(one.what == "INVITE" for one in run.phone.asked) == calls


@pytest.mark.parametrize(("name", "state"), [("", "1 done"), ("audio-alone", "1 failed")])
def test_a_part_that_is_a_clip(name: str, state: str) -> None:
    server = {"UID FETCH 20 (BODYSTRUCTURE)": f"* 3 FETCH (UID 20 BODYSTRUCTURE {CLIP})\r\n"}
    run = Bench("  - find-part: {type: video/*}\n", behaviour=behaviour_of(name), server=server).start()
    assert run.states == [state]
