"""Runs a script step by step: events and time in, actions on the engines out. No socket, no reactor, no clock.

The runner acts on three things that it is given: an IMAP connection (`Mail`), a user agent (`Phone`: a
`lemonade_wire.sip.ua.UserAgent` as it is), and RTP ports (`Media`). What happens comes back through `mail_event`,
`sip_event`, `heard` and `handle_timer`, each with `now` in seconds, monotonic. So a whole diagram replays in memory:
put an `ImapClient` and a `UserAgent` under the runner, carry their octets to the engines of the servers and back, hand
the user agent's `events()` to `sip_event`, and move `now` to the least of all `next_timer()` whenever nothing is left
to carry. `client/tests/test_replay.py` does it with servers of a few lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from lemonade_client import call_steps, imap_steps
from lemonade_client.mail import MailEvent
from lemonade_client.session import Session, StepError, Steps
from lemonade_client.stream import stream
from lemonade_wire.imap import command as commands
from lemonade_wire.script import Script, Step
from lemonade_wire.sip.errors import SipUsageError
from lemonade_wire.sip.event import Event as SipEvent

HANG_UP_SECONDS = 5.0
LOGOUT_SECONDS = 2.0

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


class State(Enum):
    """Where the runner is."""

    WAITING = "waiting"
    STEPPING = "stepping"
    HANGING_UP = "hanging up"
    LOGGING_OUT = "logging out"
    FINISHED = "finished"


class Cause(Enum):
    """What moves it on."""

    BEGUN = "begun"
    STEP_DONE = "step done"
    STEPS_OVER = "steps over"
    STEP_FAILED = "step failed"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


# However a script ends, it hangs up and logs out.
TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.WAITING, Cause.BEGUN): State.STEPPING,
    (State.WAITING, Cause.INTERRUPTED): State.HANGING_UP,
    (State.STEPPING, Cause.STEP_DONE): State.STEPPING,
    (State.STEPPING, Cause.STEPS_OVER): State.HANGING_UP,
    (State.STEPPING, Cause.STEP_FAILED): State.HANGING_UP,
    (State.STEPPING, Cause.INTERRUPTED): State.HANGING_UP,
    (State.HANGING_UP, Cause.ENDED): State.LOGGING_OUT,
    (State.LOGGING_OUT, Cause.ENDED): State.FINISHED,
}


@dataclass(frozen=True)
class StepReported:
    """A step began, was done, or failed; `why` says what came of it, `index` counts from 1."""

    index: int
    step: Step
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
    """Runs one script. `report` is called at each step's beginning and end.

    `failed` is set once a step failed; `finished` when the call is hung up and the mailbox logged out.
    """

    def __init__(self, session: Session, report: Callable[[StepReported], None]) -> None:
        self.session = session
        self.state = State.WAITING
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
        """Whether nothing is left to do."""
        return self.state is State.FINISHED

    def start(self, now: float) -> None:
        """Begin with the first step."""
        self.session.now = now
        self._move(Cause.BEGUN)
        self._go_on()

    def mail_event(self, event: MailEvent, now: float) -> None:
        """Take an event of the IMAP connection."""
        self.session.now = now
        self.session.note_mail(event)
        self._go_on()

    def sip_event(self, event: SipEvent, now: float) -> None:
        """Take an event of the user agent."""
        self.session.now = now
        self.session.note_sip(event)
        self._go_on()

    def heard(self, seconds: float, now: float) -> None:
        """Take note that `seconds` of media have arrived in all."""
        self.session.now = now
        self.session.heard = seconds
        self._go_on()

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`: a wait that is over, a deadline that has passed."""
        self.session.now = now
        self._go_on()

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is wanted next; None before the start and at the end."""
        if self._running is None:
            return None
        return self._deadline if self._wake is None else min(self._deadline, self._wake)

    def interrupt(self, now: float) -> None:
        """Give the script up: hang up, log out, finish."""
        if self.state in {State.WAITING, State.STEPPING}:
            self.session.now = now
            self.interrupted = True
            if self.state is State.STEPPING:
                self._running = None
                self._fail("interrupted")
            self._move(Cause.INTERRUPTED)
            self._go_on()

    # -- one state to the next -----------------------------------------------------------------------------------

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]
        if self.state is State.STEPPING:
            self._begin_step()
        elif self.state is State.HANGING_UP:
            self._begin(self._hang_up(), HANG_UP_SECONDS)
        elif self.state is State.LOGGING_OUT:
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
        self._report(StepReported(self._index, step, "started"))
        self._begin(STEPS[step.verb](self.session, step.args), step.within or script.step_deadline)

    def _go_on(self) -> None:
        """Resume what runs, and what follows it, until something has to be waited for.

        An engine that answers at once calls back from within: its event is noted, and the wait that follows finds it.
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
        except (StepError, SipUsageError, ValueError) as problem:  # the last two: an engine refuses what it is asked
            self._running = None
            self._end_of_part(str(problem))
        else:
            self._waits = self.session.now < self._deadline
            if not self._waits:
                running.close()
                self._running = None
                self._end_of_part(f"{self.session.waiting_for} did not come in time")

    def _end_of_part(self, why: str) -> None:
        """Go on after a step, or after the hanging up or logging out, of which a failure stops nothing."""
        if self.state is not State.STEPPING:
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
