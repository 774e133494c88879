"""Each arrow of the figures in RFC 3261 section 17, as changed by RFC 6026, with explicit times."""

import pytest

from lemonade_wire.sip.settings import Timing
from lemonade_wire.sip.transaction.state_machine import (
    INVITE_CLIENT,
    INVITE_SERVER,
    REQUEST_CLIENT,
    REQUEST_SERVER,
    Do,
    Input,
    Table,
    Transaction,
    TransactionState,
)

S, X = TransactionState, Input
TIMING = Timing()


def start(table: Table, *, tcp: bool = False) -> Transaction:
    return Transaction.start(table, TIMING, tcp, 0.0)


def fired(machine: Transaction, until: float) -> list[tuple[float, Do]]:
    """Return the actions of the timers up to `until`, with their times."""
    seen: list[tuple[float, Do]] = []
    while (at := machine.next_timer()) is not None and at <= until:
        seen += [(at, do) for do in machine.due(at)]
    return seen


def test_a_doubles_without_cap_until_b() -> None:
    machine = start(INVITE_CLIENT)
    seen = fired(machine, 100)
    assert [at for at, do in seen if do is Do.RESEND] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert seen[-1] == (32.0, Do.TELL_TIMEOUT)
    assert machine.over


def test_e_doubles_up_to_t2_until_f() -> None:
    machine = start(REQUEST_CLIENT)
    seen = fired(machine, 100)
    assert [at for at, do in seen if do is Do.RESEND] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert seen[-1] == (32.0, Do.TELL_TIMEOUT)
    assert machine.over


def test_e_is_t2_once_proceeding_and_f_goes_on() -> None:
    machine = start(REQUEST_CLIENT)
    assert machine.handle(X.R1XX, 0.1) == (Do.PASS,)
    seen = fired(machine, 100)
    assert [at for at, do in seen if do is Do.RESEND] == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert seen[-1] == (32.0, Do.TELL_TIMEOUT)


def test_g_doubles_up_to_t2_until_h() -> None:
    machine = start(INVITE_SERVER)
    machine.handle(X.R3XX, 0.0)
    seen = fired(machine, 100)
    assert [at for at, do in seen if do is Do.RESEND] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert seen[-1] == (32.0, Do.TELL_TIMEOUT)


def test_a_proceeding_invite_has_no_timer() -> None:
    for table in (INVITE_CLIENT, INVITE_SERVER):
        machine = start(table)
        machine.handle(X.R1XX, 0.1)
        assert machine.next_timer() is None


# Table, inputs, the state after them, and its duration over UDP and over TCP (seconds after the last input).
LASTS = [
    (INVITE_CLIENT, [X.R3XX], S.COMPLETED, (32.5, 0.0)),  # D
    (INVITE_CLIENT, [X.R2XX], S.ACCEPTED, (32.0, 32.0)),  # M
    (REQUEST_CLIENT, [X.R2XX], S.COMPLETED, (5.0, 0.0)),  # K
    (INVITE_SERVER, [X.R2XX], S.ACCEPTED, (32.0, 32.0)),  # L
    (INVITE_SERVER, [X.R3XX, X.ACK], S.CONFIRMED, (5.0, 0.0)),  # I
    (REQUEST_SERVER, [X.R3XX], S.COMPLETED, (32.0, 0.0)),  # J
]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(("table", "inputs", "state", "lasts_udp_tcp"), LASTS)
def test_how_long_a_state_lasts(
    table: Table, inputs: list[Input], state: TransactionState, lasts_udp_tcp: tuple[float, float], tcp: bool
) -> None:
    machine = start(table, tcp=tcp)
    for what in inputs:
        machine.handle(what, 1.0)
    assert machine.state is state
    lasts = lasts_udp_tcp[tcp]
    assert machine.due(1.0 + lasts - 0.001) == [] or lasts == 0.0
    assert not machine.over or lasts == 0.0
    assert machine.due(1.0 + lasts) == []
    assert machine.over


@pytest.mark.parametrize(("table", "gives_up"), [(INVITE_CLIENT, 32.0), (REQUEST_CLIENT, 32.0)])
def test_nothing_is_sent_again_over_tcp(table: Table, gives_up: float) -> None:
    assert fired(start(table, tcp=True), 100) == [(gives_up, Do.TELL_TIMEOUT)]


def test_a_refusal_is_not_sent_again_over_tcp_but_its_ack_is_awaited() -> None:
    machine = start(INVITE_SERVER, tcp=True)
    machine.handle(X.R3XX, 0.0)
    assert fired(machine, 100) == [(32.0, Do.TELL_TIMEOUT)]


