"""The observed ladder: its rules on the hand-written traces of both diagrams."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from lemonade_testbed.evidence import Event, load_evidence
from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.ladder.observe import observe
from lemonade_testbed.ladder.parser import parse_ladder
from lemonade_testbed.testing.flow import Flow, Message


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
    """Return the lines of a ladder without the seconds of RTP, which depend on the length of the mail."""
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


def test_messages_of_the_testbed_are_left_out(annc: Flow) -> None:
    annc.messages.insert(0, Message("append", "imap", "testbed", "imap", "t1 APPEND INBOX {3}", connection=50000))
    assert labels(ladder(annc)) == labels(ANNC)


def test_an_unknown_address_becomes_a_remark(annc: Flow) -> None:
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
        ("client", "BYE sip:127.9.8.3", "BYE sip:127.9.8.7", "SIP BYE: the traces of the nodes differ"),
        ("media", "b2 OK done", "b2 OK other", "URLFETCH data: the traces of the nodes differ"),
    ],
)
def test_a_difference_between_two_traces_becomes_a_remark(
    annc: Flow, node: str, old: str, new: str, remark: str
) -> None:
    annc.evidence()
    path = annc.folder / f"trace-{node}.jsonl"
    path.write_text(path.read_text().replace(old, new))
    assert any(remark in one for one in observe(load_evidence(annc.folder)).remarks)


def test_a_message_that_never_arrived_becomes_a_remark(annc: Flow) -> None:
    annc.evidence()
    path = annc.folder / "trace-client.jsonl"
    kept = [line for line in path.read_text().splitlines() if "BYE sip:127.9.8.3" not in line]
    path.write_text("\n".join(kept) + "\n")
    assert any("not in the trace of its receiver" in one for one in observe(load_evidence(annc.folder)).remarks)


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


def test_packets_between_a_key_and_its_200_belong_to_the_arrow_before(ivr: Flow) -> None:
    tail = Message("tail", "rtp", "media", "client", seconds=0.06, content=24000)
    ivr.messages.insert(ivr.messages.index(ivr["key-ok"]), tail)
    lines = ladder(ivr)
    assert "media->>client: RTP PCMU 3.06 s" in lines
    assert sum("RTP" in line for line in lines) == 2


def test_rtp_until_a_second_request_is_carried_out_belongs_to_the_first(ivr: Flow) -> None:
    again = Message("again", "sip", "client", "media", ivr["info"].text.replace("2 INFO", "7 INFO"))
    accepted = Message("again-ok", "sip", "media", "client", ivr["info-ok"].text.replace("2 INFO", "7 INFO"))
    late = Message("late", "rtp", "media", "client", seconds=0.06, content=24000)
    place = ivr.messages.index(ivr["rtp"]) + 1
    ivr.messages[place:place] = [again, accepted, late]
    lines = [str(seen) for seen in observe(ivr.evidence()).messages if seen.rtp]
    assert lines[0] == "media->>client: RTP PCMU 3.06 s"


@pytest.mark.parametrize(("service", "gap", "arrows"), [("ivr", 0.02, 1), ("ivr", 0.2, 2), ("annc", 0.02, 2)])
def test_rtp_soon_after_a_move_to_ivr_belongs_to_the_arrow_before(
    ivr: Flow, service: str, gap: float, arrows: int
) -> None:
    """An INVITE to annc begins a playing, so that RTP after it is an arrow of its own."""
    del ivr.messages[ivr.messages.index(ivr["rtp"]) + 1 :]
    invite, ok = (ivr[name].text.replace("1 INVITE", "7 INVITE") for name in ("invite", "invite-ok"))
    ivr.messages += [
        Message("move", "sip", "client", "media", invite.replace("sip:ivr@", f"sip:{service}@", 1)),
        Message("move-ok", "sip", "media", "client", ok),
        Message("late", "rtp", "media", "client", seconds=0.02, content=24000, gap=gap),
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
    annc: Flow, offer: tuple[str, str], gap: float, arrows: int
) -> None:
    """A stream that was only changed goes on in an arrow of its own."""
    del annc.messages[annc.messages.index(annc["rtp"]) + 1 :]
    invite, ok = (annc[name].text.replace("1 INVITE", "7 INVITE") for name in ("invite", "invite-ok"))
    assert offer[0] in invite
    annc.messages += [
        Message("hold", "sip", "client", "media", invite.replace(*offer)),
        Message("hold-ok", "sip", "media", "client", ok),
        Message("late", "rtp", "media", "client", seconds=0.02, content=97920, gap=gap),
    ]
    assert sum(seen.rtp is not None for seen in observe(annc.evidence()).messages) == arrows


def test_packets_before_the_ack_make_an_arrow_of_their_own(annc: Flow) -> None:
    early = Message("early", "rtp", "media", "client", seconds=0.1)
    annc.messages.insert(annc.messages.index(annc["ack"]), early)
    lines = ladder(annc)
    assert lines.index("media->>client: RTP PCMU 0.10 s") < lines.index("client->>media: SIP ACK")
    assert any(line.endswith("continued") for line in lines)


@pytest.mark.parametrize(("gap", "arrows"), [(0.02, 1), (0.2, 2)])
def test_packets_soon_after_a_bye_belong_to_the_arrow_before(annc: Flow, gap: float, arrows: int) -> None:
    annc.messages.append(Message("late", "rtp", "media", "client", seconds=0.02, gap=gap))
    assert sum("RTP" in line for line in ladder(annc)) == arrows


def test_a_break_inside_an_arrow_is_named(annc: Flow) -> None:
    annc.messages.insert(
        annc.messages.index(annc["bye"]), Message("more", "rtp", "media", "client", seconds=0.1, base=999999)
    )
    assert any(line.endswith(" broken") for line in ladder(annc))


def test_dropping_the_evidence_of_a_response_is_noticed(annc: Flow) -> None:
    expected = parse_ladder("\n".join(line for line in ANNC if "RTP" not in line))
    for name in ("rtp", "trying", "invite-ok"):
        annc.drop(name)
    result = match_ladder(expected, observe(annc.evidence()))
    assert result.mismatch is not None
    assert result.mismatch.index == 6


def test_a_message_in_a_connection_that_the_relay_cut_becomes_a_remark(annc: Flow) -> None:
    """It is chance whether the server's system took the answer before the cut, but certain that it never arrived."""
    evidence = annc.evidence()
    answer = next(event for event in evidence.of("imap", "imap") if event.text("text") == "b2 OK done")
    events = tuple(event for event in evidence.events if event.node != "media" or event.text("text") != "b2 OK done")
    cut = Event(answer.t - 0.001, "relay", 1, "relay", {"state": "cut", "rule": 1, "leg": "media-imap"})
    observed = observe(replace(evidence, events=(*events, cut)))
    assert "URLFETCH" not in {seen.words[2] for seen in observed.messages if seen.response and len(seen.words) > 2}
    (remark,) = observed.remarks
    assert remark.startswith(
        "imap-->>media: IMAP OK URLFETCH data: sent, by the trace of its sender, and never received: the relay cut"
    )
    for other in (replace(cut, t=0.0), replace(cut, fields={**cut.fields, "leg": "client-imap"})):
        observed = observe(replace(evidence, events=(*events, other)))
        assert "URLFETCH" in {seen.words[2] for seen in observed.messages if seen.response and len(seen.words) > 2}


