"""The pool of IMAP connections: its orders for every event, with times that the test gives."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lemonade_media.fetch.pool import Entrance, Leave, Open, Order, Pool, PoolLimits, TurnAway, Use

HERE = Entrance("imap.example.com", 143, True)
ANONYMOUS = Entrance("imap.example.com", 143, False)
THERE = Entrance("other.example.com", 143, True)
KEPT = PoolLimits(per_server=2, in_all=3, idle_seconds=60, wait_seconds=10)


def test_without_an_idle_limit_each_fetch_has_a_connection_and_leaves_it() -> None:
    pool = Pool(PoolLimits())
    assert pool.ask(1, HERE, 0) == [Open(1, 1, HERE)]
    assert pool.done(1, 5) == [Leave(1)]
    assert pool.ask(2, HERE, 5) == [Open(2, 2, HERE)]
    assert pool.gone(1, 12) == []
    assert pool.next_timer() is None


def test_a_connection_is_kept_for_the_next_fetch_of_its_kind() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    assert pool.done(1, 5) == []
    assert pool.ask(2, HERE, 6) == [Use(2, 1)]
    assert pool.ask(3, ANONYMOUS, 6) == [Open(3, 2, ANONYMOUS)]
    assert pool.next_timer() is None


def test_a_connection_is_left_when_its_idle_time_is_over() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    pool.done(1, 5)
    assert pool.next_timer() == 65
    assert pool.handle_timer(64.9) == []
    assert pool.handle_timer(65) == [Leave(1)]
    assert pool.next_timer() is None
    assert pool.ask(2, HERE, 66) == [Open(2, 2, HERE)]


def test_an_idle_time_counts_from_the_last_fetch_and_from_time_zero() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    pool.done(1, 0)
    assert pool.next_timer() == 60
    pool.ask(2, HERE, 30)
    pool.done(1, 40)
    assert pool.handle_timer(99) == []
    assert pool.handle_timer(100) == [Leave(1)]


def test_a_connection_idle_for_more_than_10_s_is_doubtful() -> None:
    pool = Pool(PoolLimits(idle_seconds=60, sure_seconds=10))
    pool.ask(1, HERE, 0)
    pool.done(1, 5)
    assert pool.ask(2, HERE, 15) == [Use(2, 1, doubtful=False)]
    pool.done(1, 20)
    assert pool.ask(3, HERE, 30.1) == [Use(3, 1, doubtful=True)]


def test_the_latest_is_used_and_the_longest_idle_makes_room() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    pool.ask(2, HERE, 0)
    pool.done(1, 1)
    pool.done(2, 2)
    assert pool.ask(3, HERE, 3) == [Use(3, 2)]
    assert pool.ask(4, ANONYMOUS, 3) == [Leave(1)]
    assert pool.ask(5, ANONYMOUS, 3) == [], "one is leaving already"
    assert pool.gone(1, 12) == [Open(4, 3, ANONYMOUS)]


def test_fetches_above_the_limit_of_a_server_wait_and_delay_no_other_server() -> None:
    pool = Pool(KEPT)
    assert len(pool.ask(1, HERE, 0) + pool.ask(2, HERE, 0)) == 2
    assert pool.ask(3, HERE, 0) == []
    assert pool.ask(4, HERE, 1) == []
    assert pool.ask(5, THERE, 1) == [Open(5, 3, THERE)]
    assert pool.done(2, 2) == [Use(3, 2)]
    assert pool.gone(1, 12) == [Open(4, 4, HERE)]


def test_the_total_limit_counts_every_server() -> None:
    pool = Pool(PoolLimits(per_server=5, in_all=2))
    pool.ask(1, HERE, 0)
    pool.ask(2, THERE, 0)
    assert pool.ask(3, ANONYMOUS, 0) == []
    assert pool.done(1, 1) == [Leave(1)]
    assert pool.gone(1, 12) == [Open(3, 3, ANONYMOUS)]


def test_a_fetch_that_waits_too_long_is_refused() -> None:
    pool = Pool(PoolLimits(per_server=1, wait_seconds=10))
    pool.ask(1, HERE, 0)
    pool.ask(2, HERE, 1)
    pool.ask(3, HERE, 2)
    assert pool.next_timer() == 11
    assert pool.handle_timer(11) == [TurnAway(2)]
    pool.forget(3)
    assert pool.next_timer() is None
    pool.done(1, 12)
    assert pool.gone(1, 12) == []


def test_a_second_try_is_on_a_new_connection() -> None:
    pool = Pool(KEPT)
    for job in (1, 2):
        pool.ask(job, HERE, 0)
    pool.done(2, 1)
    assert pool.ask(1, HERE, 2, fresh=True) == [Leave(2)], "at the cap, one that was kept makes room"
    assert pool.gone(1, 12) == [Open(1, 3, HERE)]
    assert pool.gone(2, 12) == []


def test_leave_all_leaves_every_idle_connection() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    pool.ask(2, THERE, 0)
    pool.ask(3, HERE, 0)
    pool.ask(4, HERE, 0)
    pool.done(1, 0)
    assert pool.leave_all() == []
    pool.done(2, 1)
    assert pool.leave_all() == [Leave(2)]
    assert pool.leave_all() == []


def test_done_for_a_closed_connection_does_nothing() -> None:
    pool = Pool(KEPT)
    pool.ask(1, HERE, 0)
    pool.gone(1, 12)
    assert pool.done(1, 1) == []
    assert pool.next_timer() is None


class PoolMachine(RuleBasedStateMachine):
    """In any sequence of events no limit is exceeded, and no connection has two fetches.

    No fetch waits while there is room for a connection.
    """

    limits = PoolLimits(per_server=2, in_all=3, idle_seconds=5, wait_seconds=8, sure_seconds=2)

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(self.limits)
        self.now = 0.0
        self.jobs = 0
        self.waiting: dict[int, Entrance] = {}
        self.open: dict[int, Entrance] = {}
        self.busy: dict[int, int] = {}
        self.leaving: set[int] = set()
        self.idle_since: dict[int, float] = {}

    def obey(self, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Open(job, number, entrance):
                    assert number not in self.open
                    assert self.waiting.pop(job) == entrance
                    self.open[number] = entrance
                    self.busy[number] = job
                case Use(job, number, doubtful):
                    assert number not in self.busy
                    assert number not in self.leaving
                    assert self.waiting.pop(job) == self.open[number]
                    assert doubtful is (self.now - self.idle_since[number] > self.limits.sure_seconds)
                    self.busy[number] = job
                case Leave(number):
                    assert number not in self.busy
                    assert number not in self.leaving
                    self.leaving.add(number)
                case TurnAway(job):
                    del self.waiting[job]

    @rule(entrance=st.sampled_from([HERE, ANONYMOUS, THERE]), fresh=st.booleans())
    def ask(self, entrance: Entrance, fresh: bool) -> None:
        self.jobs += 1
        self.waiting[self.jobs] = entrance
        self.obey(self.pool.ask(self.jobs, entrance, self.now, fresh=fresh))

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.busy)))
        del self.busy[number]
        self.idle_since[number] = self.now
        self.obey(self.pool.done(number, self.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[number]
        self.busy.pop(number, None)
        self.leaving.discard(number)
        self.obey(self.pool.gone(number, self.now))

    @rule(seconds=st.sampled_from([0.5, 3, 9]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.pool.handle_timer(self.now))
        due = self.pool.next_timer()
        assert due is None or due > self.now

    @invariant()
    def caps_hold(self) -> None:
        assert len(self.open) <= 3
        for host in ("imap.example.com", "other.example.com"):
            assert sum(entrance.host == host for entrance in self.open.values()) <= 2

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        assert not self.waiting or self.open


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
