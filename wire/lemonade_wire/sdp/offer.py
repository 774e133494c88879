"""Makes SDP offers and answers, and computes the streams that both sides agreed on (RFC 3264)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lemonade_wire.sdp.codec import FIRST_DYNAMIC, Codec, Format, SdpError, static_payload_type
from lemonade_wire.sdp.description import (
    Attribute,
    Direction,
    MediaDescription,
    Origin,
    SdpConnection,
    SessionDescription,
)

DEFAULT_PTIME_MS = 20
_KEY_TYPE = 101  # the customary number of telephone-event in an offer
_KEYS = "0-15"


class NotAcceptable(SdpError):  # noqa: N818  named as the SIP response it becomes
    """A description is well formed, and cannot be accepted; an INVITE is refused by 488 (RFC 3261 section 21.4.26)."""


class NoCommonCodec(NotAcceptable):
    """No stream of the offer can be accepted."""


class IncompatibleAddress(NotAcceptable):
    """Media cannot be sent to the address of a description, which is a domain name or of another family.

    `warning` is the code of the Warning header of the 488: 300 or 301 (RFC 3261 section 20.43).
    """

    def __init__(self, connection: SdpConnection, own: SdpConnection) -> None:
        super().__init__(f"no media can be sent from {own.family} {own.address} to {connection}")
        self.warning = 300 if connection.family != own.family else 301


@dataclass(frozen=True)
class Capabilities:
    """What a side supports: its codecs by medium (`audio`, `video`), and whether it accepts telephone-event."""

    codecs: Mapping[str, tuple[Codec, ...]]
    telephone_event: bool = True


@dataclass(frozen=True)
class NegotiatedStream:
    """One accepted stream, as seen by one of the two sides.

    `index` is the index of the m-line. `payload_type` is the payload type of the media (that of the offer), and
    `telephone_event` that of keys. `direction` is that of this side. `ptime_ms` is the packet time in milliseconds that
    the other side wants to receive.
    """

    index: int
    media: str
    codec: Codec
    payload_type: int
    fmtp: str | None
    direction: Direction
    remote_address: str
    remote_port: int
    remote_rtcp_port: int
    local_port: int
    ptime_ms: int = DEFAULT_PTIME_MS
    telephone_event: int | None = None


@dataclass(frozen=True)
class SdpAnswer:
    """An answer and the streams that it accepts (empty only if `answer` was called with `streams_needed=False`)."""

    description: SessionDescription
    streams: tuple[NegotiatedStream, ...]


def make_offer(
    address: str,
    port: int,
    codecs: Sequence[Codec],
    *,
    direction: Direction = Direction.RECVONLY,
    telephone_event: bool = False,
    video: tuple[int, Sequence[Codec]] | None = None,
    session_id: int = 1,
    version: int = 1,
) -> SessionDescription:
    """Make an offer: audio at `port`, and optionally video at the port `video[0]` (always recvonly).

    A call for an announcement offers recvonly. An IVR call offers sendrecv and telephone-event (E-36), so that keys can
    be sent.
    """
    formats = _number(codecs, FIRST_DYNAMIC)
    if telephone_event:
        clock = codecs[0].clock if codecs else 8000
        formats.append(Format(_KEY_TYPE, Codec("telephone-event", clock), _KEYS))
    media = [_media("audio", port, formats, direction)]
    if video:
        media.append(_media("video", video[0], _number(video[1], _KEY_TYPE + 1), Direction.RECVONLY))
    connection = SdpConnection.to(address)
    return SessionDescription(Origin("-", session_id, version, connection), tuple(media), connection=connection)


def answer(
    offer: SessionDescription,
    capabilities: Capabilities,
    address: str,
    ports: Mapping[str, int],
    *,
    session_id: int = 1,
    version: int = 1,
    streams_needed: bool = True,
) -> SdpAnswer:
    """Answer an offer; `ports` has our RTP port for each medium, and one stream of each medium is accepted.

    The answer has each m-line of the offer, in order (RFC 3264 section 6); a rejected one has port 0 and the offer's
    formats. With `streams_needed=False` an offer that removes the last stream is answered too (section 8.2).
    Raises NoCommonCodec if no stream can be accepted, IncompatibleAddress if media cannot be sent to the address of an
    accepted one, SdpError if the offer has no address.
    """
    media: list[MediaDescription] = []
    streams: list[NegotiatedStream] = []
    for index, line in enumerate(offer.media):
        common = _common(line, capabilities)
        taken = any(stream.media == line.media for stream in streams)
        # RFC 3264 section 6: a stream may be rejected for any reason. SAVP needs encryption keys, and AVPF is not
        # supported.
        if not common or taken or line.rejected or line.protocol != "RTP/AVP" or line.media not in ports:
            media.append(replace(line, port=0, port_count=1, connection=None, attributes=(), lines=()))
            continue
        direction = line.direction(offer).reversed
        port = ports[line.media]
        media.append(_media(line.media, port, common, direction))
        streams.append(_stream(offer, index, common, direction, port=port, own=SdpConnection.to(address)))
    if not streams and streams_needed:
        raise NoCommonCodec("no stream of the offer has a codec in common with this side")
    connection = SdpConnection.to(address)
    origin = Origin("-", session_id, version, connection)
    return SdpAnswer(
        SessionDescription(origin, tuple(media), connection=connection, timing=offer.timing), tuple(streams)
    )


def read_answer(offer: SessionDescription, answered: SessionDescription) -> tuple[NegotiatedStream, ...]:
    """Return the streams that an answer to our offer accepts; the tuple may be empty.

    The errors of the draft's example are tolerated: m-lines missing at the end count as rejected (E-16), a missing
    direction in the answer to a recvonly line counts as sendonly (E-17), and formats that were not offered are ignored
    (E-18). Raises SdpError for an answer with more m-lines than the offer, with other media, or without an address, and
    IncompatibleAddress if its address is of another family than that of the offer.
    """
    if len(answered.media) > len(offer.media):
        raise SdpError("the answer has more m-lines than the offer")
    streams = []
    for index, (ours, theirs) in enumerate(zip(offer.media, answered.media, strict=False)):
        if ours.media != theirs.media:
            raise SdpError(f"m-line {index + 1} of the answer is {theirs.media}, of the offer {ours.media}")
        offered = {known.codec: known for known in reversed(ours.rtp_formats())}
        common = [
            # Media are received with the payload types of our offer; keys are sent with those of the answer.
            known if known.codec.is_telephone_event else offered[known.codec]
            for known in theirs.rtp_formats()
            if known.codec in offered
        ]
        if theirs.rejected or ours.rejected or not _sounds(common):
            continue
        mine, other = ours.direction(offer), theirs.direction(answered)
        direction = Direction.of(sends=mine.sends and other.receives, receives=mine.receives and other.sends)
        own = offer.connection_of(index)
        if own is None:
            raise SdpError(f"m-line {index + 1} of the offer has no c= line")
        streams.append(_stream(answered, index, common, direction, port=ours.port, own=own))
    return tuple(streams)


def _sounds(formats: Sequence[Format]) -> list[Format]:
    return [known for known in formats if not known.codec.is_telephone_event]


def _common(line: MediaDescription, capabilities: Capabilities) -> list[Format]:
    """Return the offer's formats that this side supports; telephone-event only with a codec of the same clock."""
    able = capabilities.codecs.get(line.media, ())
    found = [known for known in line.rtp_formats() if known.codec in able]
    keys = [
        replace(known, fmtp=_KEYS)
        for known in line.rtp_formats()
        if found and known.codec.is_telephone_event and known.codec.clock == found[0].codec.clock
    ]
    return found + (keys[:1] if capabilities.telephone_event else [])


