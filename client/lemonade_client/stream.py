"""The step `stream`: the client's whole procedure with its fallbacks (LS-2.2-11 to LS-2.2-13, LS-2.4-2 to LS-2.4-6).

The draft says only that a client picks another server on failure. A failure is defined as in RFC 3263 section 4.3: a
failure response, a transport error, a name without an address, or no response. Timer B would wait for 32 s. The step's
`answer-within` ends the wait for a server that has not even sent 100, as timer C does in a proxy (RFC 3261 section
16.6).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from lemonade_client.behaviour import CORRECT, ClientBehaviour
from lemonade_client.call import Service
from lemonade_client.call_steps import hang_up, listen, play, response
from lemonade_client.imap_steps import access_for, authorise_for, find_part, look_up
from lemonade_client.invite_requests import Form, dial
from lemonade_client.session import ChosenServer, Session, StepError, Steps
from lemonade_wire.imap.url_parts import Access
from lemonade_wire.script import verbs

# Statuses that mean that the server lacks the service, and not that the server fails. RFC 3261 has no such list.
TRY_ANNOUNCEMENT = frozenset({404, 405, 415, 480, 488, 501, 603})


@dataclass(frozen=True)
class Attempt:
    """A call to try: a service at a media server."""

    target: ChosenServer
    service: Service


def first_attempts(targets: tuple[ChosenServer, ...], behaviour: ClientBehaviour = CORRECT) -> list[Attempt]:
    """Return the calls to try, in the order of the list; the IVR service if a URI names no service (LS-2.4-3)."""
    known = [target for target in targets if target.service or not target.uri.user]
    return [Attempt(target, behaviour.service_to_ask(target.service)) for target in known]


def after_refusal(failed: Attempt, status: int | None, left: list[Attempt]) -> list[Attempt]:
    """Return the calls to try after a call was refused with `status` (None: no response).

    If the server lacks the IVR service, its announcement service is next (LS-2.4-6). If it is busy or does not respond,
    the next media server with the same service is next (LS-2.2-13).
    """
    if failed.service == "ivr" and status in TRY_ANNOUNCEMENT:
        announcement = Attempt(failed.target, "annc")
        same_host = [one for one in left if one.service == "annc" and _host(one) == _host(failed)]
        return left if same_host else [announcement, *left]
    return sorted(left, key=lambda one: one.service != failed.service)


def stream(session: Session, args: verbs.StreamVerb) -> Steps:
    """Step `stream`: find the part, discover media servers, get an authorised URL, call, and listen to the end.

    The URL is authorised for the first media server, and again for a later one that needs another access. Raises
    StepError if no call succeeds.
    """
    if session.part is None:
        yield from find_part(session, verbs.FindPartVerb())
    if not session.targets:
        yield from look_up(session)
    configured = session.configured() if not session.targets else None
    attempts = first_attempts(session.targets or ((configured,) if configured else ()), session.behaviour)
    left = _protected(session, attempts)
    if not left:
        raise StepError("no media server: the server's metadata names none, and neither does the script")
    tried: list[str] = []
    granted: Access | None = None
    authorising = verbs.AuthoriseVerb(expire=args.expire, expect="none" if args.expect == "none" else "ticket")
    while left:
        attempt = left.pop(0)
        access = access_for(session, attempt.target, args.access)
        if access != granted:
            yield from authorise_for(session, access, authorising)
            granted = access
        if session.url is None:  # the script expects no ticket; without one there is no call (LS-2.3-12)
            return
        outcome = yield from _try(session, attempt, args)
        if outcome is None:
            return
        tried.append(f"{attempt.service} at {attempt.target.uri.host}: {outcome[1]}")
        left = [] if session.behaviour.gives_up else _protected(session, after_refusal(attempt, outcome[0], left))
    raise StepError("; ".join(tried))


def _try(
    session: Session, attempt: Attempt, args: verbs.StreamVerb
) -> Generator[float | None, None, tuple[int | None, str] | None]:
    """Make one call and listen to its end; returns None if it succeeded, else the INVITE's status and the error."""
    try:
        patience = args.answer_within if session.behaviour.leaves_the_silent else None
        url, form = session.text("$url"), Form(args.offer)
        yield from dial(session, attempt.target, attempt.service, url, form, patience=patience)
        call = session.call
        if call is None or not call.up:
            status = call.final.status if call and call.final else None
            return status, f"the INVITE got {status or 'no answer'}"
        if attempt.service == "ivr":
            yield from play(session, session.text("$url"), verbs.IvrVerb())
            yield from response(session, "2xx")
            yield from hang_up(session, verbs.HangUpVerb())
        else:
            yield from listen(session, verbs.ListenVerb())
    except StepError as problem:
        if session.call is not None and session.call.up:
            yield from hang_up(session, verbs.HangUpVerb())
        return None, str(problem)
    return None


def _protected(session: Session, attempts: list[Attempt]) -> list[Attempt]:
    """Return the calls that are allowed: with encrypted MSCML no announcement, whose URI shows the ticket (LS-3-4)."""
    return [one for one in attempts if one.service == "ivr" or not session.smime.peers.certificates]


def _host(attempt: Attempt) -> tuple[str, int | None]:
    return attempt.target.uri.host.lower(), attempt.target.uri.port
