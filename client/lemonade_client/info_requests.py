"""Sends INFO requests to the media server: key presses, and MSCML, which is encrypted if a certificate is known."""

from __future__ import annotations

from collections.abc import Generator

from lemonade_client.call import ClientCall
from lemonade_client.session import Session, StepError, Steps
from lemonade_wire.sip.message import SipResponse
from lemonade_wire.sip.message.keyring import named
from lemonade_wire.sip.message.smime import UNDECIPHERABLE, MimeBody, seal, shown_certificates

NOT_UNDERSTOOD = frozenset({415, UNDECIPHERABLE})


def matches(status: int, expected: str) -> bool:
    """Return whether a status is the one that a script expects: `200`, or one of a class such as `4xx`."""
    return str(status) == expected or (expected.endswith("xx") and str(status)[0] == expected[0])


def inform(session: Session, call: ClientCall, body: MimeBody, what: str, *, expect: str = "200") -> Steps:
    """Send an INFO with this body and wait for its final response; raises StepError for a status other than `expect`.

    `what` names the request in the error.
    """
    final = yield from _sent(session, call, body, what)
    _require(final, what, expect)


def ask(session: Session, call: ClientCall, document: bytes, what: str, *, expect: str = "200") -> Steps:
    """Send an MSCML request by INFO, encrypted if the media server's certificate is known (LS-2.4-4).

    If the client has certificates, all MSCML has to be encrypted: a media server without a certificate is sent no
    request. After a refusal of the encrypted request it is not sent in the clear, since the refusal may be a downgrade
    attack (RFC 3261 section 23.2). Raises StepError for these, and for a status other than `expect`.
    """
    kind = session.behaviour.mscml_type
    clear = session.behaviour.clear_body(MimeBody(kind, (), document))
    body = clear
    if call.certificate is not None:
        body = session.behaviour.secured_body(seal(document, kind, call.certificate), clear)
    elif session.smime.peers.certificates:
        raise StepError(f"{what}: there is no certificate of this media server, and nothing is sent in the clear")
    final = yield from _sent(session, call, body, what)
    if final is not None and final.status in NOT_UNDERSTOOD and session.behaviour.falls_back_to_clear:
        final = yield from _sent(session, call, clear, what)
    if final is not None and final.status == UNDECIPHERABLE:
        shown = [named(certificate) for certificate in shown_certificates(final)]
        session.notes.append(f"493 with {f'the certificate of {shown[0]}' if shown else 'no certificate'}")
    _require(final, what, expect)


def _sent(
    session: Session, call: ClientCall, body: MimeBody, what: str
) -> Generator[float | None, None, SipResponse | None]:
    transaction = session.phone.info(call.id, body.octets, body.content_type, now=session.now, headers=body.headers)
    return (yield from session.answer(transaction, what))


def _require(final: SipResponse | None, what: str, expect: str) -> None:
    if final is None or not matches(final.status, expect):
        got = f"{final.status} {final.reason}" if final else "no answer"
        raise StepError(f"{what} got {got}; {expect} is expected")
