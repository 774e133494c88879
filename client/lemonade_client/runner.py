"""Runs a script step by step, without sockets, reactor or clock: it takes events and the time, and acts on engines.

The runner is given an IMAP connection (`Mail`), a user agent (`Phone`, which is a `lemonade_wire.sip.ua.UserAgent`) and
RTP ports (`Media`), and calls their methods. Their events are given to `mail_event`, `sip_event`, `heard` and
`handle_timer`, each with `now` in seconds, monotonic.

So a whole script can be replayed in memory: give the runner an `ImapClient` and a `UserAgent`, carry their octets to
the engines of the servers and back, give the user agent's `events()` to `sip_event`, and when no octets are left, move
`now` to the earliest `next_timer()`. `client/tests/test_replay.py` does so with small servers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from lemonade_client import call_steps, imap_steps
from lemonade_client.mailbox_session import MailEvent
from lemonade_client.session import Session, StepError, Steps
from lemonade_client.stream import stream
from lemonade_wire.imap import command as commands
from lemonade_wire.script import Script, ScriptStep
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import Event as SipEvent

HANG_UP_SECONDS = 5.0
"""How long the runner waits at the end for the answer to BYE."""
LOGOUT_SECONDS = 2.0
"""How long it waits for the answer to LOGOUT."""

StepFunction = Callable[[Session, Any], Steps]

STEPS: dict[str, StepFunction] = {
    "find-part": imap_steps.find_part,
    "discover": imap_steps.discover,
    "authorise": imap_steps.authorise,
    "imap": imap_steps.imap,
    "announce": call_steps.announce,
    "ivr": call_steps.ivr,
    "press": call_steps.press,
    "say": call_steps.say,
    "stop": call_steps.stop,
    "mscml": call_steps.mscml,
    "reinvite": call_steps.reinvite,
    "listen": call_steps.listen,
    "hang-up": call_steps.hang_up,
    "sip": call_steps.sip,
    "stream": stream,
}


class RunnerState(Enum):
    """The states of the runner."""

    WAITING = "waiting"
    STEPPING = "stepping"
    HANGING_UP = "hanging up"
    LOGGING_OUT = "logging out"
    FINISHED = "finished"


class Cause(Enum):
    """The causes of a transition from one state to another."""

    BEGUN = "begun"
    STEP_DONE = "step done"
    STEPS_OVER = "steps over"
    STEP_FAILED = "step failed"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


# Every script hangs up and logs out at its end, also after a failed step or an interruption.
TRANSITIONS: dict[tuple[RunnerState, Cause], RunnerState] = {
    (RunnerState.WAITING, Cause.BEGUN): RunnerState.STEPPING,
    (RunnerState.WAITING, Cause.INTERRUPTED): RunnerState.HANGING_UP,
    (RunnerState.STEPPING, Cause.STEP_DONE): RunnerState.STEPPING,
    (RunnerState.STEPPING, Cause.STEPS_OVER): RunnerState.HANGING_UP,
    (RunnerState.STEPPING, Cause.STEP_FAILED): RunnerState.HANGING_UP,
    (RunnerState.STEPPING, Cause.INTERRUPTED): RunnerState.HANGING_UP,
    (RunnerState.HANGING_UP, Cause.ENDED): RunnerState.LOGGING_OUT,
    (RunnerState.LOGGING_OUT, Cause.ENDED): RunnerState.FINISHED,
}


@dataclass(frozen=True)
class StepReported:
    """A report that a step was started, is done, or has failed.

    `index` counts from 1. `why` has the notes of a step that is done, or the reason of the failure.
    """

    index: int
    step: ScriptStep
    state: Literal["started", "done", "failed"]
    why: str = ""


def unsupported(script: Script) -> str | None:
    """Return why this client cannot run a script at all (exit 127), or None."""
    for step in script.steps:
        if step.verb not in STEPS:
            return f"line {step.line}: this client does not do {step.verb!r}"
        method = getattr(step.args, "method", None)
        if method in call_steps.CALL_METHODS:
            return f"line {step.line}: this client sends {method} by its own verbs alone, not raw"
    if script.media is not None and script.media.lower().startswith("sips:"):
        return "media: this client does no TLS, so no sips"
    return None


class ScriptRunner:
    """Runs one script. `report` is called at the start and at the end of each step.

    `failed` is set once a step has failed; `finished` once the call is hung up and the mailbox logged out.
    """

    def __init__(self, session: Session, report: Callable[[StepReported], None]) -> None:
        self.session = session
        self.state = RunnerState.WAITING
        self.failed = False
        self.interrupted = False
        self._report = report
        self._index = 0
        self._running: Steps | None = None
        self._deadline = 0.0
        self._wake: float | None = None
        self._waits = False
        self._busy = False

    @property
    def finished(self) -> bool:
        """Whether the script has ended, and the call and the IMAP connection with it."""
        return self.state is RunnerState.FINISHED

    def start(self, now: float) -> None:
        """Start the first step."""
        self.session.now = now
        self._move(Cause.BEGUN)
        self._go_on()

    def mail_event(self, event: MailEvent, now: float) -> None:
        """Handle an event of the IMAP connection."""
        self.session.now = now
        self.session.note_mail(event)
        self._go_on()

    def sip_event(self, event: SipEvent, now: float) -> None:
        """Handle an event of the user agent."""
        self.session.now = now
        self.session.note_sip(event)
        self._go_on()

    def heard(self, seconds: float, now: float) -> None:
        """Handle that `seconds` of media have been received in all calls together."""
        self.session.now = now
        self.session.heard = seconds
        self._go_on()

    def handle_timer(self, now: float) -> None:
        """Handle the timers that have expired at `now`: the end of a wait, or a step's deadline."""
        self.session.now = now
        self._go_on()

    def next_timer(self) -> float | None:
        """Return the time at which `handle_timer` must be called; None before the start and after the end."""
        if self._running is None:
            return None
        return self._deadline if self._wake is None else min(self._deadline, self._wake)

    def interrupt(self, now: float) -> None:
        """Stop the script: the running step fails, then the runner hangs up and logs out."""
        if self.state in {RunnerState.WAITING, RunnerState.STEPPING}:
            self.session.now = now
            self.interrupted = True
            if self.state is RunnerState.STEPPING:
                self._running = None
                self._fail("interrupted")
            self._move(Cause.INTERRUPTED)
            self._go_on()

    # -- states --------------------------------------------------------------------------------------------------

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]
        if self.state is RunnerState.STEPPING:
            self._begin_step()
        elif self.state is RunnerState.HANGING_UP:
            self._begin(self._hang_up(), HANG_UP_SECONDS)
        elif self.state is RunnerState.LOGGING_OUT:
            self.session.media.close()
            self._begin(self._log_out(), LOGOUT_SECONDS)
        else:
            self.session.mailbox.mail.close()

    def _begin(self, steps: Steps, seconds: float) -> None:
        self._running = steps
        self._deadline = self.session.now + seconds

    def _begin_step(self) -> None:
        script = self.session.script
        if self._index == len(script.steps):
            self._move(Cause.STEPS_OVER)
            return
        step = script.steps[self._index]
        self._index += 1
        self.session.notes.clear()
        self.session.ahead = tuple(script.steps[self._index :])
        self._report(StepReported(self._index, step, "started"))
        self._begin(STEPS[step.verb](self.session, step.args), step.within or script.step_deadline)

    def _go_on(self) -> None:
        """Resume the running step, and start those that follow it, until one has to wait.

        An engine may report an event from within a call of its methods. Then this method is running already: the event
        has been stored, and the step finds it when it would wait.
        """
        if self._busy:
            return
        self._busy = True
        try:
            while self._running is not None:
                self._resume(self._running)
                if self._waits:
                    return
        finally:
            self._busy = False

    def _resume(self, running: Steps) -> None:
        self._waits = False
        try:
            self._wake = next(running)
        except StopIteration:
            self._running = None
            self._end_of_part("")
        except (StepError, SipUsageError, ValueError) as problem:  # an engine raises the last two for a refused call
            self._running = None
            self._end_of_part(str(problem))
        else:
            self._waits = self.session.now < self._deadline
            if not self._waits:
                running.close()
                self._running = None
                self._end_of_part(f"{self.session.waiting_for} did not come in time")

    def _end_of_part(self, why: str) -> None:
        """Continue after a step, or after hanging up or logging out; the failure of those two is ignored."""
        if self.state is not RunnerState.STEPPING:
            self._move(Cause.ENDED)
        elif why:
            self._fail(why)
            self._move(Cause.STEP_FAILED)
        else:
            step = self.session.script.steps[self._index - 1]
            self._report(StepReported(self._index, step, "done", "; ".join(self.session.notes)))
            self._move(Cause.STEP_DONE)

    def _fail(self, why: str) -> None:
        self.failed = True
        self._report(StepReported(self._index, self.session.script.steps[self._index - 1], "failed", why))

    def _hang_up(self) -> Steps:
        call = self.session.call
        if call is not None and not call.over:
            self.session.phone.bye(call.id, now=self.session.now)
            yield from self.session.until(lambda: call.over, "the end of the call")

    def _log_out(self) -> Steps:
        if self.session.mailbox.is_open:
            yield from self.session.exchange(commands.logout())
