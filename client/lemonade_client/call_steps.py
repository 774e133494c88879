"""The steps of a script that concern calls: announce, ivr, press, say, stop, mscml, reinvite, listen, hang-up, sip.

Each step is a generator function (see `session.py`). Every step raises StepError if it fails.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import replace
from xml.sax.saxutils import escape

from lemonade_client.call import ClientCall, Service
from lemonade_client.info_requests import ask, inform, matches
from lemonade_client.invite_requests import Form, describe, dial, service_uri
from lemonade_client.session import Session, StepError, Steps
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, Prompt, StopRequest
from lemonade_wire.script import verbs
from lemonade_wire.sdp.codec import Codec, SdpError
from lemonade_wire.sdp.description import SdpConnection, SessionDescription
from lemonade_wire.sdp.offer import read_answer
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import EndReason
from lemonade_wire.sip.message.body import answer_in
from lemonade_wire.sip.message.dtmf import DtmfRelay
from lemonade_wire.sip.message.smime import MimeBody
from lemonade_wire.sip.message.uri import SipUri

DTMF_RELAY = "application/dtmf-relay"
KEY_MS = 160
"""How long a key is held, in ms."""
SILENCE_SECONDS = 2.0
"""How long `announce` with `expect: none` waits for a final response: the INVITE is sent at 0, 0.5 and 1.5 s."""
# These methods change the user agent's calls: a script sends them by its verbs only, not as raw requests.
CALL_METHODS = frozenset({"INVITE", "ACK", "CANCEL", "BYE"})
# The name of the first element and its id. They are found without a parser, since a script may send malformed XML.
_NAME = re.compile(r"<\s*(\w+)")
_ID = re.compile(r"\bid\s*=\s*([\"'])(.*?)\1")

_ENDINGS: dict[EndReason, str] = {
    "bye-received": "the media server hung up",
    "bye-answered": "the call was hung up",
    "cancelled": "the call was cancelled",
    "no-ack": "the call was never acknowledged",
    "dialog-gone": "the media server no longer knows the call",
}


def announce(session: Session, args: verbs.AnnounceVerb) -> Steps:
    """Step `announce`: call the announcement service with the URL in the Request-URI (LS-2.5-2, LS-2.5-3)."""
    target = session.media_server("annc")
    form = Form(args.offer, args.video, args.sdp, args.escape, args.params)
    calling = dial(session, target, "annc", session.text(args.url), form)
    if args.expect == "none":
        yield from _nothing_comes(session, calling)
    else:
        yield from calling if args.cancel is None else _cancelled(session, calling, session.now + args.cancel)
        _require(session, args.expect)


def _nothing_comes(session: Session, calling: Steps) -> Steps:
    """Make a call and check that no final response comes for `SILENCE_SECONDS`; the call is given up then.

    In that time the INVITE is sent three times over UDP.
    """
    until = session.now + SILENCE_SECONDS
    for wake in calling:
        if session.now >= until:
            break
        yield until if wake is None else min(wake, until)
    calling.close()
    call, session.call = session.call, None
    if call is not None and call.settled:
        raise StepError(f"the INVITE got {call.status}; no answer is expected")


def _cancelled(session: Session, calling: Steps, at: float) -> Steps:
    """Make a call, and cancel it at the time `at` if it is not answered by then (RFC 3261 section 9.1)."""
    waits = True
    for wake in calling:
        if waits and session.now >= at and session.call is not None and not session.call.settled:
            session.phone.bye(session.call.id, now=session.now)
            waits = False
        yield min(at, math.inf if wake is None else wake) if waits else wake


def ivr(session: Session, args: verbs.IvrVerb) -> Steps:
    """Step `ivr`: call the IVR service if no call to it is up, then have it play the URL (LS-2.7-2 to LS-2.7-4)."""
    url = session.text(args.url)
    if not (session.call and session.call.up and session.call.service == "ivr"):
        yield from dial(session, session.media_server("ivr"), "ivr", url, Form(args.offer, args.video, args.sdp))
        if not _require(session, args.expect):
            return
    yield from play(session, url, args)


def play(session: Session, url: str, args: verbs.IvrVerb) -> Steps:
    """Send `<playcollect>` by INFO; its timers of 0 ms end it together with the media (LS-2.7-5, LS-2.7-9, -11)."""
    call = _call(session)
    call.asked.append(("playcollect", session.next_id()))
    call.heard_before = session.heard
    offset_ms = session.play_offset_ms if isinstance(args.offset, str) else round(args.offset * 1000)
    audio = Audio(session.behaviour.url_to_hand_over(url))
    request = PlayCollectRequest(
        prompt=Prompt((audio,), offset_ms=offset_ms, repeat=1, stop_on_error=True),
        id=call.asked[-1][1],
        clear_digits=True,
        escape_key=args.escape,
        skip_interval_ms=args.skip * 1000,
        ff_key=args.ff,
        rw_key=args.rw,
        first_digit_ms=0,
        interdigit_ms=0,
        extra_digit_ms=0,
    )
    document = write_document(session.behaviour.request_to_send(request))
    yield from ask(session, call, document, "INFO playcollect")


def press(session: Session, args: verbs.PressVerb) -> Steps:
    """Step `press`: after so many seconds of media, send a key by INFO (LS-2.9-3), by RTP (RFC 4733), or by both."""
    call = yield from _heard(session, args.after)
    key = session.behaviour.key_to_send(args.key)
    if args.by != "info":
        sent = session.now + session.media.press(key.upper(), KEY_MS)
        yield from session.until(lambda: False, f"the end of key {args.key}", sent)
    if args.by != "rtp":
        relay = DtmfRelay(key, KEY_MS)
        yield from inform(session, call, MimeBody(DTMF_RELAY, (), bytes(relay)), f"INFO dtmf-relay {args.key}")


def say(session: Session, args: verbs.SayVerb) -> Steps:
    """Step `say`: send the sound of a WAV file by RTP, and wait until all of it is sent."""
    _call(session)
    said = session.now + session.media.say(session.script.folder / args.file)
    yield from session.until(lambda: False, f"the end of {args.file}", said)


def stop(session: Session, args: verbs.StopVerb) -> Steps:
    """Step `stop`: after so many seconds of media, send `<stop>` by INFO (LS-2.7-14)."""
    call = yield from _heard(session, args.after)
    yield from ask(session, call, write_document(StopRequest(id=session.next_id())), "INFO stop")


def mscml(session: Session, args: verbs.MscmlVerb) -> Steps:
    """Step `mscml`: send a request with the text of the script by INFO; `listen` then waits for its response."""
    text = session.text(args.request, escape)
    if session.call and session.call.up and session.call.service == "ivr":
        call = yield from _heard(session, args.after)
    else:
        yield from dial(session, session.media_server("ivr"), "ivr", "", Form(verbs.IvrVerb().offer))
        _require(session, "200")
        call = _call(session)
    name, number = _NAME.search(text), _ID.search(text)
    asked = name[1] if name else "mscml"
    if asked.startswith("play"):
        call.heard_before = session.heard
    body = f'<?xml version="1.0"?><MediaServerControl version="1.0"><request>{text}</request></MediaServerControl>'
    yield from ask(session, call, body.encode(), f"INFO {asked}", expect=args.expect)
    if args.expect.startswith("2"):
        call.asked.append((asked, number[2] if number else None))


def reinvite(session: Session, args: verbs.ReinviteVerb) -> Steps:
    """Step `reinvite`: after so many seconds of media, offer a changed session (RFC 3264 section 8).

    If the step names another service, its Request-URI moves the call there (RFC 5022 section 3), and the offer is the
    one for that service (E-36).
    """
    call = yield from _heard(session, args.after)
    service = args.service or call.service
    uri = _uri_of(session, call, args.service, args.url) if args.service else None
    before, offer = call.offer, _other_offer(session, call, service, args)
    transaction = session.phone.reinvite(call.id, bytes(offer), now=session.now, uri=uri)
    call.offer = offer
    final = yield from session.answer(transaction, "re-INVITE")
    if final is None or final.status >= 300:
        # The session stays as it was (RFC 3261 section 14.1), but the version in its o= line has been used.
        call.offer = replace(before, origin=offer.origin)
        if args.move:
            session.media.stay()
    if final is None:
        raise StepError(f"the re-INVITE got no answer; {args.expect} is expected")
    if not matches(final.status, args.expect):
        raise StepError(f"the re-INVITE got {final.status} {final.reason}; {args.expect} is expected")
    if final.status < 300:
        try:
            session.media.expect(read_answer(offer, SessionDescription.parse(answer_in(final))))
        except SdpError as problem:
            raise StepError(f"the answer's SDP: {problem}") from problem
        if uri is not None:
            call.service, call.heard_before = service, session.heard
            call.certificate = session.smime.peers.find(uri)


def listen(session: Session, args: verbs.ListenVerb) -> Steps:
    """Step `listen`: wait for BYE, for the response to the last MSCML request, for a notification, or for some time."""
    if isinstance(args.until, float):
        until = session.now + args.until
        yield from session.until(lambda: False, "the time to pass", until)
    elif args.until == "bye":
        call = _call(session, may_be_over=True)
        yield from session.until(lambda: call.over, "BYE")
        if call.ended != "bye-received":
            raise StepError(f"no BYE came: {_ending(call)}")
    elif args.until == "keypress":
        call = _call(session, may_be_over=True)
        yield from session.until(lambda: bool(call.keypresses) or not call.up, "a notification")
        if not call.keypresses:
            raise StepError(f"no notification came: {_ending(call)}{_trouble(call)}")
        told = call.keypresses.pop(0)
        session.notes.append(f"keypress {told.method}")  # without the digit, which may be a secret
    else:
        yield from response(session, args.expect)


def response(session: Session, expect: str) -> Steps:
    """Wait for the MSCML response to the last request and check its code; the 200 to its INFO is sent by then."""
    call = _call(session, may_be_over=True)
    if not call.asked:
        raise StepError("no MSCML request waits for its response")
    asked = call.asked[-1][0]
    yield from session.until(lambda: call.awaits_no_response, f"the response to <{asked}>")
    taken = call.take_response()
    if taken is not None:
        session.play_offset_ms = taken.play_offset_ms or 0
    if taken is None:
        raise StepError(f"no response to <{asked}>: {_ending(call)}{_trouble(call)}")
    said = f"response {taken.code} {taken.reason or taken.text or ''}".rstrip()
    if taken.error_info is not None:
        said += f" (its server: {taken.error_info.code} {taken.error_info.text})"
    if call.unsecured:
        said += ", in the clear though the request was encrypted"
    if not matches(taken.code, expect):
        raise StepError(f"{said}; {expect} is expected")
    session.notes.append(said)


def hang_up(session: Session, _args: verbs.HangUpVerb) -> Steps:
    """Step `hang-up`: send BYE and wait for the end of the call."""
    call = _call(session)
    session.phone.bye(call.id, now=session.now)
    yield from session.until(lambda: call.over, "the answer to BYE")


def sip(session: Session, args: verbs.SipVerb) -> Steps:
    """Step `sip`: send a raw request, inside the call if one is up and no URI is given, else outside a dialog."""
    headers = [(name, session.text(value)) for name, value in args.headers.items()]
    body = session.text(args.body).encode()
    if args.uri is None and session.call is not None and session.call.up:
        transaction = session.phone.send(session.call.id, args.method, now=session.now, body=body, headers=headers)
    else:
        uri = _raw_uri(session, args.uri)
        hop = session.hop(uri)
        transaction = session.phone.request(args.method, uri, next_hop=hop, now=session.now, body=body, headers=headers)
    final = yield from session.answer(transaction, args.method)
    if final is None:
        raise StepError(f"{args.method} got no answer")
    if not matches(final.status, args.expect):
        raise StepError(f"{args.method} got {final.status} {final.reason}; {args.expect} is expected")


def _call(session: Session, *, may_be_over: bool = False) -> ClientCall:
    call = session.call
    if call is None:
        raise StepError("there is no call")
    if not call.up and not may_be_over:
        raise StepError(f"the call is over: {_ending(call)}")
    return call


def _ending(call: ClientCall) -> str:
    if call.refused:
        return f"the INVITE got {call.status}"
    return _ENDINGS[call.ended] if call.ended else "the call is still up"


def _trouble(call: ClientCall) -> str:
    return f"; {call.trouble}" if call.trouble else ""


def _require(session: Session, expect: str) -> bool:
    """Return whether the call is up; raises StepError if the INVITE has another status than the expected one."""
    call = session.call
    if call is None or call.final is None:
        raise StepError(f"the INVITE got no answer; {expect} is expected")
    if not matches(call.final.status, expect):
        raise StepError(f"the INVITE got {call.final.status} {call.final.reason}; {expect} is expected")
    session.notes.append(f"{call.final.status} {call.final.reason}")
    return call.up


def _heard(session: Session, after: float) -> Generator[float | None, None, ClientCall]:
    call = _call(session)
    enough = call.heard_before + after - 1e-6
    yield from session.until(
        lambda: session.heard >= enough or not call.up or (call.service == "ivr" and call.awaits_no_response),
        f"{after:g} s of media to be heard",
    )
    heard = session.heard - call.heard_before
    if not call.up:
        raise StepError(f"after {heard:.2f} s heard, before {after:g} s: {_ending(call)}")
    if session.heard < enough:
        raise StepError(f"the playing ended after {heard:.2f} s heard, before {after:g} s")
    return call


def _uri_of(session: Session, call: ClientCall, service: Service, url: str) -> SipUri:
    """Return the URI of a service of the call's media server."""
    played = session.text(url) if service == "annc" else ""
    return service_uri(session, call.server, service, session.behaviour.url_to_hand_over(played), Form(()))


