from __future__ import annotations

import pytest

from lemonade_testbed.relay.reading import STREAM, RelayedMessage, read_datagram
from lemonade_testbed.relay.rules import Rule, RuleError, What, leg_of, parse_rule, parse_seed


def rule(**words: str) -> Rule:
    return parse_rule({"leg": "client-media"} | {key.rstrip("_"): value for key, value in words.items()}, 3)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"lose": "SIP INVITE", "times": "1"}, {"what": What("SIP", method="INVITE"), "times": 1, "share": None}),
        ({"lose": "SIP 200 INVITE"}, {"what": What("SIP", "200", "INVITE")}),
        ({"lose": "SIP 200 5 %"}, {"what": What("SIP", "200"), "share": 0.05}),
        ({"lose": "RTP 5 %"}, {"what": What("RTP"), "share": 0.05}),
        ({"duplicate": "2.5%"}, {"what": What("UDP"), "share": 0.025}),
        ({"reorder": "RTCP"}, {"what": What("RTCP"), "share": None}),
        ({"delay": "50 ms"}, {"what": What(), "seconds": 0.05}),
        ({"jitter": "RTP 20 ms"}, {"what": What("RTP"), "seconds": 0.02}),
        ({"cut": "after 40000 octets", "heal": "2 s"}, {"what": What(), "octets": 40000, "heal": 2.0}),
        ({"cut": "UDP after 1.5 s"}, {"what": What("UDP"), "seconds": 1.5, "octets": None, "heal": None}),
    ],
)
def test_each_form_of_a_rule_is_read(words: dict[str, str], expected: dict[str, object]) -> None:
    read = rule(from_="media", **words)
    assert (read.number, read.leg, read.source) == (3, "client-media", "media")
    assert {name: getattr(read, name) for name in expected} == expected
    assert parse_rule(read.words, 3) == read


@pytest.mark.parametrize(
    ("words", "key", "message"),
    [
        ({"loose": "RTP"}, "loose", "unknown key 'loose'; did you mean 'lose'?"),
        ({}, "", "a rule does one thing, of lose, duplicate, reorder, delay, jitter, cut; this one names none"),
        ({"lose": "RTP", "delay": "1 s"}, "", "this one names lose and delay"),
        ({"leg": "client-meda", "lose": "RTP"}, "leg", "'client-meda' is no leg; did you mean 'client-media'?"),
        ({"from": "imap", "lose": "RTP"}, "from", "'imap' is not an end of client-media; allowed: client, media"),
        ({"delay": "1 s", "times": "2"}, "times", "times: goes with lose, duplicate, reorder, not with delay"),
        ({"lose": "RTP", "heal": "1 s"}, "heal", "heal: goes with cut, not with lose"),
        ({"lose": "RTP", "times": "0"}, "times", "times: '0' is not a number: 1 or more is expected"),
        ({"lose": "RPT 5 %"}, "lose", "'RPT' is no kind of message; did you mean 'RTP'?"),
        ({"lose": "SIP invite"}, "lose", "SIP, SIP INVITE, SIP 200 INVITE, RTP or RTCP is expected"),
        ({"lose": "RTP INVITE"}, "lose", "SIP, SIP INVITE, SIP 200 INVITE, RTP or RTCP is expected"),
        ({"lose": "TCP"}, "lose", "'TCP' is no kind of message"),
        ({"lose": "0 %"}, "lose", "a share is above 0 and at most 100 %"),
        ({"lose": "101 %"}, "lose", "a share is above 0 and at most 100 %"),
        ({"delay": "50"}, "delay", "delay: '50' is not a duration: a duration such as 500 ms, 3 s or 10 min"),
        ({"cut": "40 octets"}, "cut", "`after 40000 octets` or `after 3 s` is expected"),
        ({"cut": "after 40 octetts"}, "cut", "is not a duration"),
        ({"cut": "RTP after 3 s"}, "cut", "'RTP' is no kind of message; did you mean 'TCP'? allowed: TCP, UDP"),
        ({"cut": "after 3 s", "heal": "soon"}, "heal", "heal: 'soon' is not a duration"),
        ({"leg": "media-imap", "lose": "5 %"}, "lose", "media-imap is a TCP stream, which may be late or cut"),
        ({"leg": "media-imap", "delay": "RTP 1 s"}, "delay", "there is no RTP on media-imap, which is TCP alone"),
    ],
)
def test_an_invalid_rule_is_refused_with_key_and_message(words: dict[str, str], key: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        rule(**words)
    assert caught.value.key == key
    assert message in str(caught.value)


def test_a_rule_without_a_leg_is_refused() -> None:
    with pytest.raises(RuleError, match="'leg' is missing; allowed: client-imap, client-media, media-imap"):
        parse_rule({"lose": "RTP"})


def test_what_a_rule_covers() -> None:
    invite, ok = read_datagram(b"INVITE sip:x SIP/2.0\r\n\r\n"), RelayedMessage("SIP", "200", "INVITE")
    assert rule(lose="SIP INVITE").covers("client-media", "client", invite)
    assert not rule(lose="SIP INVITE").covers("client-media", "media", ok)
    assert rule(lose="SIP 200 INVITE").covers("client-media", "media", ok)
    assert rule(lose="SIP 200").covers("client-media", "media", ok)
    assert not rule(lose="SIP 200", from_="client").covers("client-media", "media", ok)
    assert not rule(lose="SIP 200").covers("client-media", "media", RelayedMessage("SIP", "404", "INVITE"))
    assert not rule(lose="SIP INVITE").covers("media-imap", "media", invite)
    assert not rule(lose="5 %").covers("client-media", "media", STREAM)
    assert rule(delay="1 s").covers("client-media", "media", STREAM)


def test_a_leg_has_one_name_for_both_orders_and_a_seed_is_a_number() -> None:
    assert leg_of("media", "client") == leg_of("client", "media") == "client-media"
    assert leg_of("imap", "media") == "media-imap"
    assert parse_seed("07") == 7
    with pytest.raises(RuleError, match="'-1' is not a seed"):
        parse_seed("-1")
