"""Negotiates the media of a call by SDP offer and answer (RFC 3264), and makes the commands for its RTP stream."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from lemonade_media.calls.call import MediaCall
from lemonade_media.decoding.decode import EncodedMedia
from lemonade_media.faults.calls import HOLD_IGNORED
from lemonade_media.faults.rtp import BURST, TIMESTAMP_RESET_ON_SEEK, StreamFault
from lemonade_media.faults.sdp import (
    ANSWER_DROPS_KEYS,
    ANSWER_DROPS_REJECTED_LINE,
    CODEC_NOT_OFFERED,
    DRAFT_ANSWER,
    drop_keys,
    payload_type_not_offered,
    write_draft_answer,
)
from lemonade_media.model.commands import ModifyStream, StartStream
from lemonade_media.services.ivr import IvrSession
from lemonade_wire.faults import Fault
from lemonade_wire.sdp.codec import PCMA, PCMU, Format, SdpError
from lemonade_wire.sdp.description import Direction, SessionDescription
from lemonade_wire.sdp.offer import Capabilities, NegotiatedStream, NoCommonCodec, answer, make_offer, read_answer

# LS-2.6-1: both services negotiate in the same way. An announcement agrees to telephone-event too, and ignores keys.
_CODECS = (PCMU, PCMA)
_CAPABILITIES = Capabilities({"audio": _CODECS})


def describe(call: MediaCall, address: str, port: int, session_id: int, fault: Fault | None) -> None:
    """Set the call's session description for the 200, and its stream if the INVITE held an offer.

    Raises NotAcceptable (488) or SdpError (400).
    """
    call.port = port
    if call.offer is None:
        call.offer = call.ours = _offer(call, address, session_id)
        call.description = bytes(call.offer)
        return
    made = answer(call.offer, _CAPABILITIES, address, {"audio": port}, session_id=session_id)
    call.stream = made.streams[0]
    call.ours = description = made.description
    if fault is ANSWER_DROPS_REJECTED_LINE or fault is DRAFT_ANSWER:
        for index in reversed([index for index, line in enumerate(description.media) if line.rejected]):
            description = description.without_media(index)
    call.description = bytes(description)
    if fault is DRAFT_ANSWER:
        call.description = write_draft_answer(call.description.decode()).encode()
    elif fault is ANSWER_DROPS_KEYS:
        call.description = drop_keys(call.description.decode()).encode()


def take_answer(call: MediaCall, body: bytes) -> None:
    """Set the call's stream from the answer in an ACK; raises SdpError if the answer accepts none."""
    if call.offer is None:
        raise SdpError("there was no offer")
    streams = read_answer(call.offer, SessionDescription.parse(body))
    if not streams:
        raise NoCommonCodec("the answer accepts no stream")
    call.stream = streams[0]


def stream_for(call: MediaCall, stream: NegotiatedStream, fault: Fault | None) -> StartStream:
    """Return the command that starts the call's RTP stream."""
    payload_type = stream.payload_type
    if fault is CODEC_NOT_OFFERED and call.offer is not None:
        payload_type = payload_type_not_offered(call.offer.media[stream.index].formats)
    return StartStream(
        call=call.id,
        address=stream.remote_address,
        port=stream.remote_port,
        rtcp_port=stream.remote_rtcp_port,
        payload_type=payload_type,
        ptime_ms=stream.ptime_ms,
        burst=5 if fault is BURST else 1,
        reset_on_seek=fault is TIMESTAMP_RESET_ON_SEEK,
        fault=fault.name if isinstance(fault, StreamFault) else "",
        formats=_own_formats(call, stream),
    )


def _offer(call: MediaCall, address: str, session_id: int) -> SessionDescription:
    keys = isinstance(call.service, IvrSession)
    direction = Direction.SENDRECV if keys else Direction.SENDONLY
    return make_offer(address, call.port, _CODECS, direction=direction, telephone_event=keys, session_id=session_id)


def _own_formats(call: MediaCall, stream: NegotiatedStream) -> tuple[Format, ...]:
    """Return the formats of the server's own m-line: the caller sends with its payload types (RFC 3264 section 5.1)."""
    lines = call.ours.media if call.ours else ()
    return next((tuple(line.rtp_formats()) for line in lines if line.port == stream.local_port), ())


def change(call: MediaCall, offer: SessionDescription, address: str) -> tuple[SessionDescription, NegotiatedStream]:
    """Return the answer to an offer in a re-INVITE, and the stream that results; the call is not changed.

    A stream that the caller puts on hold or removes stays in the call, and sends nothing. The version in the o= line
    grows by one if anything else in the description changes (RFC 3264 section 8). Raises NotAcceptable (488)
    or SdpError (400).
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
    agreed = made.streams[0] if made.streams else removed(stream)
    return _next_version(made.description, ours), agreed


def offer_again(call: MediaCall, address: str) -> SessionDescription:
    """Return the server's offer for a re-INVITE without one: all its codecs, with the same m-lines as before.

    Source: RFC 3261 section 14.2. Raises SdpError if the call has no agreed session yet.
    """
    ours, stream = _agreed(call)
    lines = [replace(line, port=0) for line in ours.media]
    (lines[stream.index],) = _offer(call, address, ours.origin.session_id).media
    return _next_version(replace(ours, media=tuple(lines)), ours)


def take_answer_again(call: MediaCall, offer: SessionDescription, body: bytes) -> NegotiatedStream:
    """Return the stream that results from an answer to `offer_again`, or to the last description; raises SdpError."""
    _, stream = _agreed(call)
    streams = read_answer(offer, SessionDescription.parse(body))
    return streams[0] if streams else removed(stream)


def change_for(
    call: MediaCall, stream: NegotiatedStream, media: tuple[EncodedMedia, ...] | None, fault: Fault | None
) -> ModifyStream:
    """Return the command that changes a call's RTP stream; `media` is the content in the new codec (None: the same)."""
    silent = not stream.remote_port or ipaddress.ip_address(stream.remote_address).is_unspecified
    return ModifyStream(
        call=call.id,
        address=stream.remote_address,
        port=stream.remote_port,
        # RFC 3264 section 8.4: with the address 0.0.0.0 the caller receives neither RTP nor RTCP.
        rtcp_port=None if silent else stream.remote_rtcp_port,
        payload_type=stream.payload_type,
        ptime_ms=stream.ptime_ms,
        held=not stream.direction.sends and fault is not HOLD_IGNORED,
        formats=_own_formats(call, stream),
        media=media,
    )


def removed(stream: NegotiatedStream) -> NegotiatedStream:
    """Return a stream as removed from the session: inactive, and with the remote port 0 (RFC 3264 section 8.2)."""
    return replace(stream, direction=Direction.INACTIVE, remote_port=0)


def _agreed(call: MediaCall) -> tuple[SessionDescription, NegotiatedStream]:
    if call.ours is None or call.stream is None:
        raise SdpError("nothing is agreed on yet")
    return call.ours, call.stream


def _next_version(made: SessionDescription, before: SessionDescription) -> SessionDescription:
    same = replace(made, origin=before.origin)
    return before if same == before else replace(made, origin=replace(before.origin, version=before.origin.version + 1))
