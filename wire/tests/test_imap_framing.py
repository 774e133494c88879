from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.framing import (
    MAX_LITERALS,
    Announced,
    ContinuationWanted,
    FramerRole,
    FramingEvent,
    ImapLiteral,
    LineFramer,
    LineReceived,
    LineTooLong,
    LiteralChunk,
    LiteralEnded,
    LiteralPlan,
    LiteralRefused,
    LiteralStarted,
    LogicalLine,
    TooLongToPass,
    keep_up_to,
)


def read(framer: LineFramer, data: bytes, step: int = 0) -> list[FramingEvent]:
    """Give the data to a framer, at once or `step` octets at a time; returns its events, adjacent chunks joined."""
    events: list[FramingEvent] = []
    for at in range(0, len(data), step or max(len(data), 1)):
        framer.receive_data(data[at : at + (step or len(data))])
        while (event := framer.next_event()) is not None:
            last = events[-1] if events else None
            if isinstance(event, LiteralChunk) and isinstance(last, LiteralChunk):
                events[-1] = LiteralChunk(last.data + event.data)
            else:
                events.append(event)
    return events


def lines(events: list[FramingEvent]) -> list[LogicalLine]:
    return [event.line for event in events if isinstance(event, LineReceived)]


# RFC 3501 6.3.11 and 6.2.3, RFC 7888 section 3 and 4, RFC 3516 section 7.
LOGIN_SYNC = b"A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n"
LOGIN_PLUS = b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n"
FRED = (b"A001 LOGIN ", b"FRED FOOBAR", b" ", b"fat man", b"")


@pytest.mark.parametrize("step", [0, 1])
def test_server_awaits_each_synchronising_literal(step: int) -> None:
    events = read(LineFramer(FramerRole.SERVER), LOGIN_SYNC, step)
    assert [type(event) for event in events] == [ContinuationWanted, ContinuationWanted, LineReceived]
    [line] = lines(events)
    assert tuple(part.data if isinstance(part, ImapLiteral) else part for part in line.parts) == FRED
    assert line.text == b"A001 LOGIN {11} {7}"
    assert line.octets() == LOGIN_SYNC
    assert line.segments() == [b"A001 LOGIN {11}\r\n", b"FRED FOOBAR {7}\r\n", b"fat man\r\n"]


@pytest.mark.parametrize("step", [0, 1])
def test_server_takes_non_synchronising_literals_at_once(step: int) -> None:
    events = read(LineFramer(FramerRole.SERVER), LOGIN_PLUS, step)
    assert [type(event) for event in events] == [LineReceived]
    assert lines(events)[0].octets() == LOGIN_PLUS


@pytest.mark.parametrize("step", [0, 1])
def test_client_reads_literals_that_contain_responses(step: int) -> None:
    octets = b"* 12 FETCH (BODY[HEADER] {19}\r\na004 OK LOGIN\r\n {3} UID 4)\r\na5 OK done\r\n"
    first, second = lines(read(LineFramer(FramerRole.CLIENT), octets, step))
    assert first.literals == (ImapLiteral.of(b"a004 OK LOGIN\r\n {3}"),)
    assert first.parts[-1] == b" UID 4)"
    assert second.parts == (b"a5 OK done",)


def test_literal8_is_binary_on_both_sides() -> None:
    [line] = lines(read(LineFramer(FramerRole.CLIENT), b'* URLFETCH "u" (BINARY ~{3}\r\n\0\r\n)\r\n'))
    assert line.literals == (ImapLiteral(b"\0\r\n", 3, binary=True),)
    [line] = lines(read(LineFramer(FramerRole.SERVER), b"a APPEND x ~{1+}\r\n\0\r\n"))
    assert line.literals == (ImapLiteral(b"\0", 1, binary=True, synchronising=False),)
    assert line.text == b"a APPEND x ~{1+}"


