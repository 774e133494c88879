"""The observed ladder: every rule of the design on hand-written traces of both diagrams."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lemonade_testbed.evidence import Event, load_evidence
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.ladder.parser import parse_ladder

if TYPE_CHECKING:
    from tests.judge.conftest import Flow, Message


def ladder(flow: Flow) -> list[str]:
    observed = observe(flow.evidence())
    urls = [word for seen in observed.messages for word in seen.words if isinstance(word, Url)]
    return [seen.text({"$url": next((url for url in urls if url.token), Url(""))}) for seen in observed.messages]


ANNC = """client->>imap: IMAP FETCH BODYSTRUCTURE
imap-->>client: IMAP OK FETCH
client->>imap: IMAP GENURLAUTH $url
imap-->>client: IMAP OK GENURLAUTH
client->>media: SIP INVITE annc $url
media-->>client: SIP 100 INVITE
media->>imap: IMAP URLFETCH $url
imap-->>media: IMAP OK URLFETCH data
media-->>client: SIP 200 INVITE
client->>media: SIP ACK
media->>client: RTP PCMU 12.24 s
media->>client: SIP BYE
client-->>media: SIP 200 BYE""".splitlines()

IVR = """client->>imap: IMAP FETCH BODYSTRUCTURE
imap-->>client: IMAP OK FETCH
client->>imap: IMAP GENURLAUTH $url
imap-->>client: IMAP OK GENURLAUTH
client->>media: SIP INVITE ivr
media-->>client: SIP 200 INVITE
client->>media: SIP ACK
client->>media: SIP INFO playcollect $url
media-->>client: SIP 200 INFO
media->>imap: IMAP URLFETCH $url
imap-->>media: IMAP OK URLFETCH data
media->>client: RTP PCMU 3.00 s
client->>media: SIP INFO dtmf-relay 6
media-->>client: SIP 200 INFO
media->>client: RTP PCMU 5.22 s continued
media->>client: SIP INFO response timeout
client-->>media: SIP 200 INFO
client->>media: SIP BYE
media-->>client: SIP 200 BYE""".splitlines()


def labels(lines: list[str]) -> list[str]:
    """Leave out the seconds, which the mail's length decides."""
    return [" ".join(word for word in line.split() if not word[:1].isdigit() or len(word) == 3) for line in lines]


def test_both_diagrams_are_read(annc: Flow, ivr: Flow) -> None:
    assert labels(ladder(annc)) == labels(ANNC)
    assert labels(ladder(ivr)) == labels(IVR)


def test_ignored_commands_are_counted_and_left_out(annc: Flow) -> None:
    assert observe(annc.evidence()).ignored == {"AUTHENTICATE": 1, "LOGIN": 1, "LOGOUT": 1}


def test_an_ignored_command_that_is_named_for_its_sender_is_shown(annc: Flow) -> None:
    observed = observe(annc.evidence(), {("media", "AUTHENTICATE")})
    assert observed.ignored == {"LOGIN": 1, "LOGOUT": 1}
    lines = [str(seen) for seen in observed.messages if "AUTHENTICATE" in seen.words]
    assert lines == ["media->>imap: IMAP AUTHENTICATE", "imap-->>media: IMAP OK AUTHENTICATE"]
    assert observe(annc.evidence(), {("client", "AUTHENTICATE")}).ignored["AUTHENTICATE"] == 1


def test_retransmissions_are_folded_and_counted(annc: Flow) -> None:
    annc["invite"].copies = 3
    observed = observe(annc.evidence())
    assert [str(seen.words[1]) for seen in observed.messages].count("INVITE") == 1
    assert observed.retransmissions == 2
    assert next(seen for seen in observed.messages if seen.words[1] == "INVITE").copies == 3


def test_an_ack_for_a_repeated_200_is_the_same_ack(annc: Flow) -> None:
    ack = annc["ack"]
    again = replace(ack, name="ack2", text=ack.text.replace("z9hG4bK", "z9hG4bKother"))
    annc.messages.insert(annc.messages.index(annc["ack"]) + 1, again)
    assert sum(" ACK" in line for line in ladder(annc)) == 1


def test_what_the_testbed_sends_is_left_out(annc: Flow, make_message: type[Message]) -> None:
    annc.messages.insert(0, make_message("append", "imap", "testbed", "imap", "t1 APPEND INBOX {3}", connection=50000))
    assert labels(ladder(annc)) == labels(ANNC)


