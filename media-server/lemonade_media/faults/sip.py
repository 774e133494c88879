"""The faults of the media server in the SIP messages that it sends."""

from __future__ import annotations

from lemonade_wire.faults import Fault
from lemonade_wire.sip.message.fault import (
    BYE_UNANSWERED,
    REFUSAL,
    REQUEST,
    RESPONSE,
    CopiesWithheld,
    EditedMessage,
    ExtraMessage,
    MessageEdit,
    MessageFault,
    change_header,
    change_start,
    drop_header,
    put_header,
    set_status,
    withhold,
)

_GONE = "481 Call/Transaction Does Not Exist"


def _refuse_service(message: EditedMessage) -> None:
    """Refuse OPTIONS for a service; its To has a user part."""
    if "@" in message.header("To").partition(">")[0]:
        set_status("488 Not Acceptable Here")(message)


def _leave_message(_message: EditedMessage) -> None:
    """Change nothing."""


REFUSES_EVERYTHING = MessageEdit(
    "refuses-everything",
    "answers a bare 488 to every INVITE, and to OPTIONS for every service",
    ("LS-2.1-8",),
    "200 OPTIONS",
    _refuse_service,
)
"""`lemonade_media.calls.admission` refuses the INVITEs."""


class NoSecondOk(CopiesWithheld):
    """The media server sends the 200 to an INVITE once, even if no ACK comes."""

    name = "no-second-200"
    summary = "never sends a 200 to INVITE again"
    breaks = ("RFC3261-13.3.1.4",)
    kind = "200 INVITE"
    identity = ("Call-ID", "CSeq")


class InfoUnanswered(MessageFault):
    """The media server answers the first INFO of a call, and leaves each later one without an answer."""

    name = "info-unanswered"
    summary = "answers the first INFO of a call, and no other"
    breaks = ("RFC2976-2.2",)

    def __init__(self) -> None:
        self._answered: dict[str, str] = {}

    def edit(self, message: EditedMessage) -> None:
        """Withhold all answers but those to one INFO."""
        if message.kind == "200 INFO":
            number = message.header("CSeq")
            message.withheld = self._answered.setdefault(message.header("Call-ID"), number) != number


class OkAfterAck(MessageFault):
    """The media server sends the 200 to INVITE once more at the end of the call, though its ACK came long before."""

    name = "ok-after-ack"
    summary = "sends the 200 to INVITE again at the end of the call, long after its ACK"
    breaks = ("RFC3261-13.3.1.4-2",)

    def __init__(self) -> None:
        self._accepted = b""

    def edit(self, message: EditedMessage) -> None:
        """Remember the 200."""
        if message.kind == "200 INVITE":
            self._accepted = bytes(message)

    def behind(self, data: bytes) -> bytes:
        """Return the 200 once more behind a BYE."""
        return self._accepted if EditedMessage.parse(data).kind == "BYE" else b""


def _make_second_bye(message: EditedMessage) -> None:
    message.raise_cseq(1)
    message.change("Via", "branch=z9hG4bK", "branch=z9hG4bKx")


def _make_ringing(message: EditedMessage) -> None:
    message.start = "SIP/2.0 180 Ringing"
    message.drop("Content-Type")
    message.set_body("")


