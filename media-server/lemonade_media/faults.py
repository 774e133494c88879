"""The faults of the media server: each makes it wrong in one named way, at one seam."""

from __future__ import annotations

from lemonade_wire.faults import Fault, FaultList


class RtpBeforeAck(Fault):
    """Plays before it answers: RTP flows `head_start` seconds before the 200, hence before any ACK."""

    name = "rtp-before-ack"
    summary = "sends RTP before the ACK of its 200"
    breaks = ("LS-2.5-5", "LS-2.8-13")
    head_start = 0.2


class OkBeforeUrlfetch(Fault):
    """Accepts an announcement before it has the content."""

    name = "ok-before-urlfetch"
    summary = "answers 200 before URLFETCH"
    breaks = ("LS-2.5-5", "LS-2.8-13")


class NoBye(Fault):
    """Leaves the call up at the end of an announcement."""

    name = "no-bye"
    summary = "sends no BYE at the end of an announcement"
    breaks = ("LS-2.9-1",)


class AnswerDropsRejectedLine(Fault):
    """Answers without the m-lines that it rejects."""

    name = "answer-drops-rejected-line"
    summary = "leaves a rejected m-line out of the SDP answer"
    breaks = ("LS-2.6-1",)


class WrongSkip(Fault):
    """Skips by half the interval."""

    name = "wrong-skip"
    summary = "skips by half of skipinterval"
    breaks = ("LS-2.7-7",)
    factor = 0.5


class NoResponseInfo(Fault):
    """Keeps the result of a request to itself."""

    name = "no-response-info"
    summary = "sends no INFO with the response"
    breaks = ("LS-2.7-12", "LS-2.7-13")


class NoErrorInfo(Fault):
    """Tells that a request failed and not why."""

    name = "no-error-info"
    summary = "leaves <error_info> out of responses"
    breaks = ("LS-2.7-16", "LS-2.8-12")


class NoWarning(Fault):
    """Refuses calls without a word of why."""

    name = "no-warning"
    summary = "leaves Warning out of refusals"
    breaks = ("LS-2.8-12",)


class ResponseBeforeInfoOk(Fault):
    """Sends a response at once, before the 200 to the INFO with the request, and none at the end."""

    name = "response-before-info-ok"
    summary = "sends the response before the 200 to the request's INFO"
    breaks = ("LS-2.7-12",)


class TimestampResetOnSeek(Fault):
    """Sets the RTP timestamp back at a seek."""

    name = "timestamp-reset-on-seek"
    summary = "sets the RTP timestamp back at a seek"
    breaks = ("LS-2.7-7",)


class Burst(Fault):
    """Sends packets in bursts."""

    name = "burst"
    summary = "sends RTP in bursts of five packets"
    breaks = ("LS-2.1-6",)
    packets = 5


class WrongOffset(Fault):
    """Reports a position that it did not reach."""

    name = "wrong-offset"
    summary = "reports playoffset two seconds too high"
    breaks = ("LS-2.7-13",)
    by_ms = 2000


class LoginInClear(Fault):
    """Logs in with LOGIN, password in the clear."""

    name = "login-in-clear"
    summary = "uses LOGIN on an unencrypted connection"
    breaks = ("LS-2.8-4", "LS-2.8-6")


class ConnectionPerFetch(Fault):
    """Keeps no IMAP connection, whatever it is set to."""

    name = "connection-per-fetch"
    summary = "makes an IMAP connection for every fetch, though it is told to keep them"
    breaks = ("LS-2.8-14",)


class NoLogout(Fault):
    """Leaves IMAP servers without a word."""

    name = "no-logout"
    summary = "closes IMAP connections without LOGOUT"
    breaks = ("LS-2.8-15",)


class TrustsEverybody(Fault):
    """Uses its account on IMAP servers for whoever calls."""

    name = "trusts-everybody"
    summary = "fetches by its own account for callers that it does not trust"
    breaks = ("LS-3-9",)


class UrlNormalised(Fault):
    """Fetches a URL that is not, octet for octet, the one it was given."""

    name = "url-normalised"
    summary = "writes the URL's keywords in lower case before it fetches"
    breaks = ("LS-2.8-8",)

    @staticmethod
    def normalise(url: str) -> str:
        """Return the URL with one keyword in lower case."""
        return url.replace(";UID=", ";uid=")


class CodecNotOffered(Fault):
    """Sends a payload type that was not negotiated."""

    name = "codec-not-offered"
    summary = "sends a payload type that was not offered"
    breaks = ("LS-2.6-2",)

    @staticmethod
    def payload_type(offered: tuple[str, ...]) -> int:
        """Return a static audio payload type outside the offer."""
        return next(number for number in (8, 0, 3, 18, 9) if str(number) not in offered)


class KeysCountTwice(Fault):
    """Takes a key that is told both ways for two presses."""

    name = "keys-count-twice"
    summary = "takes a key that comes by RTP and by INFO for two presses"
    breaks = ("LS-2.7-7",)


class LosesSpeech(Fault):
    """Records less than was said."""

    name = "loses-speech"
    summary = "leaves out every tenth packet of sound when it records"
    breaks = ()  # RFC 5022 section 6.5, of which the draft makes no use
    every = 10


class RtpKeysIgnored(Fault):
    """Does not hear keys in RTP though it agreed to them."""

    name = "rtp-keys-ignored"
    summary = "agrees to telephone-event and takes no notice of the keys"
    breaks = ("LS-2.7-7",)


class HoldIgnored(Fault):
    """Accepts to be put on hold, and sends on."""

    name = "hold-ignored"
    summary = "sends RTP while it is on hold"
    breaks = ("LS-1-3",)


class TicketInLog(Fault):
    """Writes whole tickets to its log."""

    name = "ticket-in-log"
    summary = "writes URLs with their tokens to its log"
    breaks = ("LS-3-11",)


FAULTS = FaultList.of(
    RtpBeforeAck,
    OkBeforeUrlfetch,
    NoBye,
    AnswerDropsRejectedLine,
    WrongSkip,
    NoResponseInfo,
    NoErrorInfo,
    NoWarning,
    ResponseBeforeInfoOk,
    TimestampResetOnSeek,
    Burst,
    WrongOffset,
    LoginInClear,
    ConnectionPerFetch,
    NoLogout,
    TrustsEverybody,
    UrlNormalised,
    CodecNotOffered,
    KeysCountTwice,
    RtpKeysIgnored,
    LosesSpeech,
    HoldIgnored,
    TicketInLog,
)