# Table, inputs before, input, actions, state afterwards.
ARROWS = [
    (INVITE_CLIENT, [], X.R1XX, (Do.PASS,), S.PROCEEDING),
    (INVITE_CLIENT, [], X.R2XX, (Do.PASS,), S.ACCEPTED),
    (INVITE_CLIENT, [], X.R3XX, (Do.SEND_ACK, Do.PASS), S.COMPLETED),
    (INVITE_CLIENT, [], X.ERROR, (Do.TELL_ERROR,), S.TERMINATED),
    (INVITE_CLIENT, [X.R1XX], X.R1XX, (Do.PASS,), S.PROCEEDING),
    (INVITE_CLIENT, [X.R1XX], X.R2XX, (Do.PASS,), S.ACCEPTED),
    (INVITE_CLIENT, [X.R1XX], X.R3XX, (Do.SEND_ACK, Do.PASS), S.COMPLETED),
    (INVITE_CLIENT, [X.R1XX], X.ERROR, (), S.PROCEEDING),
    (INVITE_CLIENT, [X.R3XX], X.R3XX, (Do.SEND_ACK,), S.COMPLETED),
    (INVITE_CLIENT, [X.R3XX], X.R1XX, (), S.COMPLETED),
    (INVITE_CLIENT, [X.R3XX], X.R2XX, (), S.COMPLETED),
    (INVITE_CLIENT, [X.R3XX], X.ERROR, (), S.TERMINATED),
    (INVITE_CLIENT, [X.R2XX], X.R2XX, (Do.PASS,), S.ACCEPTED),
    (INVITE_CLIENT, [X.R2XX], X.R1XX, (), S.ACCEPTED),
    (INVITE_CLIENT, [X.R2XX], X.R3XX, (), S.ACCEPTED),
    (REQUEST_CLIENT, [], X.R1XX, (Do.PASS,), S.PROCEEDING),
    (REQUEST_CLIENT, [], X.R2XX, (Do.PASS,), S.COMPLETED),
    (REQUEST_CLIENT, [], X.R3XX, (Do.PASS,), S.COMPLETED),
    (REQUEST_CLIENT, [], X.ERROR, (Do.TELL_ERROR,), S.TERMINATED),
    (REQUEST_CLIENT, [X.R1XX], X.R1XX, (Do.PASS,), S.PROCEEDING),
    (REQUEST_CLIENT, [X.R1XX], X.R2XX, (Do.PASS,), S.COMPLETED),
    (REQUEST_CLIENT, [X.R1XX], X.R3XX, (Do.PASS,), S.COMPLETED),
    (REQUEST_CLIENT, [X.R1XX], X.ERROR, (Do.TELL_ERROR,), S.TERMINATED),
    (REQUEST_CLIENT, [X.R2XX], X.R2XX, (), S.COMPLETED),
    (INVITE_SERVER, [], X.REQUEST, (Do.RESEND,), S.PROCEEDING),
    (INVITE_SERVER, [], X.R1XX, (Do.SEND,), S.PROCEEDING),
    (INVITE_SERVER, [], X.R2XX, (Do.SEND,), S.ACCEPTED),
    (INVITE_SERVER, [], X.R3XX, (Do.SEND,), S.COMPLETED),
    (INVITE_SERVER, [], X.ERROR, (Do.TELL_ERROR,), S.PROCEEDING),
    (INVITE_SERVER, [], X.ACK, (), S.PROCEEDING),
    (INVITE_SERVER, [X.R3XX], X.REQUEST, (Do.RESEND,), S.COMPLETED),
    (INVITE_SERVER, [X.R3XX], X.ACK, (), S.CONFIRMED),
    (INVITE_SERVER, [X.R3XX], X.ERROR, (Do.TELL_ERROR,), S.COMPLETED),
    (INVITE_SERVER, [X.R3XX, X.ACK], X.ACK, (), S.CONFIRMED),
    (INVITE_SERVER, [X.R3XX, X.ACK], X.REQUEST, (), S.CONFIRMED),
    (INVITE_SERVER, [X.R2XX], X.REQUEST, (), S.ACCEPTED),
    (INVITE_SERVER, [X.R2XX], X.R2XX, (Do.RESEND,), S.ACCEPTED),
    (INVITE_SERVER, [X.R2XX], X.ACK, (Do.PASS,), S.ACCEPTED),
    (INVITE_SERVER, [X.R2XX], X.ERROR, (Do.TELL_ERROR,), S.ACCEPTED),
    (REQUEST_SERVER, [], X.REQUEST, (), S.TRYING),
    (REQUEST_SERVER, [], X.R1XX, (Do.SEND,), S.PROCEEDING),
    (REQUEST_SERVER, [], X.R2XX, (Do.SEND,), S.COMPLETED),
    (REQUEST_SERVER, [], X.R3XX, (Do.SEND,), S.COMPLETED),
    (REQUEST_SERVER, [X.R1XX], X.REQUEST, (Do.RESEND,), S.PROCEEDING),
    (REQUEST_SERVER, [X.R1XX], X.R1XX, (Do.SEND,), S.PROCEEDING),
    (REQUEST_SERVER, [X.R1XX], X.R2XX, (Do.SEND,), S.COMPLETED),
    (REQUEST_SERVER, [X.R1XX], X.R3XX, (Do.SEND,), S.COMPLETED),
    (REQUEST_SERVER, [X.R1XX], X.ERROR, (Do.TELL_ERROR,), S.PROCEEDING),
    (REQUEST_SERVER, [X.R2XX], X.REQUEST, (Do.RESEND,), S.COMPLETED),
    (REQUEST_SERVER, [X.R2XX], X.R2XX, (), S.COMPLETED),
    (REQUEST_SERVER, [X.R2XX], X.ERROR, (Do.TELL_ERROR,), S.COMPLETED),
]


@pytest.mark.parametrize(("table", "before", "what", "done", "after"), ARROWS)
def test_each_arrow_of_the_figures_is_followed(
    table: Table, before: list[Input], what: Input, done: tuple[Do, ...], after: TransactionState
) -> None:
    machine = start(table)
    for earlier in before:
        machine.handle(earlier, 0.0)
    assert machine.handle(what, 0.1) == done
    assert machine.state is after


def test_every_arrow_is_tried() -> None:
    tried = {(id(table), what) for table, _, what, _, _ in ARROWS}
    timers = {letter for letter in X if letter.value.startswith("timer")}
    for table in (INVITE_CLIENT, REQUEST_CLIENT, INVITE_SERVER, REQUEST_SERVER):
        assert {(id(table), what) for row in table.values() for what in row if what not in timers} <= tried
