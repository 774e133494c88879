"""The runner: its states, its deadlines, and the scripts that it does not support."""

import pytest

from lemonade_client.runner import STEPS, TRANSITIONS, Cause, RunnerState, unsupported
from lemonade_client.testing.bench import Bench
from lemonade_wire.script.verbs import VERBS


def test_every_verb_of_the_language_has_a_step() -> None:
    assert set(STEPS) == set(VERBS)


def test_every_end_of_a_script_leads_to_hang_up_and_logout() -> None:
    for cause in (Cause.STEPS_OVER, Cause.STEP_FAILED, Cause.INTERRUPTED):
        assert TRANSITIONS[RunnerState.STEPPING, cause] is RunnerState.HANGING_UP
    assert TRANSITIONS[RunnerState.HANGING_UP, Cause.ENDED] is RunnerState.LOGGING_OUT
    assert TRANSITIONS[RunnerState.LOGGING_OUT, Cause.ENDED] is RunnerState.FINISHED


def test_an_empty_script_is_done_without_a_connection() -> None:
    run = Bench("  []\n").start()
    assert run.runner.finished
    assert not run.runner.failed
    assert (run.mail.opened, run.phone.asked) == (0, [])
    assert run.runner.next_timer() is None


def test_a_silent_imap_server_is_left_after_the_deadlines() -> None:
    table = {"SELECT": "silence", "LOGOUT": "silence"}
    run = Bench("  - find-part: {}\n    within: 4 s\n", server=table).start()
    assert run.at(3.9).states == []
    run.at(4.0)
    assert (run.states, run.why) == (["1 failed"], "the answer to SELECT did not come in time")
    assert not run.runner.finished
    assert run.runner.next_timer() == 106.0
    run.at(6.0)
    assert run.runner.finished
    assert run.mail.closed


def test_a_step_that_failed_ends_the_script() -> None:
    run = Bench("  - authorise: {}\n  - find-part: {}\n").start()
    assert run.states == ["1 failed"]
    assert run.runner.failed


def test_the_start_and_end_of_each_step_are_reported() -> None:
    run = Bench("  - find-part: {}\n  - imap: NOOP\n").start()
    assert [(report.index, report.step.verb, report.state) for report in run.reports] == [
        (1, "find-part", "started"),
        (1, "find-part", "done"),
        (2, "imap", "started"),
        (2, "imap", "done"),
    ]
    assert run.why == ""  # the notes of the step before it were removed


def test_interrupting_before_the_start_or_after_the_end_is_harmless() -> None:
    run = Bench("  - find-part: {}\n")
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
def test_unsupported_names_raw_call_methods_and_sips(steps: str, head: str, why: str | None) -> None:
    assert unsupported(Bench(steps, head=head).session.script) == why
