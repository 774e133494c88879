"""Makes the SDP answer of the client to a re-INVITE of the media server (RFC 3261 section 14.2, RFC 3264 section 8)."""

from __future__ import annotations

from dataclasses import replace

from lemonade_wire.sdp.description import SessionDescription
from lemonade_wire.sdp.offer import Capabilities, SdpAnswer, answer


def answer_to(ours: SessionDescription, offer: SessionDescription, address: str) -> SdpAnswer:
    """Return the answer to an offer, with the codecs and ports of the client's last description, `ours`.

    The version in the o= line grows by one if anything else in the description changes (RFC 3264 section 8). Raises
    NoCommonCodec if no codec is common, and SdpError if the offer has no address.
    """
    formats = {line.media: line.rtp_formats() for line in ours.media}
    sounds = {
        medium: tuple(known.codec for known in found if not known.codec.is_telephone_event)
        for medium, found in formats.items()
    }
    keys = any(known.codec.is_telephone_event for found in formats.values() for known in found)
    ports = {line.media: line.port for line in ours.media if not line.rejected}
    made = answer(
        offer,
        Capabilities(sounds, telephone_event=keys),
        address,
        ports,
        session_id=ours.origin.session_id,
        version=ours.origin.version,
    )
    if made.description == ours:
        return made
    origin = replace(made.description.origin, version=ours.origin.version + 1)
    return replace(made, description=replace(made.description, origin=origin))