@pytest.mark.parametrize(("target", "arrows"), [("ivr", 1), ("annc", 2)])
def test_packets_behind_the_ack_that_moves_a_call_to_ivr_belong_to_the_announcement(
    annc: Flow, target: str, arrows: int
) -> None:
    """The announcement is played until the ACK arrives, however long the answer took."""
    texts = [annc[name].text for name in ("invite", "invite-ok", "ack")]
    texts[0] = texts[0].replace("sip:annc@", f"sip:{target}@")
    sources = ("client", "media", "client")
    move = [
        Message(f"move {place}", "sip", source, "media" if source == "client" else "client", text)
        for place, (source, text) in enumerate(
            zip(
                sources, (text.replace("1 INVITE", "2 INVITE").replace("1 ACK", "2 ACK") for text in texts), strict=True
            )
        )
    ]
    held_up = Message("held up", "rtp", "media", "client", seconds=0.02, content=24000, gap=0.2)
    late = Message("late", "rtp", "media", "client", seconds=0.04, content=24160)
    place = annc.messages.index(annc["rtp"]) + 1
    annc.messages[place:place] = [move[0], held_up, *move[1:], late]
    assert sum("RTP" in line for line in ladder(annc)) == arrows


@pytest.mark.parametrize("content_too", [True, False])
def test_a_command_that_asks_for_the_description_alone_is_left_out(annc: Flow, content_too: bool) -> None:
    url = re.search('"[^"]+"', annc["urlfetch"].text)
    assert url is not None
    place = annc.messages.index(annc["urlfetch"])
    annc.messages[place:place] = [
        Message("ask", "imap", "media", "imap", f"b9 URLFETCH ({url[0]} BODYPARTSTRUCTURE)", connection=40002),
        Message("described", "imap", "imap", "media", f"* URLFETCH {url[0]} NIL", connection=40002),
        Message("ask-ok", "imap", "imap", "media", "b9 OK done", connection=40002),
    ]
    if content_too:
        for name in ("ask", "described", "ask-ok"):
            annc[name].connection = annc["urlfetch"].connection
        assert [line for line in ladder(annc) if "IMAP" in line] == [line for line in ANNC if "IMAP" in line]
    else:
        assert ladder(annc).count("media->>imap: IMAP URLFETCH $url") == 2