@pytest.mark.parametrize("text", [b"* OK see note {12}", b"+ send {3}", b"a1 NO [CANNOT] {1}"])
def test_client_sees_no_literal_in_free_text(text: bytes) -> None:
    assert lines(read(LineFramer(FramerRole.CLIENT), text + b"\r\n* 1 EXISTS\r\n")) == [
        LogicalLine.of(text),
        LogicalLine.of(b"* 1 EXISTS"),
    ]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("after", "closing"),
    [(b")\r\n", b")"), (b"\r\n", b""), (b"", None)],
    ids=["closed", "bare line end", "next response at once"],
)
def test_client_reads_on_if_dovecot_omits_the_end_after_an_empty_literal(
    after: bytes, closing: bytes | None, step: int
) -> None:
    octets = b"* URLFETCH imap://u (BINARY {0}\r\n" + after + b"a3 OK done\r\n"
    first, second = lines(read(LineFramer(FramerRole.CLIENT), octets, step))
    assert first.parts == (b"* URLFETCH imap://u (BINARY ", ImapLiteral.of(b""), closing or b"")
    assert second.parts == (b"a3 OK done",)


def test_bare_line_feeds_end_lines() -> None:
    assert lines(read(LineFramer(FramerRole.SERVER), b"a NOOP\nb NOOP\r\n")) == [
        LogicalLine.of(b"a NOOP"),
        LogicalLine.of(b"b NOOP"),
    ]


@pytest.mark.parametrize("step", [0, 1])
def test_refused_synchronising_literal_ends_the_command_without_a_continuation(step: int) -> None:
    framer = LineFramer(FramerRole.SERVER, keep_up_to(10))
    events = read(framer, b"a APPEND INBOX {11}\r\nb NOOP\r\n", step)
    assert events == [
        LiteralRefused(Announced((b"a APPEND INBOX ",), 11, binary=False, synchronising=True)),
        LineReceived(LogicalLine.of(b"b NOOP")),
    ]


@pytest.mark.parametrize("step", [0, 1])
def test_refused_non_synchronising_literal_is_dropped_with_the_rest_of_its_command(step: int) -> None:
    framer = LineFramer(FramerRole.SERVER, keep_up_to(10))
    octets = b"a APPEND INBOX {11+}\r\nx LOGOUT\r\n.. {3+}\r\nabc tail\r\nb NOOP\r\n"
    events = read(framer, octets, step)
    assert [type(event) for event in events] == [LiteralRefused, LineReceived]
    assert lines(events) == [LogicalLine.of(b"b NOOP")]


def test_kept_literals_of_one_line_share_the_limit() -> None:
    events = read(LineFramer(FramerRole.SERVER, keep_up_to(10)), b"a X {6+}\r\n123456 {5+}\r\n12345\r\nb NOOP\r\n")
    [refused] = [event for event in events if isinstance(event, LiteralRefused)]
    assert refused.announced.size == 5
    assert lines(events) == [LogicalLine.of(b"b NOOP")]


def test_an_announcement_says_how_many_octets_were_kept_before_it() -> None:
    asked: list[Announced] = []

    def plan(announced: Announced) -> LiteralPlan:
        asked.append(announced)
        return LiteralPlan.KEEP

    read(LineFramer(FramerRole.SERVER, plan), b"a X {2+}\r\n12 {3+}\r\n123 {0+}\r\n\r\nb X {1+}\r\nx\r\n")
    assert [announced.kept for announced in asked] == [0, 2, 5, 0]


def test_a_server_takes_a_limited_number_of_literals_in_a_line() -> None:
    asked: list[Announced] = []

    def plan(announced: Announced) -> LiteralPlan:
        asked.append(announced)
        return LiteralPlan.KEEP

    most = b"a X " + b"{1+}\r\nx" * MAX_LITERALS + b"\r\n"
    [line] = lines(read(LineFramer(FramerRole.SERVER, plan), most))
    assert len(line.literals) == MAX_LITERALS
    asked.clear()
    events = read(LineFramer(FramerRole.SERVER, plan), b"a X " + b"{1+}\r\nx" * 8000 + b"\r\nb NOOP\r\n")
    assert sum(isinstance(event, LiteralRefused) for event in events) == 1
    # A server ends the connection here, so that it reads none of the other literals.
    assert [type(event) for event in events[:2]] == [LiteralRefused, TooLongToPass]
    assert lines(events) == [LogicalLine.of(b"b NOOP")]
    assert len(asked) == MAX_LITERALS


