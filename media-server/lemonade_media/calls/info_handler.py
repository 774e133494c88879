"""Handles the INFO requests of callers: key presses and MSCML requests (RFC 5022 section 4, RFC 6086 section 6)."""

from __future__ import annotations

from lemonade_media.calls.admission import phrase
from lemonade_media.calls.call import MediaCall
from lemonade_media.calls.call_control import CallControl
from lemonade_media.calls.dtmf import Way
from lemonade_media.faults.mscml import (
    BASE64_REFUSED,
    KEYS_COUNT_TWICE,
    RESPONSE_BEFORE_INFO_OK,
    UNDECIPHERABLE_PASSED_OVER,
    has_transfer_encoding,
)
from lemonade_media.model.actions import Respond
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import MscmlError, Tolerance, parse_document
from lemonade_wire.mscml.messages import Keypress, MscmlResponse
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import InfoReceived
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.message.body import Entity
from lemonade_wire.sip.message.dtmf import DtmfRelay
from lemonade_wire.sip.message.smime import UNDECIPHERABLE, Opening, SmimeIdentity

DTMF = ("application/dtmf-relay", "application/dtmf")


class InfoHandler:
    """Answers the INFO requests of callers and passes their content to the calls' services.

    `tolerance` says which errors of MSCML documents are accepted. `identity` holds the server's S/MIME key; None: no
    encrypted body can be read.
    """

    def __init__(self, call_control: CallControl, tolerance: Tolerance, identity: SmimeIdentity | None) -> None:
        self._control = call_control
        self._tolerance = tolerance
        self._identity = identity

    def informed(self, event: InfoReceived, now: float) -> None:
        """Answer an INFO and carry out its key press or MSCML request.

        481 if the call does not exist; 400, 415 or 493 for a body that cannot be read; 488 for a request to an
        announcement; else 200.
        """
        call = self._control.calls.get(event.call)
        if call is None:
            self._control.agent.respond(event.transaction, 481, now=now)
            return
        opening = Opening(self._identity)
        try:
            if self._control.fault is BASE64_REFUSED and has_transfer_encoding(event.request):
                raise SipParseError("base64", status=415)
            asked = _asked(event.request, opening)
        except SipParseError as problem:
            if opening.opened and problem.status != 415:
                self._undecipherable(event, problem, now)
                return
            reason = "" if problem.status == 415 else phrase(problem)
            self._control.agent.respond(event.transaction, problem.status, now=now, reason=reason)
            return
        if opening.opened:
            self._secured(call)
        if asked is None:
            self._control.agent.respond(event.transaction, 200, now=now)
        elif asked.media.name in DTMF:
            self._press(event, asked, call, now)
        elif isinstance(call.service, IvrSession):
            self._requested(event, asked, call, call.service, now, opened=opening.opened)
        else:
            self._control.agent.respond(event.transaction, 488, now=now)  # the announcement service has no requests

    def pressed(self, call: MediaCall, key: str, way: Way, now: float, held_ms: float) -> None:
        """Handle a key press that came by INFO or by RTP, held for `held_ms`; one that comes both ways counts once."""
        is_new = call.keys.pressed(key, way, now) or self._control.fault is KEYS_COUNT_TWICE
        if is_new and isinstance(call.service, IvrSession):
            self._control.carry_out(call, call.service.key(key, now, held_ms), now)

    def released(self, call: MediaCall, key: str, now: float) -> None:
        """Handle the release of a key whose press came by RTP."""
        call.keys.released(key, now)
        if isinstance(call.service, IvrSession):
            self._control.carry_out(call, call.service.key_released(key, now), now)

    def _press(self, event: InfoReceived, asked: Entity, call: MediaCall, now: float) -> None:
        try:
            press = DtmfRelay.parse(asked.media.name, asked.content)
        except ValueError:
            # The digit may be a secret (RFC 5022 section 6.4.4): the answer does not repeat any of the body.
            self._control.agent.respond(event.transaction, 400, now=now, reason="A key press is expected")
            return
        self._control.agent.respond(event.transaction, 200, now=now)
        if press is not None:
            self.pressed(call, press.key, "info", now, press.duration)

    def _secured(self, call: MediaCall) -> None:
        """Mark a call as one whose requests come encrypted, so that responses are encrypted as well."""
        if not call.secured and call.certificate is None:
            self._control.log(
                "no certificate of the caller is known: encrypted requests are answered in clear", call.id
            )
        call.secured = True

    def _undecipherable(self, event: InfoReceived, problem: Exception, now: float) -> None:
        """Answer 493 to an INFO whose encrypted body cannot be read; the answer is the same for every kind of error.

        An attacker can change another caller's encrypted body and send it again. If the answers told the errors apart,
        the attacker could find out the plaintext step by step.
        """
        self._control.log(f"encrypted body: {problem.__cause__ or problem}", event.call)
        if self._control.fault is UNDECIPHERABLE_PASSED_OVER:
            self._control.agent.respond(event.transaction, 200, now=now)
        elif self._identity is not None:
            shown = self._identity.shown()
            headers = (("Content-Type", shown.content_type), *shown.headers)
            self._control.agent.respond(event.transaction, UNDECIPHERABLE, now=now, headers=headers, body=shown.octets)

    def _requested(
        self, event: InfoReceived, asked: Entity, call: MediaCall, session: IvrSession, now: float, *, opened: bool
    ) -> None:
        charset = asked.media.param("charset")
        try:
            document = parse_document(asked.content, tolerance=self._tolerance, charset=charset)
        except MscmlError as problem:
            refusal = problem.response()
            if refusal is None and opened:
                self._undecipherable(event, problem, now)
                return
            if refusal is None:
                self._control.agent.respond(event.transaction, 400, now=now, reason=f"Bad MSCML: {phrase(problem)}")
                return
            self._control.agent.respond(event.transaction, 200, now=now)
            self._control.log(f"request not understood: {problem}", call.id)
            self._control.carry_out(call, [Respond(refusal)], now)
            return
        if isinstance(document, MscmlResponse | Keypress):
            self._control.agent.respond(event.transaction, 400, now=now, reason="A request is expected")
            return
        if self._control.fault is RESPONSE_BEFORE_INFO_OK:
            call.silenced = True
            self._control.send(call, MscmlResponse("playcollect", id=document.id, reason="timeout"), now)
        # LS-2.7-12: the INFO is answered at once; the request in it is carried out later.
        self._control.agent.respond(event.transaction, 200, now=now)
        self._control.carry_out(call, session.receive(document, now), now)


def _asked(request: SipRequest, opening: Opening) -> Entity | None:
    """Return the MSCML or key press body of an INFO, None if it has none; raises SipParseError (400, 415, 493)."""
    if not request.body:
        return None
    found = opening.understood(request, lambda part: part.media.name in {MSCML, *DTMF})
    if len(found) > 1:
        raise SipParseError("More than one body for us")  # RFC 5022 section 4
    return found[0] if found else None
