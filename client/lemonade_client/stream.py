"""The step `stream`: the whole procedure with its fallbacks (LS-2.2-11 to LS-2.2-13, LS-2.4-2 to LS-2.4-6)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from lemonade_client.behaviour import CORRECT, Behaviour
from lemonade_client.call import Service
from lemonade_client.call_steps import hang_up, listen, play, response
from lemonade_client.dialing import Form, dial
from lemonade_client.imap_steps import authorise, find_part, look_up
from lemonade_client.session import Session, StepError, Steps, Target
from lemonade_wire.script import verbs

# RFC 3261 names no such list: these statuses say that the service, not the server, is what is missing.
TRY_ANNOUNCEMENT = frozenset({404, 405, 415, 480, 488, 501, 603})


@dataclass(frozen=True)
class Attempt:
    """One call to try."""

    target: Target
    service: Service


def first_attempts(targets: tuple[Target, ...], behaviour: Behaviour = CORRECT) -> list[Attempt]:
    """Return the calls to try, in the server's order: MSCML first where nothing is known (LS-2.4-3)."""
    known = [target for target in targets if target.service or not target.uri.user]
    return [Attempt(target, behaviour.service_to_ask(target.service)) for target in known]


def after_refusal(failed: Attempt, status: int | None, left: list[Attempt]) -> list[Attempt]:
    """Return what to try after a call was refused with `status` (None: no answer).

    A server that does not do MSCML is asked for the announcement (LS-2.4-6); a busy or silent one gives way to the
    next of the same service first (LS-2.2-13).
    """
    if failed.service == "ivr" and status in TRY_ANNOUNCEMENT:
        announcement = Attempt(failed.target, "annc")
        same_host = [one for one in left if one.service == "annc" and _host(one) == _host(failed)]
        return left if same_host else [announcement, *left]
    return sorted(left, key=lambda one: one.service != failed.service)


def stream(session: Session, args: verbs.Stream) -> Steps:
    """Find, discover, authorise, call, listen to the end."""
    if session.part is None:
        yield from find_part(session, verbs.FindPart())
    if not session.targets:
        yield from look_up(session)
    yield from authorise(session, verbs.Authorise(expire=args.expire))
    configured = session.configured() if not session.targets else None
    attempts = first_attempts(session.targets or ((configured,) if configured else ()), session.behaviour)
    left = _protected(session, attempts)
    if not left:
        raise StepError("no media server: the server's metadata names none, and neither does the script")
    tried: list[str] = []
    while left:
        attempt = left.pop(0)
        outcome = yield from _try(session, attempt, args)
        if outcome is None:
            return
        tried.append(f"{attempt.service} at {attempt.target.uri.host}: {outcome[1]}")
        left = [] if session.behaviour.gives_up else _protected(session, after_refusal(attempt, outcome[0], left))
    raise StepError("; ".join(tried))


def _try(
    session: Session, attempt: Attempt, args: verbs.Stream
) -> Generator[float | None, None, tuple[int | None, str] | None]:
    """Make one call and listen to its end; None when it was heard, else the INVITE's status and what went wrong."""
    try:
        yield from dial(session, attempt.target, attempt.service, session.text("$url"), Form(args.offer))
        call = session.call
        if call is None or not call.up:
            status = call.final.status if call and call.final else None
            return status, f"the INVITE got {status or 'no answer'}"
        if attempt.service == "ivr":
            yield from play(session, session.text("$url"), verbs.Ivr())
            yield from response(session, "2xx")
            yield from hang_up(session, verbs.HangUp())
        else:
            yield from listen(session, verbs.Listen())
    except StepError as problem:
        if session.call is not None and session.call.up:
            yield from hang_up(session, verbs.HangUp())
        return None, str(problem)
    return None


def _protected(session: Session, attempts: list[Attempt]) -> list[Attempt]:
    """Return what may be tried: where MSCML is encrypted no announcement, whose URI shows the ticket (LS-3-4)."""
    return [one for one in attempts if one.service == "ivr" or not session.smime.peers.certificates]


def _host(attempt: Attempt) -> tuple[str, int | None]:
    return attempt.target.uri.host.lower(), attempt.target.uri.port