def test_the_parts_of_a_refused_command_are_not_kept() -> None:
    framer = LineFramer(FramerRole.SERVER, lambda announced: LiteralPlan.REFUSE)
    read(framer, b"a X {1+}\r\nx" + b" {1+}\r\nx" * 500)
    kept = [len(value) for value in vars(framer).values() if isinstance(value, list)]
    assert max(kept) <= 1


@pytest.mark.parametrize("step", [0, 1])
def test_streamed_literal_is_handed_out_in_pieces(step: int) -> None:
    framer = LineFramer(FramerRole.SERVER, lambda announced: LiteralPlan.STREAM)
    events = read(framer, b"a APPEND INBOX {5}\r\nab\r\nc\r\n", step)
    announced = Announced((b"a APPEND INBOX ",), 5, binary=False, synchronising=True)
    assert events == [
        LiteralStarted(announced),
        ContinuationWanted(announced),
        LiteralChunk(b"ab\r\nc"),
        LiteralEnded(),
        LineReceived(LogicalLine.of(b"a APPEND INBOX ", ImapLiteral(b"", 5, kept=False), b"")),
    ]


def test_client_skips_a_literal_above_the_limit_and_reads_on() -> None:
    framer = LineFramer(FramerRole.CLIENT, keep_up_to(4))
    first, second = lines(read(framer, b"* URLFETCH u {5}\r\n12345\r\na OK x\r\n"))
    assert first.literals == (ImapLiteral(b"", 5, kept=False),)
    assert second == LogicalLine.of(b"a OK x")


def test_a_client_gets_an_event_above_the_limit_of_skipped_octets() -> None:
    framer = LineFramer(FramerRole.CLIENT, keep_up_to(4), max_passed=10)
    first, second, answer = read(framer, b"* URLFETCH u {5}\r\n12345 v {6}\r\n123456\r\na OK x\r\n")
    assert isinstance(first, TooLongToPass)
    assert first.announced.size == 6
    assert isinstance(second, LineReceived)
    assert [literal.kept for literal in second.line.literals] == [False, False]
    assert answer == LineReceived(LogicalLine.of(b"a OK x"))


@pytest.mark.parametrize("step", [0, 1])
def test_line_above_the_limit_is_reported_once_and_skipped(step: int) -> None:
    framer = LineFramer(FramerRole.SERVER, max_line=20)
    events = read(framer, b"a " + b"x" * 50 + b"\r\nb NOOP\r\n", step)
    assert [type(event) for event in events] == [LineTooLong, LineReceived]
    assert isinstance(events[0], LineTooLong)
    assert events[0].start.startswith(b"a x")
    assert lines(events) == [LogicalLine.of(b"b NOOP")]


def test_limit_counts_the_texts_between_literals() -> None:
    events = read(LineFramer(FramerRole.SERVER, max_line=20), b"a 12345678 {1+}\r\nx 12345678901\r\nb NOOP\r\n")
    assert [type(event) for event in events] == [LineTooLong, LineReceived]


def test_pipelined_commands_wait_until_they_are_asked_for() -> None:
    framer = LineFramer(FramerRole.SERVER)
    framer.receive_data(b"a STARTTLS\r\nb LOGIN x y\r\n")
    assert framer.next_event() == LineReceived(LogicalLine.of(b"a STARTTLS"))
    assert framer.buffered == len(b"b LOGIN x y\r\n")
    assert framer.take_rest() == b"b LOGIN x y\r\n"
    assert framer.next_event() is None


