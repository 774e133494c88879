"""From the caller's offer to a stream: what is answered, and what a sender needs to know (RFC 3264)."""

from __future__ import annotations

import ipaddress

from lemonade_media import faults
from lemonade_media.calls import Call
from lemonade_media.commands import AddStream
from lemonade_media.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import PCMA, PCMU, Format, SdpError
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import Capabilities, NegotiatedStream, NoCommonCodec, answer, make_offer, read_answer

# LS-2.6-1: both services negotiate alike, so that an announcement too agrees to keys, which it does not look at.
_CAPABILITIES = Capabilities({"audio": (PCMU, PCMA)})


def describe(call: Call, address: str, port: int, session_id: int, fault: Fault | None) -> None:
    """Set what the 200 will carry, and the stream where the INVITE held an offer.

    Raises NoCommonCodec (488) or SdpError (400).
    """
    if call.offer is None:
        # One codec, so that the media can be made ready before the answer comes with the ACK.
        keys = isinstance(call.service, IvrSession)
        direction = Direction.SENDRECV if keys else Direction.SENDONLY
        call.offer = make_offer(address, port, [PCMU], direction=direction, telephone_event=keys, session_id=session_id)
        call.description = bytes(call.offer)
        return
    made = answer(call.offer, _CAPABILITIES, address, {"audio": port}, session_id=session_id)
    call.stream = _usable(made.streams[0])
    description = made.description
    if isinstance(fault, faults.AnswerDropsRejectedLine):
        for index in reversed([index for index, line in enumerate(description.media) if line.rejected]):
            description = description.without_media(index)
    call.description = bytes(description)


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


def _own_formats(call: Call, stream: NegotiatedStream) -> tuple[Format, ...]:
    """Return what our description says of the stream: the caller sends with the numbers that stand there."""
    lines = SessionDescription.parse(call.description).media
    return next((tuple(line.rtp_formats()) for line in lines if line.port == stream.local_port), ())


def _usable(stream: NegotiatedStream) -> NegotiatedStream:
    """Return the stream if media may and can be sent on it; raises SdpError."""
    try:
        ipaddress.ip_address(stream.remote_address)
    except ValueError as problem:
        raise SdpError("an IP address is expected in the c= line") from problem
    if not stream.direction.sends:
        raise NoCommonCodec("the caller does not wish to receive audio")
    return stream
