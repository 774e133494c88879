"""Timers A to M, one by one (RFC 3261 table 4, RFC 6026 section 7). Timer C is for proxies only."""

from __future__ import annotations

import pytest

from lemonade_wire.sip.settings import Timing
from lemonade_wire.sip.transaction.state_machine import (
    INVITE_CLIENT,
    INVITE_SERVER,
    REQUEST_CLIENT,
    REQUEST_SERVER,
    TIMERS,
    Do,
    Input,
    Table,
    Transaction,
    TransactionState,
)

S, X = TransactionState, Input
TO_T2 = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
AT_T2 = [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]

# Timer; table; inputs before it; times at which it fires over UDP, and over TCP; its action; the final state.
ROWS = [
    (X.A, INVITE_CLIENT, [], [0.5, 1.5, 3.5, 7.5, 15.5, 31.5], [], Do.RESEND, S.CALLING),
    (X.B, INVITE_CLIENT, [], [32.0], [32.0], Do.TELL_TIMEOUT, S.TERMINATED),
    (X.D, INVITE_CLIENT, [X.R3XX], [32.5], [0.0], None, S.TERMINATED),
    (X.E, REQUEST_CLIENT, [], TO_T2, [], Do.RESEND, S.TRYING),
    (X.E, REQUEST_CLIENT, [X.R1XX], AT_T2, [], Do.RESEND, S.PROCEEDING),
    (X.F, REQUEST_CLIENT, [], [32.0], [32.0], Do.TELL_TIMEOUT, S.TERMINATED),
    (X.F, REQUEST_CLIENT, [X.R1XX], [32.0], [32.0], Do.TELL_TIMEOUT, S.TERMINATED),
    (X.G, INVITE_SERVER, [X.R3XX], TO_T2, [], Do.RESEND, S.COMPLETED),
    (X.H, INVITE_SERVER, [X.R3XX], [32.0], [32.0], Do.TELL_TIMEOUT, S.TERMINATED),
    (X.I, INVITE_SERVER, [X.R3XX, X.ACK], [5.0], [0.0], None, S.TERMINATED),
    (X.J, REQUEST_SERVER, [X.R2XX], [32.0], [0.0], None, S.TERMINATED),
    (X.K, REQUEST_CLIENT, [X.R3XX], [5.0], [0.0], None, S.TERMINATED),
    (X.L, INVITE_SERVER, [X.R2XX], [32.0], [32.0], None, S.TERMINATED),
    (X.M, INVITE_CLIENT, [X.R2XX], [32.0], [32.0], None, S.TERMINATED),
]


def fired(machine: Transaction, timer: Input) -> list[tuple[float, list[Do], TransactionState]]:
    """Fire all timers; returns the time, the actions and the state afterwards each time that `timer` fired."""
    found = []
    while (at := machine.next_timer()) is not None and at < 100:
        # One deadline at a time, the earliest first.
        due = min(machine.deadlines, key=machine.deadlines.__getitem__)
        asked = machine.due(at)
        if due is timer:
            found.append((at, asked, machine.state))
    return found


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(("timer", "table", "before", "udp", "over_tcp", "asked", "leads_to"), ROWS)
@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_each_timer_fires_at_its_time_over_udp_and_tcp(  # noqa: PLR0917  a row of the table
    timer: Input,
    table: Table,
    before: list[Input],
    udp: list[float],
    over_tcp: list[float],
    asked: Do | None,
    leads_to: TransactionState,
    tcp: bool,
    scale: float,
) -> None:
    machine = Transaction.start(table, Timing(0.5 * scale, 4 * scale, 5 * scale), tcp, 0.0)
    for what in before:
        machine.handle(what, 0.0)
    times = over_tcp if tcp else udp
    seen = fired(machine, timer)
    assert [at for at, _, _ in seen] == pytest.approx([at * scale for at in times])
    assert all(done == ([asked] if asked else []) for _, done, _ in seen)
    assert {state for _, _, state in seen} <= {leads_to}


def test_there_is_a_row_for_every_timer() -> None:
    assert {row[0] for row in ROWS} == set(TIMERS)
    assert {timer.value for timer in TIMERS} == {f"timer {letter}" for letter in "ABDEFGHIJKLM"}
