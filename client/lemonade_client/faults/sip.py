"""The faults of the client in its SIP messages, dialogs and offers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lemonade_client.behaviour import ClientBehaviour
from lemonade_client.faults.agents import (
    AckToRecord,
    DraftDialog,
    SameBranchAgent,
    SameFromTagAgent,
    SameTagsAgent,
    SilentAgent,
)
from lemonade_wire.faults import Fault
from lemonade_wire.sip.message.fault import (
    BYE_UNANSWERED,
    CopiesWithheld,
    Edit,
    EditedMessage,
    ExtraMessage,
    MessageEdit,
    MessageFault,
    change_body,
    change_header,
    change_start,
    drop_header,
    put_header,
)


def _keep_draft_headers(message: EditedMessage) -> None:
    message.drop("Via")
    message.drop("Max-Forwards")
    message.change("From", ";tag=[^;]*", "")


def _add_to_length(octets: int) -> Edit:
    """Return the edit that adds a number to Content-Length, and leaves the body as it is."""
    return lambda message: message.put("Content-Length", str(int(message.header("Content-Length")) + octets))


def _add_to_tag(message: EditedMessage) -> None:
    if ";tag=" not in message.header("To"):
        message.put("To", f"{message.header('To')};tag=invented")


def _make_cancel(message: EditedMessage) -> None:
    """Make a CANCEL of an INVITE (RFC 3261 section 9.1)."""
    message.start = message.start.replace("INVITE", "CANCEL", 1)
    message.change("CSeq", "INVITE", "CANCEL")
    for name in ("Contact", "Allow", "Accept", "Content-Type"):
        message.drop(name)
    message.set_body("")


class AckWithOffer(MessageFault):
    """The client sends the offer of its INVITE again in the ACK."""

    name = "ack-with-offer"
    summary = "sends the offer of its INVITE again in the ACK"
    breaks = ("RFC3261-13.2.1",)
    offer = ""

    def edit(self, message: EditedMessage) -> None:
        """Remember the body of an INVITE, and write it into the ACK of a call."""
        if message.kind == "INVITE":
            self.offer = message.body
        elif message.kind == "ACK":
            message.put("Content-Type", "application/sdp")
            message.set_body(self.offer)


class SendsOnce(CopiesWithheld):
    """The client does not send an INVITE again if no response comes."""

    name = "sends-once"
    summary = "sends an INVITE that is not answered no second time"
    breaks = ("RFC3261-17",)
    kind = "INVITE"
    identity = ("Via",)


class CopyChanged(MessageFault):
    """The client lowers Max-Forwards by one each time that it sends an INVITE, also in a retransmission."""

    name = "copy-changed"
    summary = "counts Max-Forwards down when it sends an INVITE again"
    breaks = ("RFC3261-17.1.2",)
    hops = 71

    def edit(self, message: EditedMessage) -> None:
        """Change INVITEs."""
        if message.kind == "INVITE":
            self.hops -= 1
            message.put("Max-Forwards", str(self.hops))


class _AckFault(MessageFault, ABC):
    """Base class: a fault in ACKs that needs the Via of the last INVITE; the ACK of a refusal has the same Via."""

    via = ""

    def edit(self, message: EditedMessage) -> None:
        """Remember the Via of an INVITE, and change ACKs."""
        if message.kind == "INVITE":
            self.via = message.header("Via")
        elif message.kind == "ACK":
            self.edit_ack(message, acknowledges_refusal=message.header("Via") == self.via)

    @abstractmethod
    def edit_ack(self, message: EditedMessage, *, acknowledges_refusal: bool) -> None:
        """Change an ACK in place."""


class AckRepeatsBranch(_AckFault):
    """The client sends the ACK of a 200 as if it belonged to the transaction of the INVITE."""

    name = "ack-repeats-branch"
    summary = "sends the ACK of a 200 with the branch of its INVITE"
    breaks = ("RFC3261-13.2.2.4",)

    def edit_ack(self, message: EditedMessage, *, acknowledges_refusal: bool) -> None:
        """Write the Via of the INVITE."""
        message.put("Via", self.via)


class RefusalAckNewBranch(_AckFault):
    """The client sends the ACK of a refusal as if it were a transaction of its own."""

    name = "refusal-ack-new-branch"
    summary = "sends the ACK of a refusal with a new branch"
    breaks = ("RFC3261-17.1.1.3",)

    def edit_ack(self, message: EditedMessage, *, acknowledges_refusal: bool) -> None:
        """Change the branch."""
        if acknowledges_refusal:
            message.change("Via", "z9hG4bK", "z9hG4bKnew")


class RefusalUnacknowledged(_AckFault):
    """The client does not acknowledge refusals."""

    name = "refusal-unacknowledged"
    summary = "sends no ACK of a refusal"
    breaks = ("RFC3261-17.1.1.3-2",)

    def edit_ack(self, message: EditedMessage, *, acknowledges_refusal: bool) -> None:
        """Withhold the ACK of a refusal."""
        message.withheld = acknowledges_refusal


SIP_FAULTS: tuple[Fault | type[Fault], ...] = (
    AckWithOffer,
    SendsOnce,
    CopyChanged,
    AckRepeatsBranch,
    RefusalAckNewBranch,
    RefusalUnacknowledged,
    BYE_UNANSWERED,
    ClientBehaviour(
        "ack-wrong-target",
        "sends the ACK to the address of record, not to the Contact of the 200 (E-28)",
        ("LS-2.9-1", "LS-2.9-2"),
        dialog_factory=AckToRecord,
    ),
    ClientBehaviour(
        "draft-sequence",
        "sends the ACK to the address of record and leaves gaps in CSeq, as the draft does (E-28, E-29)",
        ("LS-2.9-2",),
        dialog_factory=DraftDialog,
    ),
    ClientBehaviour(
        "no-ack",
        "never acknowledges the 200 to its INVITE",
        ("LS-2.9-1", "LS-2.9-2"),
        user_agent=SilentAgent,
    ),
    ClientBehaviour(
        "reuses-call-id",
        "calls again with the Call-ID, From tag and CSeq of the call before",
        ("RFC3261-8.1.3.5",),
        user_agent=SameTagsAgent,
    ),
    ClientBehaviour(
        "reuses-from-tag",
        "calls again with the From tag of the call before",
        ("RFC3261-19.3",),
        user_agent=SameFromTagAgent,
    ),
    ClientBehaviour(
        "reuses-branch",
        "sends every request with the same branch",
        ("RFC3261-8.1.1.7-2",),
        user_agent=SameBranchAgent,
    ),
    MessageEdit(
        "draft-headers",
        "sends an INVITE with the draft's headers alone: no Via, no Max-Forwards, no From tag (E-15)",
        ("LS-2.5-2",),
        "INVITE",
        _keep_draft_headers,
    ),
    MessageEdit(
        "length-too-small",
        "says in an INVITE's Content-Length 7 octets less than there are, as the draft does (E-19)",
        ("LS-2.6-1",),
        "INVITE",
        _add_to_length(-7),
    ),
    MessageEdit(
        "length-too-large",
        "says in an INVITE's Content-Length 7 octets more than there are (E-19)",
        ("LS-2.6-1",),
        "INVITE",
        _add_to_length(7),
    ),
    MessageEdit(
        "invite-with-to-tag",
        "writes a tag into To of the first INVITE of a call",
        ("RFC3261-8.1.1.2",),
        "INVITE",
        _add_to_tag,
    ),
    MessageEdit(
        "invite-without-contact",
        "leaves Contact out of INVITE",
        ("RFC3261-8.1.1.8",),
        "INVITE",
        drop_header("Contact"),
    ),
    MessageEdit(
        "contact-elsewhere",
        "names an address in Contact that is not its own",
        ("RFC3261-8.1.1.8-2",),
        "INVITE",
        change_header("Contact", "@[0-9.]+", "@192.0.2.7"),
    ),
    MessageEdit(  # the INVITE is sent to the right host
        "host-not-listed",
        "names a host in the INVITE's Request-URI that is neither listed nor configured",
        ("LS-2.2-12",),
        "INVITE",
        change_start("^(INVITE sips?:[^@ ]+@)[^;: ]+", r"\1media.elsewhere.example"),
    ),
    MessageEdit(
        "announcement-cut",
        "asks for one second of an announcement, unasked",
        ("LS-2.5-2",),
        "INVITE|ACK",
        change_start("^([A-Z]+ sip:annc@[^ ]+;play=[^ ]+)", r"\1;duration=1000"),
    ),
    MessageEdit(
        "offers-sendonly",
        "offers sendonly where it is to hear something",
        ("LS-2.6-1",),
        "INVITE",
        change_body("^a=recvonly", "a=sendonly"),
    ),
    MessageEdit(
        "offer-version-jumps",
        "raises the version in o= by ten for each new offer",
        ("RFC3264-8",),
        "INVITE",
        change_body(r"^(o=\S+ \d+ \d+) ", r"\g<1>0 "),
    ),
    MessageEdit(
        "ack-without-cookie",
        "sends the ACK of a 200 with a branch without z9hG4bK",
        ("RFC3261-8.1.1.7",),
        "ACK",
        change_header("Via", "branch=z9hG4bK", "branch="),
    ),
    MessageEdit(
        "ack-of-another-method",
        "sends the ACK with the method INVITE in CSeq",
        ("RFC3261-8.1.1.5",),
        "ACK",
        change_header("CSeq", "ACK", "INVITE"),
    ),
    MessageEdit(
        "bye-number-jumps",
        "sends BYE with a CSeq number four too high",
        ("RFC3261-12.2.1.1-2",),
        "BYE",
        lambda message: message.raise_cseq(4),
    ),
    MessageEdit(
        "hops-used-up",
        "sends INVITE with Max-Forwards 0",
        ("RFC3261-8.1.1.6",),
        "INVITE",
        put_header("Max-Forwards", "0"),
    ),
    MessageEdit(
        "extension-of-its-own",
        "lists an extension in Supported that no RFC defines",
        ("RFC3261-8.1.1.9",),
        "INVITE",
        put_header("Supported", "x-lemonade"),
    ),
    MessageEdit(
        "keys-without-rtpmap",
        "offers the payload type of keys without a=rtpmap",
        ("RFC4566-5.14",),
        "INVITE",
        change_body(r"^a=rtpmap:101 .*\r\n", ""),
    ),
    ExtraMessage(
        "cancels-at-once",
        "cancels an INVITE before any response to it",
        ("RFC3261-9.1-2",),
        "INVITE",
        _make_cancel,
    ),
    MessageEdit(
        "cancel-requires-timer",
        "sends CANCEL with Require",
        ("RFC3261-9.1",),
        "CANCEL",
        put_header("Require", "timer"),
    ),
    MessageEdit(
        "cancel-other-branch",
        "sends CANCEL with another branch than its INVITE's",
        ("RFC3261-9.1",),
        "CANCEL",
        change_header("Via", "z9hG4bK", "z9hG4bKnew"),
    ),
)