def test_an_unknown_address_is_remarked(annc: Flow) -> None:
    evidence = annc.evidence()
    path = annc.folder / "trace-media.jsonl"
    lines = path.read_text().splitlines()
    event = json.loads(lines[0]) | {"n": len(lines) + 1, "remote": "127.9.8.9:1143"}
    path.write_text("\n".join([*lines, json.dumps(event)]) + "\n")
    assert observe(evidence).remarks == ()
    (remark,) = observe(load_evidence(annc.folder)).remarks
    assert "127.9.8.9:1143" in remark


@pytest.mark.parametrize(
    ("node", "old", "new", "remark"),
    [
        ("client", "BYE sip:127.9.8.3", "BYE sip:127.9.8.7", "SIP BYE: the nodes tell it differently"),
        ("media", "b2 OK done", "b2 OK other", "URLFETCH data: the nodes tell it differently"),
    ],
)
def test_what_nodes_tell_differently_is_remarked(annc: Flow, node: str, old: str, new: str, remark: str) -> None:
    annc.evidence()
    path = annc.folder / f"trace-{node}.jsonl"
    path.write_text(path.read_text().replace(old, new))
    assert any(remark in one for one in observe(load_evidence(annc.folder)).remarks)


def test_a_message_that_never_arrived_is_remarked(annc: Flow) -> None:
    annc.evidence()
    path = annc.folder / "trace-client.jsonl"
    kept = [line for line in path.read_text().splitlines() if "BYE sip:127.9.8.3" not in line]
    path.write_text("\n".join(kept) + "\n")
    assert any("never received" in one for one in observe(load_evidence(annc.folder)).remarks)


def test_a_refused_ticket_is_nil(annc: Flow) -> None:
    annc["urlfetch-data"].text = annc["urlfetch-data"].text.split(" (")[0] + " NIL"
    assert "imap-->>media: IMAP OK URLFETCH NIL" in ladder(annc)


def test_a_url_that_differs_in_one_octet_is_another(annc: Flow) -> None:
    annc.change("urlfetch", "INBOX", "inbox")
    (line,) = [line for line in ladder(annc) if "URLFETCH <" in line]
    assert "/inbox;" in line


def test_a_break_of_the_timeline_at_a_seek_ends_continued(ivr: Flow) -> None:
    ivr["rtp-again"].base = -3 * 8000
    assert not any("continued" in line for line in ladder(ivr))
    ivr["rtp-again"].base, ivr["rtp-again"].ssrc = 0, 78
    assert not any("continued" in line for line in ladder(ivr))


def test_packets_between_a_key_and_its_200_belong_to_the_arrow_before(ivr: Flow, make_message: type[Message]) -> None:
    tail = make_message("tail", "rtp", "media", "client", seconds=0.06, content=24000)
    ivr.messages.insert(ivr.messages.index(ivr["key-ok"]), tail)
    lines = ladder(ivr)
    assert "media->>client: RTP PCMU 3.06 s" in lines
    assert sum("RTP" in line for line in lines) == 2


def test_rtp_until_a_second_request_is_carried_out_belongs_to_the_first(ivr: Flow, make_message: type[Message]) -> None:
    again = make_message("again", "sip", "client", "media", ivr["info"].text.replace("2 INFO", "7 INFO"))
    accepted = make_message("again-ok", "sip", "media", "client", ivr["info-ok"].text.replace("2 INFO", "7 INFO"))
    late = make_message("late", "rtp", "media", "client", seconds=0.06, content=24000)
    place = ivr.messages.index(ivr["rtp"]) + 1
    ivr.messages[place:place] = [again, accepted, late]
    lines = [str(seen) for seen in observe(ivr.evidence()).messages if seen.rtp]
    assert lines[0] == "media->>client: RTP PCMU 3.06 s"


@pytest.mark.parametrize(("service", "gap", "arrows"), [("ivr", 0.02, 1), ("ivr", 0.2, 2), ("annc", 0.02, 2)])
def test_rtp_soon_after_a_move_to_ivr_belongs_to_the_arrow_before(
    ivr: Flow, make_message: type[Message], service: str, gap: float, arrows: int
) -> None:
    """A move to annc begins a playing of its own."""
    del ivr.messages[ivr.messages.index(ivr["rtp"]) + 1 :]
    invite, ok = (ivr[name].text.replace("1 INVITE", "7 INVITE") for name in ("invite", "invite-ok"))
    ivr.messages += [
        make_message("move", "sip", "client", "media", invite.replace("sip:ivr@", f"sip:{service}@", 1)),
        make_message("move-ok", "sip", "media", "client", ok),
        make_message("late", "rtp", "media", "client", seconds=0.02, content=24000, gap=gap),
    ]
    assert sum(seen.rtp is not None for seen in observe(ivr.evidence()).messages) == arrows


