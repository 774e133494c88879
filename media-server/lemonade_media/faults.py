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


class NoStarttls(Fault):
    """Leaves connections as they are, whatever it is told of TLS."""

    name = "no-starttls"
    summary = "authenticates without STARTTLS"
    breaks = ("LS-2.8-2",)


class CertificateUnchecked(Fault):
    """Takes whoever answers for the server that it meant."""

    name = "certificate-unchecked"
    summary = "takes every certificate of an IMAP server"
    breaks = ("LS-2.8-2",)


class CapabilitiesBeforeLogin(Fault):
    """Asks too early what the server has."""

    name = "capabilities-before-login"
    summary = "goes by what an IMAP server lists before the login"
    breaks = ("LS-2.8-9",)


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


class MoveIgnored(Fault):
    """Accepts to be another service, and stays the one it is."""

    name = "move-ignored"
    summary = "answers 200 to a re-INVITE to another service, and stays where it was"
    breaks = ()  # RFC 5022 section 3, of which the draft makes no use


class AnswersInClear(Fault):
    """Answers encrypted requests in the clear, though it could encrypt."""

    name = "answers-in-clear"
    summary = "answers encrypted MSCML in the clear"
    breaks = ("LS-3-5",)


class UndecipherablePassedOver(Fault):
    """Takes what it cannot decipher for a body that it need not read."""

    name = "undecipherable-passed-over"
    summary = "answers 200 to an encrypted body that it cannot decipher"
    breaks = ()  # RFC 3261 section 23.2


class TicketInLog(Fault):
    """Writes whole tickets to its log."""

    name = "ticket-in-log"
    summary = "writes URLs with their tokens to its log"
    breaks = ("LS-3-11",)


class RefusalsAre500(Fault):
    """Tells all that goes wrong with an announcement by one status."""

    name = "refusals-are-500"
    summary = "refuses every announcement with 500, whatever is wrong"
    breaks = ("LS-2.5-6", "LS-2.6-5", "LS-2.8-9", "LS-2.8-12")


class BinaryNotChecked(Fault):
    """Asks for what was not offered."""

    name = "binary-not-checked"
    summary = "uses URLFETCH BINARY though URLAUTH=BINARY is not offered"
    breaks = ("LS-2.8-9",)


class IdentityUnused(Fault):
    """Leaves its account on IMAP servers unused."""

    name = "identity-unused"
    summary = "logs in anonymously though it has an account"
    breaks = ("LS-2.8-3",)


class VideoRefused(Fault):
    """Plays nothing of a video, its sound neither."""

    name = "video-refused"
    summary = "plays no part whose type is video, its sound neither"
    breaks = ("LS-2.6-4", "LS-2.7-10")


class NoImapElsewhere(Fault):
    """Is two servers: the one at the other ports of its host has never heard of imap URLs."""

    name = "no-imap-elsewhere"
    summary = "knows no imap URLs where the Request-URI names another port than its own"
    breaks = ("LS-2.1-9",)


class DraftAnswer(Fault):
    """Answers an offer as the draft's example does."""

    name = "draft-answer"
    summary = "answers as the draft: no rejected line, no direction, a format that nobody offered (E-16 to E-18)"
    breaks = ("LS-2.6-1",)

    @staticmethod
    def rewrite(description: str) -> str:
        """Return an answer without its direction, and with G.729 and a flash key that nobody asked for."""
        lines = [line for line in description.split("\r\n") if line not in {"a=sendonly", "a=sendrecv"}]
        for at, line in enumerate(lines):
            if line.startswith("m=audio "):
                lines[at] += " 18"
            elif line.startswith("a=fmtp:") and line.endswith(" 0-15"):
                lines[at] = line.removesuffix("15") + "16"
        return "\r\n".join([*lines[:-1], "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no", ""])


class DraftResponse(Fault):
    """Tells what was played as the draft's example does."""

    name = "draft-response"
    summary = "sends responses without text, and with playduration for playoffset too (E-26, E-27)"
    breaks = ("LS-2.7-13",)

    @staticmethod
    def rewrite(document: bytes) -> bytes:
        """Return a response without its `text`."""
        return document.replace(b' text="OK"', b"")


class DraftFetch(Fault):
    """Uses an IMAP server as the draft's example does."""

    name = "draft-fetch"
    summary = "uses LOGIN anonymous null, and blanks inside the parentheses of URLFETCH (E-30, E-31)"
    breaks = ("LS-2.8-6", "LS-2.8-7")
    password = "null"  # noqa: S105  the draft's own


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
    NoStarttls,
    CertificateUnchecked,
    CapabilitiesBeforeLogin,
    ConnectionPerFetch,
    NoLogout,
    TrustsEverybody,
    UrlNormalised,
    CodecNotOffered,
    KeysCountTwice,
    RtpKeysIgnored,
    LosesSpeech,
    HoldIgnored,
    MoveIgnored,
    AnswersInClear,
    UndecipherablePassedOver,
    TicketInLog,
    RefusalsAre500,
    BinaryNotChecked,
    IdentityUnused,
    VideoRefused,
    NoImapElsewhere,
    DraftAnswer,
    DraftResponse,
    DraftFetch,
)
