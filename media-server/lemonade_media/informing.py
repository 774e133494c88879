"""What a caller's INFO asks for: keys and MSCML requests (RFC 5022 section 4, RFC 6086 section 6)."""

from __future__ import annotations

from lemonade_media import faults
from lemonade_media.admission import phrase
from lemonade_media.calls import Call
from lemonade_media.conductor import Conductor
from lemonade_media.ivr import IvrSession
from lemonade_media.keys import Way
from lemonade_media.service import Respond
from lemonade_wire.mscml.document import CONTENT_TYPE as MSCML
from lemonade_wire.mscml.document import MscmlError, Tolerance, parse_document
from lemonade_wire.mscml.response import Keypress, Response
from lemonade_wire.sip.body import Entity
from lemonade_wire.sip.dtmf import DtmfRelay
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.event import InfoReceived
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.smime import UNDECIPHERABLE, Identity, Opening

DTMF = ("application/dtmf-relay", "application/dtmf")


class Informing:
    """Answers the INFOs of callers."""

    def __init__(self, conductor: Conductor, tolerance: Tolerance, identity: Identity | None) -> None:
        self._conductor = conductor
        self._tolerance = tolerance
        self._identity = identity

    def informed(self, event: InfoReceived, now: float) -> None:
        """Take an INFO."""
        call = self._conductor.calls.get(event.call)
        if call is None:
            self._conductor.agent.respond(event.transaction, 481, now=now)
            return
        opening = Opening(self._identity)
        try:
            asked = _asked(event.request, opening)
        except SipParseError as problem:
            if opening.opened and problem.status != 415:
                self._undecipherable(event, problem, now)
                return
            reason = "" if problem.status == 415 else phrase(problem)
            self._conductor.agent.respond(event.transaction, problem.status, now=now, reason=reason)
            return
        if opening.opened:
            self._secured(call)
        if asked is None:
            self._conductor.agent.respond(event.transaction, 200, now=now)
        elif asked.media.name in DTMF:
            self._press(event, asked, call, now)
        elif isinstance(call.service, IvrSession):
            self._requested(event, asked, call, call.service, now, opened=opening.opened)
        else:
            self._conductor.agent.respond(event.transaction, 488, now=now)  # an announcement takes no requests

    def pressed(self, call: Call, key: str, way: Way, now: float, held_ms: float) -> None:
        """Take a key, by INFO or by RTP, and how long it was held; one that comes both ways is pressed once."""
        is_new = call.keys.pressed(key, way, now) or isinstance(self._conductor.fault, faults.KeysCountTwice)
        if is_new and isinstance(call.service, IvrSession):
            self._conductor.carry_out(call, call.service.key(key, now, held_ms), now)

    def released(self, call: Call, key: str, now: float) -> None:
        """Take the end of a press that RTP told."""
        call.keys.released(key, now)
        if isinstance(call.service, IvrSession):
            self._conductor.carry_out(call, call.service.key_released(key, now), now)

    def _press(self, event: InfoReceived, asked: Entity, call: Call, now: float) -> None:
        try:
            press = DtmfRelay.parse(asked.media.name, asked.content)
        except ValueError:
            # What was pressed may be a secret (RFC 5022 section 6.4.4), and so may be what is wrong with it.
            self._conductor.agent.respond(event.transaction, 400, now=now, reason="A key press is expected")
            return
        self._conductor.agent.respond(event.transaction, 200, now=now)
        if press is not None:
            self.pressed(call, press.key, "info", now, press.duration)

    def _secured(self, call: Call) -> None:
        """Take note that a call's requests come encrypted."""
        if not call.secured and call.certificate is None:
            self._conductor.log(
                "no certificate of the caller is known: encrypted requests are answered in clear", call.id
            )
        call.secured = True

    def _undecipherable(self, event: InfoReceived, problem: Exception, now: float) -> None:
        """Refuse what came encrypted and is not to be read, in the same words whatever is wrong with it.

        Who sends a body that others have encrypted, a little changed, would else learn what it holds, guess by guess.
        """
        self._conductor.log(f"encrypted body: {problem.__cause__ or problem}", event.call)
        if isinstance(self._conductor.fault, faults.UndecipherablePassedOver):
            self._conductor.agent.respond(event.transaction, 200, now=now)
        elif self._identity is not None:
            shown = self._identity.shown()
            headers = (("Content-Type", shown.content_type), *shown.headers)
            self._conductor.agent.respond(
                event.transaction, UNDECIPHERABLE, now=now, headers=headers, body=shown.octets
            )

    def _requested(
        self, event: InfoReceived, asked: Entity, call: Call, session: IvrSession, now: float, *, opened: bool
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
                self._conductor.agent.respond(event.transaction, 400, now=now, reason=f"Bad MSCML: {phrase(problem)}")
                return
            self._conductor.agent.respond(event.transaction, 200, now=now)
            self._conductor.log(f"request not understood: {problem}", call.id)
            self._conductor.carry_out(call, [Respond(refusal)], now)
            return
        if isinstance(document, Response | Keypress):
            self._conductor.agent.respond(event.transaction, 400, now=now, reason="A request is expected")
            return
        if isinstance(self._conductor.fault, faults.ResponseBeforeInfoOk):
            call.silenced = True
            self._conductor.send(call, Response("playcollect", id=document.id, reason="timeout"), now)
        # LS-2.7-12: the INFO is answered at once; what it asks for comes later.
        self._conductor.agent.respond(event.transaction, 200, now=now)
        self._conductor.carry_out(call, session.receive(document, now), now)


def _asked(request: Request, opening: Opening) -> Entity | None:
    """Return what an INFO holds for us, None where that is nothing; raises SipParseError (415, 400, 493)."""
    if not request.body:
        return None
    found = opening.understood(request, lambda part: part.media.name in {MSCML, *DTMF})
    if len(found) > 1:
        raise SipParseError("More than one body for us")  # RFC 5022 section 4
    return found[0] if found else None