def _stream(
    remote: SessionDescription,
    index: int,
    formats: Sequence[Format],
    direction: Direction,
    *,
    port: int,
    own: SdpConnection,
) -> NegotiatedStream:
    line = remote.media[index]
    connection = remote.connection_of(index)
    if connection is None:
        raise SdpError(f"m-line {index + 1} has no c= line")
    if connection.literal_family != own.family and not connection.is_hold:
        raise IncompatibleAddress(connection, own)
    if connection.is_hold:
        direction = Direction.of(sends=False, receives=direction.receives)
    chosen = _sounds(formats)[0]
    keys = [known.payload_type for known in formats if known.codec.is_telephone_event]
    return NegotiatedStream(
        index=index,
        media=line.media,
        codec=chosen.codec,
        payload_type=chosen.payload_type,
        fmtp=chosen.fmtp,
        direction=direction,
        remote_address=connection.address,
        remote_port=line.port,
        # The rtcp attribute (RFC 3605 section 2.1), or else the next port (RFC 3550 section 11).
        remote_rtcp_port=_number_in(line.attribute("rtcp"), 1, 0xFFFF, min(line.port + 1, 0xFFFF)),
        local_port=port,
        ptime_ms=_packet_time(line),
        telephone_event=keys[0] if keys else None,
    )


def _packet_time(line: MediaDescription) -> int:
    """Return the packet time in ms that the other side wants: its `ptime`, bounded by its `maxptime` (RFC 4566, 6)."""
    wanted = _number_in(line.attribute("ptime"), 10, 100, DEFAULT_PTIME_MS)
    return min(wanted, _number_in(line.attribute("maxptime"), 10, 0xFFFF, wanted))


def _number_in(text: str | None, least: int, most: int, default: int) -> int:
    word = (text or "").split(" ")[0]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 6 and least <= int(word) <= most else default


def _number(codecs: Sequence[Codec], dynamic: int) -> list[Format]:
    """Assign payload types to codecs: the static one, or else the next dynamic one from `dynamic` on."""
    formats = []
    for codec in codecs:
        number = static_payload_type(codec)
        if number is None:
            number, dynamic = dynamic, dynamic + 1
            dynamic += dynamic == _KEY_TYPE
        formats.append(Format(number, codec))
    return formats


def _media(media: str, port: int, formats: Sequence[Format], direction: Direction) -> MediaDescription:
    attributes = []
    for known in formats:
        # RFC 3264 section 5.1: rtpmap should be given for static payload types too.
        attributes.append(Attribute("rtpmap", f"{known.payload_type} {known.codec}"))
        if known.codec.is_telephone_event:
            attributes.append(Attribute("fmtp", f"{known.payload_type} {known.fmtp}"))
    if media == "audio":
        attributes.append(Attribute("ptime", str(DEFAULT_PTIME_MS)))
    attributes.append(Attribute(direction.value))
    return MediaDescription(
        media, port, "RTP/AVP", tuple(str(known.payload_type) for known in formats), attributes=tuple(attributes)
    )
