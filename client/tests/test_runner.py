"""The runner's own rules: its states, its deadlines, what it refuses beforehand."""

from collections.abc import Callable
from typing import Any

import pytest

from lemonade_client.runner import STEPS, TRANSITIONS, Cause, State, unsupported
from lemonade_wire.script.verbs import VERBS


def test_every_verb_of_the_language_is_done() -> None:
    assert set(STEPS) == set(VERBS)


def test_however_a_script_ends_it_hangs_up_and_logs_out() -> None:
    for cause in (Cause.STEPS_OVER, Cause.STEP_FAILED, Cause.INTERRUPTED):
        assert TRANSITIONS[State.STEPPING, cause] is State.HANGING_UP
    assert TRANSITIONS[State.HANGING_UP, Cause.ENDED] is State.LOGGING_OUT
    assert TRANSITIONS[State.LOGGING_OUT, Cause.ENDED] is State.FINISHED


def test_an_empty_script_is_done_without_a_connection(bench: Callable[..., Any]) -> None:
    run = bench("  []\n").start()
    assert run.runner.finished
    assert not run.runner.failed
    assert (run.mail.opened, run.phone.asked) == (0, [])
    assert run.runner.next_timer() is None


def test_a_server_that_says_nothing_is_left_after_the_deadlines(bench: Callable[..., Any]) -> None:
    table = {"SELECT": "silence", "LOGOUT": "silence"}
    run = bench("  - find-part: {}\n    within: 4 s\n", server=table).start()
    assert run.at(3.9).states == []
    run.at(4.0)
    assert (run.states, run.why) == (["1 failed"], "the answer to SELECT did not come in time")
    assert not run.runner.finished
    assert run.runner.next_timer() == 106.0
    run.at(6.0)
    assert run.runner.finished
    assert run.mail.closed


def test_a_step_that_failed_ends_the_script(bench: Callable[..., Any]) -> None:
    run = bench("  - authorise: {}\n  - find-part: {}\n").start()
    assert run.states == ["1 failed"]
    assert run.runner.failed


def test_reports_tell_begin_and_end_of_each_step(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n  - imap: NOOP\n").start()
    assert [(report.index, report.step.verb, report.state) for report in run.reports] == [
        (1, "find-part", "started"),
        (1, "find-part", "done"),
        (2, "imap", "started"),
        (2, "imap", "done"),
    ]
    assert run.why == ""  # what the step before it had to tell is gone


def test_interrupting_before_the_start_or_after_the_end_is_harmless(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n")
    run.runner.interrupt(run.now)
    assert run.runner.finished
    assert run.states == []
    run.runner.interrupt(run.now)
    assert run.runner.finished


@pytest.mark.parametrize(
    ("steps", "head", "why"),
    [
        ("  - sip: {method: BYE}\n", "", "line 3: this client sends BYE by its own verbs alone, not raw"),
        ("  - hang-up\n", "media: 'SIPS:m'\n", "media: this client does no TLS, so no sips"),
        ("  - sip: {method: OPTIONS}\n", "media: 'sip:m'\n", None),
    ],
)
def test_what_is_refused_beforehand(bench: Callable[..., Any], steps: str, head: str, why: str | None) -> None:
    assert unsupported(bench(steps, head=head).session.script) == why