SIP_FAULTS: tuple[Fault | type[Fault], ...] = (
    REFUSES_EVERYTHING,
    NoSecondOk,
    InfoUnanswered,
    OkAfterAck,
    BYE_UNANSWERED,
    MessageEdit(
        "header-unreadable",
        "writes a header line without a colon into 100 Trying",
        ("RFC3261-7",),
        "100 INVITE",
        change_start("$", "\r\nServer lemonade"),
    ),
    MessageEdit(
        "bye-without-max-forwards",
        "sends BYE without Max-Forwards",
        ("RFC3261-8.1.1",),
        "BYE",
        drop_header("Max-Forwards"),
    ),
    MessageEdit(
        "bye-to-record",
        "sends BYE to the URI of the caller's From",
        ("RFC3261-12.2.1.1-3",),
        "BYE",
        change_start(r"sips?:\S+", "sip:nobody@example.com"),
    ),
    MessageEdit(
        "bye-without-tag",
        "sends BYE without the To tag of the dialog",
        ("RFC3261-12.2.1.1",),
        "BYE",
        change_header("To", ";tag=[^;]*", ""),
    ),
    MessageEdit(
        "cseq-stuck",
        "sends each request inside a call with CSeq number 1",
        ("RFC3261-12.2.1.1-2",),
        REQUEST,
        change_header("CSeq", "^[0-9]+", "1"),
    ),
    MessageEdit(
        "via-other-transport",
        "names TCP in the Via of its requests over UDP",
        ("RFC3261-18.1.1",),
        REQUEST,
        change_header("Via", "^SIP/2.0/UDP", "SIP/2.0/TCP"),
    ),
    ExtraMessage(
        "bye-twice",
        "sends a second BYE behind the first, with the next CSeq",
        ("RFC3261-15.1.1",),
        "BYE",
        _make_second_bye,
        pause=0.05,  # the answer to the first is here by then
    ),
    ExtraMessage(
        "ringing-after-200",
        "sends 180 behind the 200 to INVITE",
        ("RFC3261-17.2.1",),
        "200 INVITE",
        _make_ringing,
    ),
    MessageEdit(
        "cancel-unanswered",
        "leaves CANCEL without an answer",
        ("RFC3261-9.2",),
        f"{RESPONSE} CANCEL",
        withhold,
    ),
    MessageEdit(
        "cancel-ignored",
        "answers CANCEL with 200 and sends no 487",
        ("RFC3261-9.2-2",),
        "487 INVITE",
        withhold,
    ),
    MessageEdit(
        "cancel-refused",
        "answers CANCEL with 481, though it knows the INVITE",
        ("RFC3261-9.2-3",),
        "200 CANCEL",
        set_status(_GONE),
    ),
    MessageEdit(
        "bye-refused",
        "answers BYE with 481, though it is in the call",
        ("RFC3261-15.1.2-2",),
        "200 BYE",
        set_status(_GONE),
    ),
    MessageEdit(
        "answer-without-contact",
        "leaves Contact out of the 200 to INVITE",
        ("RFC3261-12.1.1",),
        "200 INVITE",
        drop_header("Contact"),
    ),
    MessageEdit(
        "answer-without-type",
        "leaves Content-Type out of the 200 to INVITE",
        ("RFC3261-20.15",),
        "200 INVITE",
        drop_header("Content-Type"),
    ),
    MessageEdit(
        "refusal-without-tag",
        "leaves the To tag out of refusals",
        ("RFC3261-8.2.6.2-2",),
        REFUSAL,
        change_header("To", ";tag=[^;]*", ""),
    ),
    MessageEdit(
        "answer-changes-tag",
        "answers BYE with another To tag than the dialog's",
        ("RFC3261-8.2.6.2-2",),
        "200 BYE",
        change_header("To", ";tag=", ";tag=x"),
    ),
    MessageEdit(
        "answer-changes-from",
        "answers BYE with another From than the request's",
        ("RFC3261-8.2.6.2",),
        "200 BYE",
        change_header("From", "sip:", "sip:x"),
    ),
    MessageEdit(
        "rport-empty",
        "leaves rport in the Via of responses as empty as it came",
        ("RFC3581-4",),
        RESPONSE,
        change_header("Via", ";rport=[0-9]+", ";rport"),
    ),
    MessageEdit(
        "warning-malformed",
        "writes Warning without an agent",
        ("RFC3261-20.43",),
        "488 INVITE",
        put_header("Warning", '399 "no such service"'),
    ),
    MessageEdit(
        "rport-wrong",
        "names port 1 as the source of every request in the Via of responses",
        ("RFC3581-4",),
        RESPONSE,
        change_header("Via", ";rport=[0-9]+", ";rport=1"),
    ),
    MessageEdit(
        "refusal-without-accept",
        "leaves Accept out of a 415",
        ("RFC3261-8.2",),
        "415 .*",
        drop_header("Accept"),
    ),
    MessageEdit(
        "requires-timer",
        "requires the extension timer in its 200 to INVITE, though the caller does not support it",
        ("RFC3261-8.2.4",),
        "200 INVITE",
        put_header("Require", "timer"),
    ),
    MessageEdit(
        "session-too-short",
        "lets sessions expire after 60 seconds",
        ("RFC4028-4",),
        "200 INVITE",
        put_header("Session-Expires", "60;refresher=uas"),
    ),
    MessageEdit(
        "refresher-unnamed",
        "leaves the refresher out of Session-Expires in its 200",
        ("RFC4028-9",),
        "200 INVITE",
        put_header("Session-Expires", "1800"),
    ),
    MessageEdit(
        "retry-after-in-words",
        "writes Retry-After of refusals in words",
        ("RFC3261-20.33",),
        REFUSAL,
        put_header("Retry-After", "soon"),
    ),
    MessageEdit(
        "trying-missing",
        "sends no 100 while it fetches",
        ("RFC3261-17.2.1-2",),
        "100 INVITE",
        withhold,
    ),
    ExtraMessage(
        "answer-sent-twice",
        "sends every 200 to INVITE twice within 20 ms",
        ("RFC3261-17.1.1.2",),
        "200 INVITE",
        _leave_message,
        pause=0.02,
    ),
    MessageEdit(
        "from-uri-changes",
        "names another URI in From of its BYE than that of the call",
        ("RFC3261-12.2.1.1",),
        "BYE",
        change_header("From", "sip:[^>]*", "sip:mediaserver@example.net"),
    ),
    MessageEdit(
        "refusal-says-ok",
        "refuses INVITE with the reason phrase OK",
        ("RFC3261-7.2",),
        "488 INVITE",
        set_status("488 OK"),
    ),
)