def _other_offer(session: Session, call: ClientCall, service: Service, args: verbs.ReinviteVerb) -> SessionDescription:
    """Make the offer of a re-INVITE from the last description; its version grows by one if anything else changes."""
    before = call.offer
    lines = [*before.media]
    audio = next(index for index, line in enumerate(lines) if line.media == "audio")
    codecs = [Codec.parse(text) for text in args.offer] or [
        known.codec for known in lines[audio].rtp_formats() if not known.codec.is_telephone_event
    ]
    drawn = describe(session, service, (lines[audio].port, codecs), (0, [])).media[0]
    types = {known.payload_type: known.codec for known in drawn.rtp_formats()}
    try:
        port = session.media.renew(types, move=args.move)
    except OSError as problem:
        raise StepError(f"no RTP port is free: {problem}") from problem
    held = {"sendrecv": "sendonly", "recvonly": "inactive"}  # RFC 3264 section 8.4
    attributes = tuple(
        replace(line, name=held.get(line.name, line.name)) if args.hold == "direction" else line
        for line in drawn.attributes
    )
    lines[audio] = replace(drawn, port=port, attributes=attributes)
    address = "0.0.0.0" if args.hold == "address" else session.address  # noqa: S104  for SDP; no socket is bound to it
    offer = replace(before, media=tuple(lines), connection=SdpConnection.to(address))
    if offer == before:
        return before
    return replace(offer, origin=replace(before.origin, version=before.origin.version + 1))


def _raw_uri(session: Session, text: str | None) -> SipUri:
    if text is None:
        target = session.configured()
        if target is None:
            raise StepError("no URI: the step gives none, no call is up, and the script names no media server")
        return target.uri
    try:
        return SipUri.parse(session.text(text))
    except SipParseError as problem:
        raise StepError(f"the URI cannot be used: {problem}") from problem