@pytest.mark.parametrize(
    ("offer", "gap", "arrows"),
    [
        (("a=recvonly", "a=inactive"), 0.02, 1),
        (("a=recvonly", "a=sendonly"), 0.02, 1),
        (("c=IN IP4 127.9.8.3", "c=IN IP4 0.0.0.0"), 0.02, 1),
        (("a=recvonly", "a=inactive"), 0.2, 2),
        (("a=recvonly", "a=sendrecv"), 0.02, 2),
        (("v=0", "v=one"), 0.02, 2),
    ],
)
def test_rtp_soon_after_a_hold_belongs_to_the_arrow_before(
    annc: Flow, make_message: type[Message], offer: tuple[str, str], gap: float, arrows: int
) -> None:
    """A stream that was only changed goes on in an arrow of its own."""
    del annc.messages[annc.messages.index(annc["rtp"]) + 1 :]
    invite, ok = (annc[name].text.replace("1 INVITE", "7 INVITE") for name in ("invite", "invite-ok"))
    assert offer[0] in invite
    annc.messages += [
        make_message("hold", "sip", "client", "media", invite.replace(*offer)),
        make_message("hold-ok", "sip", "media", "client", ok),
        make_message("late", "rtp", "media", "client", seconds=0.02, content=97920, gap=gap),
    ]
    assert sum(seen.rtp is not None for seen in observe(annc.evidence()).messages) == arrows


def test_packets_before_the_ack_make_an_arrow_of_their_own(annc: Flow, make_message: type[Message]) -> None:
    early = make_message("early", "rtp", "media", "client", seconds=0.1)
    annc.messages.insert(annc.messages.index(annc["ack"]), early)
    lines = ladder(annc)
    assert lines.index("media->>client: RTP PCMU 0.10 s") < lines.index("client->>media: SIP ACK")
    assert any(line.endswith("continued") for line in lines)


@pytest.mark.parametrize(("gap", "arrows"), [(0.02, 1), (0.2, 2)])
def test_packets_soon_after_a_bye_belong_to_the_arrow_before(
    annc: Flow, make_message: type[Message], gap: float, arrows: int
) -> None:
    annc.messages.append(make_message("late", "rtp", "media", "client", seconds=0.02, gap=gap))
    assert sum("RTP" in line for line in ladder(annc)) == arrows


def test_a_break_inside_an_arrow_is_named(annc: Flow, make_message: type[Message]) -> None:
    annc.messages.insert(
        annc.messages.index(annc["bye"]), make_message("more", "rtp", "media", "client", seconds=0.1, base=999999)
    )
    assert any(line.endswith(" broken") for line in ladder(annc))


def test_dropping_the_evidence_of_a_response_is_noticed(annc: Flow) -> None:
    expected = parse_ladder("\n".join(line for line in ANNC if "RTP" not in line))
    for name in ("rtp", "trying", "invite-ok"):
        annc.drop(name)
    result = match_ladder(expected, observe(annc.evidence()))
    assert result.mismatch is not None
    assert result.mismatch.index == 6


def test_what_ended_in_a_cut_of_the_relay_is_remarked_and_left_out(annc: Flow) -> None:
    """Whether the server's system took the answer's octets before the cut is chance; that it never arrived is not."""
    evidence = annc.evidence()
    answer = next(event for event in evidence.of("imap", "imap") if event.text("text") == "b2 OK done")
    events = tuple(event for event in evidence.events if event.node != "media" or event.text("text") != "b2 OK done")
    cut = Event(answer.t - 0.001, "relay", 1, "relay", {"state": "cut", "rule": 1, "leg": "media-imap"})
    observed = observe(replace(evidence, events=(*events, cut)))
    assert "URLFETCH" not in {seen.words[2] for seen in observed.messages if seen.response and len(seen.words) > 2}
    (remark,) = observed.remarks
    assert remark.startswith("imap-->>media: IMAP OK URLFETCH data: by its sender's trace sent; the relay cut")
    for other in (replace(cut, t=0.0), replace(cut, fields={**cut.fields, "leg": "client-imap"})):
        observed = observe(replace(evidence, events=(*events, other)))
        assert "URLFETCH" in {seen.words[2] for seen in observed.messages if seen.response and len(seen.words) > 2}
