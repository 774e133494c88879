"""Faults in what URLFETCH returns: the part's octets, its description, the URL, and the answer to a refused URL."""

from __future__ import annotations

import re
from dataclasses import replace

from lemonade_imap.behaviour import ImapBehaviour, Rendition
from lemonade_imap.faults.kinds import DecisionFault, always
from lemonade_wire.faults import Fault
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.command import Joined


def _described_as_in_draft(structure: BodyStructure, stored_size: int) -> Joined:
    """Write the seven fields of the draft's example, with the blank behind the last (E-32, E-33)."""
    text = f'("{structure.type}" "{structure.subtype}" () NIL NIL "{structure.encoding}" {stored_size} )'
    return [text.encode("ascii")]


def _described_as_octet_stream(structure: BodyStructure, stored_size: int) -> Joined:
    return replace(structure, type="APPLICATION", subtype="OCTET-STREAM", lines=None).write()


def _with_case_swapped(url: bytes) -> bytes:
    """Return a URL with the case of its literal words swapped; their case has no meaning."""
    return re.sub(rb";(?:UID|SECTION|URLAUTH|EXPIRE)=", lambda word: word[0].swapcase(), url, flags=re.IGNORECASE)


URLFETCH_FAULTS: tuple[Fault, ...] = (
    DecisionFault(
        "base64-not-decoded",
        "URLFETCH BINARY returns the part with its transfer encoding still on",
        ("LS-2.8-10",),
        ImapBehaviour.rendition,
        lambda part: Rendition(part.length, "BINARY"),
    ),
    DecisionFault(
        "wrong-part",
        "URLFETCH returns the first part of the message, whatever the URL's SECTION",
        ("RFC5092-6-1",),
        ImapBehaviour.section_of,
        always("1"),
    ),
    DecisionFault(
        "partial-ignored",
        "URLFETCH returns the whole part, whatever the URL's PARTIAL",
        ("RFC5092-6-2",),
        ImapBehaviour.partial_of,
        always(None),
    ),
    DecisionFault(
        "partial-off-by-one",
        "URLFETCH begins one octet too late where the URL has PARTIAL",
        ("RFC5092-6-2",),
        ImapBehaviour.partial_of,
        lambda url: None if url.partial is None else replace(url.partial, offset=url.partial.offset + 1),
    ),
    DecisionFault(
        "short-part",
        "URLFETCH sends the part without its last octet",
        ("LS-2.8-11",),
        ImapBehaviour.content_size,
        lambda size: max(0, size - 1),
    ),
    DecisionFault(
        "part-octets-changed",
        "URLFETCH BINARY returns CR as LF",
        ("RFC5524-3.2-2",),
        ImapBehaviour.sent_octets,
        lambda chunks: (chunk.replace(b"\r", b"\n") for chunk in chunks),
    ),
    DecisionFault(
        "literal-for-nul",
        "URLFETCH BINARY sends octets with NUL as a literal, not as a literal8",
        ("RFC5524-3.1",),
        ImapBehaviour.uses_literal8,
        always(False),
    ),
    DecisionFault(
        "seen-set-by-urlfetch",
        r"URLFETCH sets the flag \Seen of the message",
        ("RFC5092-6-4",),
        ImapBehaviour.marks_seen,
        always(True),
    ),
    DecisionFault(
        "no-bodypartstructure",
        "URLFETCH leaves BODYPARTSTRUCTURE out of its answer",
        ("LS-2.1-11",),
        ImapBehaviour.shows_structure,
        always(False),
    ),
    DecisionFault(
        "described-encoded-size",
        "URLFETCH tells the size of the part with its transfer encoding in BODYPARTSTRUCTURE",
        ("RFC5524-3.2-1",),
        ImapBehaviour.part_structure,
        lambda structure, stored_size: replace(structure, size=stored_size).write(),
    ),
    DecisionFault(
        "described-other-type",
        "URLFETCH says application/octet-stream of every part in BODYPARTSTRUCTURE",
        ("RFC5524-3.2-1",),
        ImapBehaviour.part_structure,
        _described_as_octet_stream,
    ),
    DecisionFault(
        "described-without-parameters",
        "URLFETCH leaves the parameters of every part out of BODYPARTSTRUCTURE",
        ("RFC5524-3.2-1",),
        ImapBehaviour.part_structure,
        lambda structure, stored_size: replace(structure, params=()).write(),
    ),
    DecisionFault(
        "described-encoding-kept",
        "URLFETCH BINARY tells BASE64 in BODYPARTSTRUCTURE",
        ("RFC5524-3.2-1",),
        ImapBehaviour.part_structure,
        lambda structure, stored_size: replace(structure, encoding="BASE64").write(),
    ),
    DecisionFault(
        "draft-part-structure",
        "URLFETCH tells the encoded size of what it decodes, and () where there are no parameters (E-32, E-33)",
        ("LS-2.8-10",),
        ImapBehaviour.part_structure,
        _described_as_in_draft,
    ),
    DecisionFault(
        "url-echo-changed",
        "URLFETCH answers the URL with its literal words in the other case",
        ("LS-2.8-11",),
        ImapBehaviour.echoed_url,
        _with_case_swapped,
    ),
    DecisionFault(
        "nil-line-missing",
        "URLFETCH says nothing of a URL that it refuses, and OK",
        ("RFC4467-7-1",),
        ImapBehaviour.answers_refused,
        always(False),
    ),
    DecisionFault(
        "tagged-no-instead-of-nil",
        "URLFETCH is answered NO where it refuses a URL",
        ("RFC4467-7-1",),
        ImapBehaviour.refuses_command,
        always(True),
    ),
)