PIECES = st.sampled_from(
    [
        b"a NOOP\r\n",
        b"{3}\r\n",
        b"{2+}\r\n",
        b"~{4}\r\n",
        b"{0}\r\n",
        b"{99}\r\n",
        b"* OK x",
        b"\r\n",
        b"\n",
        b"(",
        b'"',
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=12).map(b"".join), st.sampled_from(list(FramerRole)))
def test_octets_at_once_and_one_by_one_give_the_same_events(data: bytes, role: FramerRole) -> None:
    def plan(announced: Announced) -> LiteralPlan:
        return list(LiteralPlan)[announced.size % 3]

    assert read(LineFramer(role, plan, 40), data) == read(LineFramer(role, plan, 40), data, 1)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("mark", "octets"), [(b"{3}", b""), (b"{3+}", b"x\r\n"), (b"{0+}", b""), (b"~{3+}", b"\0\0\0")]
)
def test_a_streamed_literal_may_be_refused_when_it_begins(mark: bytes, octets: bytes, step: int) -> None:
    framer = LineFramer(FramerRole.SERVER, lambda announced: LiteralPlan.STREAM)
    # a refused synchronising literal is not sent; the octets of the other kind are skipped with the rest of the line
    data = b"a APPEND x " + mark + b"\r\n" + (octets + b" rest {2+}\r\nyz\r\n" if b"+" in mark else b"") + b"b NOOP\r\n"
    events: list[FramingEvent] = []
    for at in range(0, len(data), step or len(data)):
        framer.receive_data(data[at : at + (step or len(data))])
        while (event := framer.next_event()) is not None:
            events.append(event)
            if isinstance(event, LiteralStarted):
                framer.refuse_literal()
    assert [type(event) for event in events] == [LiteralStarted, LineReceived]
    assert lines(events) == [LogicalLine.of(b"b NOOP")]


def test_only_a_literal_that_has_just_begun_can_be_refused() -> None:
    framer = LineFramer(FramerRole.SERVER, lambda announced: LiteralPlan.STREAM)
    with pytest.raises(ValueError, match="just begun"):
        framer.refuse_literal()
    read(framer, b"a X {3+}\r\ny")
    with pytest.raises(ValueError, match="just begun"):
        framer.refuse_literal()


def test_the_octets_of_refused_literals_are_limited() -> None:
    def events(data: bytes, max_passed: int | None = 10) -> list[type[FramingEvent]]:
        framer = LineFramer(FramerRole.SERVER, lambda _announced: LiteralPlan.REFUSE, max_passed=max_passed)
        return [type(event) for event in read(framer, data)]

    assert events(b"a LOGIN {10+}\r\n0123456789 b\r\nc NOOP\r\n") == [LiteralRefused, LineReceived]
    assert events(b"a LOGIN {11+}\r\n") == [LiteralRefused, TooLongToPass]
    assert events(b"a LOGIN {11+}\r\n", None) == [LiteralRefused]
    # the client sends a synchronising literal only after a continuation, so that no octets have to be skipped
    assert events(b"a LOGIN {11}\r\nc NOOP\r\n") == [LiteralRefused, LineReceived]
    assert events(b"a LOGIN {6+}\r\n012345 {5+}\r\n") == [LiteralRefused, TooLongToPass]
    assert events(b"a LOGIN {6+}\r\n012345\r\nb LOGIN {6+}\r\n") == [LiteralRefused, LiteralRefused]


def test_a_literal_that_is_refused_later_counts_too() -> None:
    framer = LineFramer(FramerRole.SERVER, lambda _announced: LiteralPlan.STREAM, max_passed=10)
    framer.receive_data(b"a APPEND x {11+}\r\n")
    assert isinstance(framer.next_event(), LiteralStarted)
    framer.refuse_literal()
    assert isinstance(framer.next_event(), TooLongToPass)


def test_a_response_with_too_many_literals_is_dropped_and_the_next_is_read() -> None:
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(b"* X" + b" {1}\r\nx" * (MAX_LITERALS + 50) + b"\r\n* OK next\r\n")
    events = []
    while (event := framer.next_event()) is not None:
        events.append(event)
    assert events == [LineTooLong(b"* X "), LineReceived(LogicalLine.of(b"* OK next"))]


def test_a_response_with_as_many_literals_as_are_allowed_is_read() -> None:
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(b"* X" + b" {1}\r\nx" * MAX_LITERALS + b"\r\n")
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    assert len(event.line.literals) == MAX_LITERALS
