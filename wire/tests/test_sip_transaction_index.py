"""The index of transactions; after any sequence of operations its timers are those of the state machines."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.address import Address
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.header_section import Headers
from lemonade_wire.sip.settings import Timing
from lemonade_wire.sip.transaction.index import SipFlow, TransactionEntry, TransactionIndex
from lemonade_wire.sip.transaction.state_machine import INVITE_CLIENT, INVITE_SERVER, REQUEST_CLIENT, Input, Transaction

TABLES = [INVITE_CLIENT, INVITE_SERVER, REQUEST_CLIENT]


def entry(key: str, *, call: str = "c", table: int = 1, server: bool = True, now: float = 0.0) -> TransactionEntry:
    headers = Headers.of([("From", "<sip:a@h>;tag=1"), ("Call-ID", call), ("CSeq", "1 INVITE")])
    machine = Transaction.start(TABLES[table], Timing(), False, now)
    flow = SipFlow("udp", Address("192.0.2.1", 5060))
    return TransactionEntry(key, ("match", key), machine, flow, SipRequest(headers, b"", "INVITE", "sip:h"), server)


def test_a_dropped_entry_is_not_found() -> None:
    entries = TransactionIndex()
    one = entry("t1", table=0)
    entries.add(one)
    assert (entries.get("t1"), entries.matching(("match", "t1")), len(entries)) == (one, one, 1)
    assert entries.next_timer() == 0.5
    entries.drop(one)
    entries.drop(one)
    assert (entries.get("t1"), entries.matching(("match", "t1")), len(entries)) == (None, None, 0)
    assert (entries.next_timer(), entries.take_due(99.0)) == (None, None)


def test_requests_of_one_origin_are_merged() -> None:
    entries = TransactionIndex()
    for key, call, server in (("t1", "c", True), ("t2", "d", True), ("t3", "c", False)):
        entries.add(entry(key, call=call, server=server))
    assert not entries.merged("t1")
    other = entry("t4")
    entries.add(other)
    assert entries.merged("t1")
    assert entries.merged("t4")
    entries.drop(other)
    assert not entries.merged("t1")


INPUTS = [Input.R1XX, Input.R2XX, Input.R3XX, Input.ACK, Input.REQUEST, Input.ERROR]
STEPS = st.tuples(st.sampled_from(["add", "input", "time", "drop"]), st.integers(0, 5), st.sampled_from(INPUTS))


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_timers_are_those_of_the_machines(steps: list[tuple[str, int, Input]]) -> None:
    entries, now = TransactionIndex(), 0.0
    for count, (step, which, what) in enumerate(steps):
        known = list(entries.values())
        chosen = known[which % len(known)] if known else None
        if step == "add":
            entries.add(entry(f"t{count}", table=which % 3, now=now))
        elif step == "time":
            now += which * 1.7
            while (due := entries.take_due(now)) is not None:
                assert min(due.machine.deadlines.values()) <= now
                due.machine.due(now)
                entries.schedule(due)
        elif chosen is not None and step == "input":
            chosen.machine.handle(what, now)
            entries.schedule(chosen)
        elif chosen is not None:
            entries.drop(chosen)
        times = [at for one in entries.values() if (at := one.machine.next_timer()) is not None]
        assert entries.next_timer() == min(times, default=None)
