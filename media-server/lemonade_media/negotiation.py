"""From the caller's offer to a stream: what is answered, and what a sender needs to know (RFC 3264)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from lemonade_media import faults
from lemonade_media.calls import Call
from lemonade_media.commands import AddStream, ChangeStream
from lemonade_media.decode import EncodedMedia
from lemonade_media.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import PCMA, PCMU, Codec, Format, SdpError
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import Capabilities, NegotiatedStream, NoCommonCodec, answer, make_offer, read_answer

# LS-2.6-1: both services negotiate alike, so that an announcement too agrees to keys, which it does not look at.
_CAPABILITIES = Capabilities({"audio": (PCMU, PCMA)})


def describe(call: Call, address: str, port: int, session_id: int, fault: Fault | None) -> None:
    """Set what the 200 will carry, and the stream where the INVITE held an offer.

    Raises NoCommonCodec (488) or SdpError (400).
    """
    call.port = port
    if call.offer is None:
        # One codec, so that the media can be made ready before the answer comes with the ACK.
        call.offer = call.ours = _offer(call, address, [PCMU], session_id)
        call.description = bytes(call.offer)
        return
    made = answer(call.offer, _CAPABILITIES, address, {"audio": port}, session_id=session_id)
    call.stream = _usable(made.streams[0])
    call.ours = description = made.description
    if isinstance(fault, faults.AnswerDropsRejectedLine | faults.DraftAnswer):
        for index in reversed([index for index, line in enumerate(description.media) if line.rejected]):
            description = description.without_media(index)
    call.description = bytes(description)
    if isinstance(fault, faults.DraftAnswer):
        call.description = fault.rewrite(call.description.decode()).encode()


def take_answer(call: Call, body: bytes) -> None:
    """Set the stream from an answer that came with the ACK; raises SdpError where nothing can be sent."""
    if call.offer is None:
        raise SdpError("there was no offer")
    streams = read_answer(call.offer, SessionDescription.parse(body))
    if not streams:
        raise NoCommonCodec("the answer accepts no stream")
    call.stream = _usable(streams[0])


def stream_for(call: Call, stream: NegotiatedStream, fault: Fault | None) -> AddStream:
    """Return the command that lets the stream send."""
    payload_type = stream.payload_type
    if isinstance(fault, faults.CodecNotOffered) and call.offer is not None:
        payload_type = fault.payload_type(call.offer.media[stream.index].formats)
    return AddStream(
        call=call.id,
        address=stream.remote_address,
        port=stream.remote_port,
        rtcp_port=stream.remote_rtcp_port,
        payload_type=payload_type,
        ptime_ms=stream.ptime_ms,
        burst=fault.packets if isinstance(fault, faults.Burst) else 1,
        reset_on_seek=isinstance(fault, faults.TimestampResetOnSeek),
        formats=_own_formats(call, stream),
    )


def _offer(call: Call, address: str, codecs: Sequence[Codec], session_id: int) -> SessionDescription:
    keys = isinstance(call.service, IvrSession)
    direction = Direction.SENDRECV if keys else Direction.SENDONLY
    return make_offer(address, call.port, codecs, direction=direction, telephone_event=keys, session_id=session_id)


def _own_formats(call: Call, stream: NegotiatedStream) -> tuple[Format, ...]:
    """Return what our description says of the stream: the caller sends with the numbers that stand there."""
    lines = call.ours.media if call.ours else ()
    return next((tuple(line.rtp_formats()) for line in lines if line.port == stream.local_port), ())


def change(call: Call, offer: SessionDescription, address: str) -> tuple[SessionDescription, NegotiatedStream]:
    """Return the answer to an offer in a re-INVITE, and the stream it makes; the call is not changed.

    A stream that the caller puts on hold or removes stays, and sends nothing. The version in o= grows by one where
    anything else differs from before (RFC 3264 section 8). Raises NoCommonCodec (488) or SdpError (400).
    """
    ours, stream = _agreed(call)
    origin = ours.origin
    wanted = any(line.media == "audio" and not line.rejected for line in offer.media)
    made = answer(
        offer,
        _CAPABILITIES,
        address,
        {"audio": call.port},
        session_id=origin.session_id,
        version=origin.version,
        streams_needed=wanted,
    )
    agreed = _named(made.streams[0]) if made.streams else removed(stream)
    return _next_version(made.description, ours), agreed


def offer_again(call: Call, address: str) -> SessionDescription:
    """Return our offer where a re-INVITE holds none: all that this side can do, line for line (section 14.2)."""
    ours, stream = _agreed(call)
    lines = [replace(line, port=0) for line in ours.media]
    (lines[stream.index],) = _offer(call, address, [PCMU, PCMA], ours.origin.session_id).media
    return _next_version(replace(ours, media=tuple(lines)), ours)


def take_answer_again(call: Call, offer: SessionDescription, body: bytes) -> NegotiatedStream:
    """Return the stream that an answer to `offer_again`, or to our last description, makes; raises SdpError."""
    _, stream = _agreed(call)
    streams = read_answer(offer, SessionDescription.parse(body))
    return _named(streams[0]) if streams else removed(stream)


def change_for(
    call: Call, stream: NegotiatedStream, media: tuple[EncodedMedia, ...] | None, fault: Fault | None
) -> ChangeStream:
    """Return the command that has the call's stream go on as agreed now; `media`: what it plays, encoded anew."""
    silent = not stream.remote_port or ipaddress.ip_address(stream.remote_address).is_unspecified
    return ChangeStream(
        call=call.id,
        address=stream.remote_address,
        port=stream.remote_port,
        # RFC 3264 section 8.4: to no address at all no reports go either
        rtcp_port=None if silent else stream.remote_rtcp_port,
        payload_type=stream.payload_type,
        ptime_ms=stream.ptime_ms,
        held=not stream.direction.sends and not isinstance(fault, faults.HoldIgnored),
        formats=_own_formats(call, stream),
        media=media,
    )


def removed(stream: NegotiatedStream) -> NegotiatedStream:
    """Return a stream as it is once it was removed (RFC 3264 section 8.2)."""
    return replace(stream, direction=Direction.INACTIVE, remote_port=0)


def _agreed(call: Call) -> tuple[SessionDescription, NegotiatedStream]:
    if call.ours is None or call.stream is None:
        raise SdpError("nothing is agreed on yet")
    return call.ours, call.stream


def _next_version(made: SessionDescription, before: SessionDescription) -> SessionDescription:
    same = replace(made, origin=before.origin)
    return before if same == before else replace(made, origin=replace(before.origin, version=before.origin.version + 1))


def _usable(stream: NegotiatedStream) -> NegotiatedStream:
    """Return the stream if media may and can be sent on it; raises SdpError."""
    _named(stream)
    if not stream.direction.sends:
        raise NoCommonCodec("the caller does not wish to receive audio")
    return stream


def _named(stream: NegotiatedStream) -> NegotiatedStream:
    """Return the stream if it names where to send to; raises SdpError."""
    try:
        ipaddress.ip_address(stream.remote_address)
    except ValueError as problem:
        raise SdpError("an IP address is expected in the c= line") from problem
    return stream
