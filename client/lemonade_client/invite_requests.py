"""Makes the client's calls: the INVITE for the announcement or IVR service, its SDP offer, and the RTP ports for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lemonade_client.call import ClientCall, Service
from lemonade_client.session import ChosenServer, Session, StepError, Steps
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.messages import Audio, PlayCollectRequest, Prompt
from lemonade_wire.script import verbs
from lemonade_wire.sdp.codec import Codec, SdpError
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import make_offer, read_answer
from lemonade_wire.sip.message.body import answer_in
from lemonade_wire.sip.message.text import Params
from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import AnnouncementUri


@dataclass(frozen=True)
class Form:
    """The options of an INVITE that a script can set.

    `audio` and `video` are the codecs of the offer (no video codec: no video line). `sdp` is a whole session
    description, which is used instead. `params` are further parameters of an announcement's URI. With `escape`
    "semicolons" only semicolons of the URL are escaped in it (E-14).
    """

    audio: Sequence[str]
    video: Sequence[str] = ()
    sdp: str = ""
    escape: Literal["needed", "semicolons"] = "needed"
    params: Mapping[str, str] = field(default_factory=dict)


def dial(
    session: Session, target: ChosenServer, service: Service, url: str, form: Form, *, patience: float | None = None
) -> Steps:
    """Send an INVITE and wait for its final response, which `session.call` then has. The user agent sends the ACK.

    If the server sends no response at all within `patience` seconds, the call is given up, and `session.call` is None.
    Raises StepError for that, if a call is up already, if no RTP port is free, or if the answer accepts no audio.
    """
    if session.call is not None and not session.call.over:
        raise StepError("a call is up already: hang-up comes first")
    session.media.close()  # the ports of the call before may still be open
    given = session.behaviour.url_to_hand_over(url)
    uri = service_uri(session, target.uri, service, given, form)
    hop = session.hop(target.uri)
    description = _offer(session, service, hop.host, form)
    kind, body = "application/sdp", bytes(description)
    if service == "ivr":  # LS-2.7-2: the INVITE negotiates codecs, and holds no MSCML request
        kind, body = session.behaviour.invite_body(body, write_document(PlayCollectRequest(Prompt((Audio(given),)))))
    call = session.phone.invite(uri, next_hop=hop, now=session.now, body=body, content_type=kind)
    session.call = current = ClientCall(
        call,
        service,
        description,
        target.uri,
        heard_before=session.heard,
        identity=session.smime.identity,
        certificate=session.smime.peers.find(uri),
    )
    if patience is not None:
        until = session.now + patience
        yield from session.until(lambda: current.settled or current.progressed, "a response to INVITE", until)
        if not (current.settled or current.progressed):
            _abandon(session, current)
            raise StepError(f"the INVITE got no response within {patience:g} s")
    yield from session.until(lambda: current.settled, "the final response to INVITE")
    if current.up and current.final is not None:
        try:
            streams = read_answer(description, SessionDescription.parse(answer_in(current.final)))
        except SdpError as problem:
            raise StepError(f"the answer's SDP: {problem}") from problem
        if not any(stream.media == "audio" for stream in streams):
            raise StepError("the answer accepts no audio")
        session.media.expect(streams)
    else:
        session.media.close()


def _abandon(session: Session, call: ClientCall) -> None:
    """Give up a call whose server sends no response.

    If a provisional response still comes, the user agent sends CANCEL then (RFC 3261 section 9.1).
    """
    session.phone.bye(call.id, now=session.now)
    session.media.close()
    session.call = None


def service_uri(session: Session, server: SipUri, service: Service, url: str, form: Form) -> SipUri:
    """Return the Request-URI for a service of a media server; that of an announcement has `url` as its `play`.

    Source: RFC 4240 section 3 (`annc`), RFC 5022 section 3 (`ivr`).
    """
    if service == "ivr":
        return replace(server, user="ivr")
    announced = AnnouncementUri(play=session.behaviour.url_to_escape(url)).uri(server.host, server.port)
    params: Params = announced.params
    if form.escape == "semicolons":
        params = (("play", url.replace(";", "%3B")),)
    further = tuple((name, session.text(value)) for name, value in form.params.items())
    return replace(announced, params=(*params, *further, *server.params))


def _offer(session: Session, service: Service, peer: str, form: Form) -> SessionDescription:
    """Make the offer and open its ports: recvonly for an announcement, sendrecv with telephone-event for ivr (E-36)."""
    # The ports are opened with the payload types of the offer, which a first description with port 0 gives.
    drawn = _description(session, service, form, 0, 0)
    types = {line.media: {fmt.payload_type: fmt.codec for fmt in line.rtp_formats()} for line in drawn.media}
    try:
        port = session.media.open("audio", types["audio"], peer)
        video_port = session.media.open("video", types["video"], peer) if "video" in types else 0
    except OSError as problem:
        raise StepError(f"no RTP port is free: {problem}") from problem
    return _description(session, service, form, port, video_port)


def describe(
    session: Session, service: Service, audio: tuple[int, list[Codec]], video: tuple[int, list[Codec]]
) -> SessionDescription:
    """Return the offer of a call to a service; `audio` and `video` are port and codecs (no video codec: no video)."""
    both = service == "ivr"
    return make_offer(
        session.address,
        *audio,
        direction=Direction.SENDRECV if both else Direction.RECVONLY,
        telephone_event=both,
        video=video if video[1] else None,
    )


def _description(session: Session, service: Service, form: Form, port: int, video_port: int) -> SessionDescription:
    if not form.sdp:
        audio, video = ([Codec.parse(text) for text in codecs] for codecs in (form.audio, form.video))
        return describe(session, service, (port, audio), (video_port, video))
    values = {"address": session.address, "audio": str(port), "video": str(video_port)}
    text = "\r\n".join(verbs.substitute(form.sdp, values).split("\n"))
    try:
        described = SessionDescription.parse(text.encode())
    except SdpError as problem:
        raise StepError(f"the step's session description: {problem}") from problem
    if not any(line.media == "audio" for line in described.media):
        raise StepError("the step's session description has no audio line")
    return described
