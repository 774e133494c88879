"""How the client calls: the INVITE of either service, its offer, and the ports that it opens for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lemonade_client.call import Call, Service
from lemonade_client.session import Session, StepError, Steps, Target
from lemonade_wire.mscml.document import write_document
from lemonade_wire.mscml.request import Audio, PlayCollect, Prompt
from lemonade_wire.script import verbs
from lemonade_wire.sdp.codec import Codec, SdpError
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import make_offer, read_answer
from lemonade_wire.sip.body import answer_in
from lemonade_wire.sip.netann import AnnouncementUri
from lemonade_wire.sip.text import Params
from lemonade_wire.sip.uri import SipUri


@dataclass(frozen=True)
class Form:
    """How an INVITE is written.

    `audio` and `video` are the codecs offered (no video: no such line), `sdp` a description as it stands in their
    place. Of an announcement's URI, `params` are further parameters, and with `escape` "semicolons" nothing else of the
    URL is escaped (E-14).
    """

    audio: Sequence[str]
    video: Sequence[str] = ()
    sdp: str = ""
    escape: Literal["needed", "semicolons"] = "needed"
    params: Mapping[str, str] = field(default_factory=dict)


def dial(session: Session, target: Target, service: Service, url: str, form: Form) -> Steps:
    """INVITE, until the final response; `session.call` has it. The ACK is the user agent's."""
    if session.call is not None and not session.call.over:
        raise StepError("a call is up already: hang-up comes first")
    session.media.close()  # what the call before left open
    given = session.behaviour.url_to_hand_over(url)
    uri = service_uri(session, target.uri, service, given, form)
    hop = session.hop(target.uri)
    description = _offer(session, service, hop.host, form)
    kind, body = "application/sdp", bytes(description)
    if service == "ivr":  # LS-2.7-2: it negotiates, and asks for nothing yet
        kind, body = session.behaviour.invite_body(body, write_document(PlayCollect(Prompt((Audio(given),)))))
    call = session.phone.invite(uri, next_hop=hop, now=session.now, body=body, content_type=kind)
    session.call = current = Call(
        call,
        service,
        description,
        target.uri,
        heard_before=session.heard,
        identity=session.smime.identity,
        certificate=session.smime.peers.find(uri),
    )
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


def service_uri(session: Session, server: SipUri, service: Service, url: str, form: Form) -> SipUri:
    """Return the Request-URI that asks a media server for a service; an announcement's plays `url`."""
    if service == "ivr":
        return replace(server, user="ivr")
    announced = AnnouncementUri(play=session.behaviour.url_to_escape(url)).uri(server.host, server.port)
    params: Params = announced.params
    if form.escape == "semicolons":
        params = (("play", url.replace(";", "%3B")),)
    further = tuple((name, session.text(value)) for name, value in form.params.items())
    return replace(announced, params=(*params, *further, *server.params))


def _offer(session: Session, service: Service, peer: str, form: Form) -> SessionDescription:
    """Make the offer and open its ports: recvonly for an announcement, both ways with keys for ivr (E-36)."""
    # The payload types are those of the offer; a first description with no ports tells them.
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
    """Return the offer of a call to a service: ports and codecs of its audio, and of its video where it has codecs."""
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
