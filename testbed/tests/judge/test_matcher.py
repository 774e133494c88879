"""The matcher: which messages match a ladder, and which arrow it names after a change of one message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_testbed.ladder.matcher import match_ladder
from lemonade_testbed.ladder.model import LadderResult, Observed, ObservedMessage, RtpSeen, Url
from lemonade_testbed.ladder.parser import parse_ladder

METHODS = ("INVITE", "BYE", "OPTIONS", "CANCEL", "UPDATE", "PRACK", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE")


def seen(label: str) -> ObservedMessage:
    """Return a message from client to media server; a word with `$` is a URL."""
    words = tuple(Url.parse(word[1:]) if word.startswith("$") else word for word in label.split())
    return ObservedMessage(0.0, "client", "media", False, words)


def sip(*methods: str) -> list[ObservedMessage]:
    return [seen(f"SIP {method}") for method in methods]


def match(text: str, messages: list[ObservedMessage], media: float = 0.0) -> LadderResult:
    lines = [
        f"client->>media: {line.strip()}" if line.strip()[:3] in {"SIP", "RTP"} else line for line in text.split("/")
    ]
    return match_ladder(parse_ladder("\n".join(lines)), Observed(tuple(messages)), media)


def red(text: str, *methods: str) -> tuple[int, str] | None:
    mismatch = match(text, sip(*methods)).mismatch
    return None if mismatch is None else (mismatch.index, mismatch.how)


def straight(count: int) -> str:
    return "/".join(f"SIP {method}" for method in METHODS[:count])


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 10).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_dropping_an_arrow_names_it(case: tuple[int, int]) -> None:
    count, dropped = case
    methods = [method for place, method in enumerate(METHODS[:count]) if place != dropped]
    assert red(straight(count), *methods) == (dropped + 1, "missing")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 10).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 2))))
def test_swapping_two_neighbours_names_the_first(case: tuple[int, int]) -> None:
    count, place = case
    methods = list(METHODS[:count])
    methods[place], methods[place + 1] = methods[place + 1], methods[place]
    assert red(straight(count), *methods) == (place + 1, "out-of-order")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count))))
def test_a_message_too_many_names_the_arrow_it_stands_before(case: tuple[int, int]) -> None:
    count, place = case
    methods = [*METHODS[:place], "PUBLISH", *METHODS[place:count]]
    assert red(straight(count), *methods) == (place + 1, "extra")


def test_a_message_of_another_kind_in_its_place_is_changed() -> None:
    assert red("SIP INVITE/SIP BYE", "INVITE", "REFER") == (2, "changed")


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("SIP INVITE/opt/SIP BYE/end/SIP REFER", "INVITE REFER"),
        ("SIP INVITE/opt/SIP BYE/end/SIP REFER", "INVITE BYE REFER"),
        ("alt/SIP BYE/SIP REFER/else/SIP BYE/SIP PRACK/end", "BYE PRACK"),
        ("par/SIP BYE/SIP REFER/and/SIP PRACK/SIP UPDATE/end/SIP INVITE", "PRACK BYE UPDATE REFER INVITE"),
        ("loop/SIP BYE/SIP REFER/end/SIP BYE", "BYE REFER BYE REFER BYE"),
        ("opt/loop/SIP BYE/end/end/SIP BYE", "BYE"),
        ("opt/SIP BYE/SIP REFER/end/SIP BYE/SIP PRACK", "BYE PRACK"),
    ],
)
def test_blocks_take_what_they_say(text: str, methods: str) -> None:
    assert red(text, *methods.split()) is None


@pytest.mark.parametrize(
    ("text", "methods", "index", "how"),
    [
        ("SIP INVITE/opt/SIP BYE/end/SIP REFER/SIP PRACK", "INVITE REFER BYE PRACK", 2, "out-of-order"),
        ("SIP INVITE/opt/SIP BYE/SIP UPDATE/end/SIP REFER", "INVITE UPDATE REFER", 2, "missing"),
        ("alt/SIP BYE/SIP REFER/else/SIP PRACK/SIP UPDATE/end", "UPDATE", 3, "missing"),
        ("alt/SIP BYE/SIP REFER/else/SIP PRACK/SIP UPDATE/end", "PRACK", 4, "missing"),
        ("par/SIP BYE/SIP REFER/and/SIP PRACK/SIP UPDATE/end", "UPDATE BYE REFER", 3, "missing"),
        ("par/SIP BYE/SIP REFER/and/SIP PRACK/SIP UPDATE/end", "PRACK REFER UPDATE", 1, "missing"),
        ("loop/SIP BYE/SIP REFER/end/SIP PRACK", "BYE REFER REFER PRACK", 1, "missing"),
        ("loop/SIP BYE/end", "", 1, "missing"),
        ("SIP BYE/opt/SIP REFER/end", "BYE REFER REFER", 3, "extra"),
    ],
)
def test_blocks_name_the_arrow_that_is_not_satisfied(text: str, methods: str, index: int, how: str) -> None:
    assert red(text, *methods.split()) == (index, how)


@settings(max_examples=60, deadline=None)
@given(st.permutations([("BYE", 0), ("REFER", 0), ("PRACK", 1), ("UPDATE", 1), ("CANCEL", 1)]))
def test_par_takes_every_interleaving_and_no_other_order(order: list[tuple[str, int]]) -> None:
    text = "par/SIP BYE/SIP REFER/and/SIP PRACK/SIP UPDATE/SIP CANCEL/end"
    methods = [method for method, _ in order]
    kept = [method for method, branch in order if branch == 0] == ["BYE", "REFER"]
    kept = kept and [method for method, branch in order if branch == 1] == ["PRACK", "UPDATE", "CANCEL"]
    assert (red(text, *methods) is None) == kept


def test_a_name_binds_at_first_use_and_must_agree_afterwards() -> None:
    text = "SIP INVITE $url/SIP INVITE $url/SIP INVITE $url"
    bare, ticket, other = "$imap://a/b", "$imap://a/b:INTERNAL:fp-1", "$imap://a/b:INTERNAL:fp-2"
    good = match(text, [seen(f"SIP INVITE {url}") for url in (bare, ticket, ticket)])
    assert good.mismatch is None
    assert good.bindings == {"$url": Url("imap://a/b", "fp-1")}
    for third in (other, "$imap://a/B:INTERNAL:fp-1"):
        mismatch = match(text, [seen(f"SIP INVITE {url}") for url in (bare, ticket, third)]).mismatch
        assert mismatch is not None
        assert mismatch.index == 3
        assert "<imap://a/" in mismatch.seen


def test_a_status_class_takes_its_statuses() -> None:
    ladder = parse_ladder("media-->>client: SIP 4xx INVITE")
    for status, taken in (("404", True), ("488", True), ("200", False)):
        answer = ObservedMessage(0.0, "media", "client", True, ("SIP", status, "INVITE"))
        assert (match_ladder(ladder, Observed((answer,))).mismatch is None) == taken


@pytest.mark.parametrize(
    ("codec", "seconds", "continued", "broken", "taken"),
    [
        ("PCMU", 11.9, True, False, True),
        ("pcmu", 12.1, True, False, True),
        ("PCMU", 11.89, True, False, False),
        ("PCMU", 12.11, True, False, False),
        ("PCMA", 12.0, True, False, False),
        ("PCMU", 12.0, False, False, False),
        ("PCMU", 12.0, True, True, False),
    ],
)
def test_rtp_fits_by_codec_time_and_timeline(
    codec: str, seconds: float, continued: bool, broken: bool, taken: bool
) -> None:
    rtp = RtpSeen(codec, seconds, 1, continued, broken)
    message = ObservedMessage(0.0, "client", "media", False, ("RTP", codec), rtp)
    result = match("RTP PCMU media-0.1..media+0.1 s continued", [message], media=12.0)
    assert (result.mismatch is None) == taken


def test_the_ladders_around_the_spot_are_shown() -> None:
    mismatch = match("SIP INVITE/SIP BYE", sip("INVITE", "REFER")).mismatch
    assert mismatch is not None
    assert ">   2 client->>media: SIP BYE" in mismatch.around
    assert ">   2 client->>media: SIP REFER" in mismatch.around
    assert mismatch.wanted == ("client->>media: SIP BYE",)


@pytest.mark.parametrize(
    ("asker", "again", "taken"),
    [("media", "imap://one", True), ("media", "imap://two", False), ("client", "imap://one", False)],
)
def test_a_media_server_fetches_a_url_as_often_as_it_likes(asker: str, again: str, taken: bool) -> None:
    ladder = parse_ladder(f"{asker}->>imap: IMAP URLFETCH $url\nimap-->>{asker}: IMAP OK URLFETCH data")
    told = [
        seen
        for url in ("imap://one", again)
        for seen in (
            ObservedMessage(0.0, asker, "imap", False, ("IMAP", "URLFETCH", Url.parse(url))),
            ObservedMessage(0.0, "imap", asker, True, ("IMAP", "OK", "URLFETCH", "data")),
        )
    ]
    result = match_ladder(ladder, Observed(tuple(told)))
    assert (result.mismatch is None) == taken
    assert not taken or result.arrows == (1, 2, 1, 2)
