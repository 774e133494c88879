"""Faults in what FETCH says of a message's structure, and in what GETMETADATA says of the media servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.faults.kinds import DecisionFault
from lemonade_imap.serving.backend import Refused
from lemonade_wire.faults import Fault
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.command import Joined

Annotations = dict[str, bytes | None]


def _with_leaves(change: Callable[[BodyStructure], BodyStructure]) -> Callable[..., Joined]:
    """Return a decision that writes a structure in which `change` was applied to every part that is no multipart."""

    def changed(structure: BodyStructure) -> BodyStructure:
        if structure.is_multipart:
            return replace(structure, parts=tuple(map(changed, structure.parts)))
        return change(structure)

    return lambda structure, *, extended: changed(structure).write(extended=extended)


def _written_as_in_draft(structure: BodyStructure, *, extended: bool) -> Joined:
    """Write a structure as in the draft's examples (E-9, E-10), which have no extension data."""
    if structure.is_multipart:
        return [
            b"(",
            *(piece for part in structure.parts for piece in _written_as_in_draft(part, extended=False)),
            b")",
        ]
    written = structure.write(extended=False)
    if structure.type.upper() != "TEXT" and b"NIL" in written:
        at = written.index(b"NIL")
        del written[at : at + 2]  # and the blank behind it
    return written


def _with_servers(change: Callable[[bytes], bytes | None]) -> Callable[[Annotations], Annotations]:
    """Return a decision that applies `change` to the value of the media servers' entry, if it has one."""
    return lambda found: {
        name: change(value) if value is not None and _names_servers(name) else value for name, value in found.items()
    }


def _names_servers(entry: str) -> bool:
    return entry.lower().endswith("/mediaservers")


def _refuse_getmetadata(found: Annotations) -> Annotations:
    raise Refused("BAD", "unknown command")


CONTENT_FAULTS: tuple[Fault, ...] = (
    DecisionFault(
        "draft-bodystructure",
        "FETCH BODYSTRUCTURE lacks the multipart's subtype and a NIL of each part that is no text (E-9, E-10)",
        ("LS-2.1-1",),
        ImapBehaviour.body_structure,
        _written_as_in_draft,
    ),
    DecisionFault(
        "bodystructure-subtype-wrong",
        "FETCH BODYSTRUCTURE calls every audio part audio/x-unknown",
        ("RFC3501-7.4.2-1",),
        ImapBehaviour.body_structure,
        _with_leaves(lambda part: replace(part, subtype="X-UNKNOWN") if part.type.lower() == "audio" else part),
    ),
    DecisionFault(
        "bodystructure-without-parameters",
        "FETCH BODYSTRUCTURE leaves the parameters of every part out",
        ("RFC3501-7.4.2-2",),
        ImapBehaviour.body_structure,
        _with_leaves(lambda part: replace(part, params=())),
    ),
    DecisionFault(
        "bodystructure-encoding-wrong",
        "FETCH BODYSTRUCTURE says 8BIT of every part",
        ("RFC3501-7.4.2-3",),
        ImapBehaviour.body_structure,
        _with_leaves(lambda part: replace(part, encoding="8BIT")),
    ),
    DecisionFault(
        "bodystructure-size-wrong",
        "FETCH BODYSTRUCTURE tells two octets less of every part",
        ("RFC3501-7.4.2-4",),
        ImapBehaviour.body_structure,
        _with_leaves(lambda part: replace(part, size=part.size - 2)),
    ),
    DecisionFault(
        "bodystructure-lines-wrong",
        "FETCH BODYSTRUCTURE tells seven lines more of every text part",
        ("RFC3501-7.4.2-5",),
        ImapBehaviour.body_structure,
        _with_leaves(lambda part: part if part.lines is None else replace(part, lines=part.lines + 7)),
    ),
    DecisionFault(
        "media-servers-withheld",
        "GETMETADATA answers NIL for the media servers' entry",
        ("LS-2.2-6",),
        ImapBehaviour.annotations,
        _with_servers(lambda value: None),
    ),
    DecisionFault(
        "media-servers-garbled",
        "GETMETADATA answers the media servers' entry with octets that are no UTF-8",
        ("LS-4-1", "LS-7-2"),
        ImapBehaviour.annotations,
        _with_servers(lambda value: b"\xff" + value),
    ),
    DecisionFault(
        "metadata-other-name",
        "GETMETADATA answers the media servers' entry under another name",
        ("RFC5464-4.4.1",),
        ImapBehaviour.annotations,
        lambda found: {"/shared/servers" if _names_servers(name) else name: value for name, value in found.items()},
    ),
    DecisionFault(
        "metadata-other-value",
        "GETMETADATA answers another host in the media servers' entry",
        ("LS-2.2-6",),
        ImapBehaviour.annotations,
        _with_servers(lambda value: value.replace(b"media.example.net", b"media2.example.net")),
    ),
    DecisionFault(
        "metadata-empty-for-nil",
        "GETMETADATA answers an empty value for an entry that has none",
        ("RFC5464-4.4.1",),
        ImapBehaviour.annotations,
        lambda found: {name: value or b"" for name, value in found.items()},
    ),
    DecisionFault(
        "metadata-without-brackets",
        "GETMETADATA answers the media servers' entry without < and >",
        ("LS-2.2-7",),
        ImapBehaviour.annotations,
        _with_servers(lambda value: value.replace(b"<", b"").replace(b">", b"")),
    ),
    DecisionFault(
        "metadata-unknown",
        "answers GETMETADATA with BAD, as a server without METADATA does",
        ("LS-2.2-6",),
        ImapBehaviour.annotations,
        _refuse_getmetadata,
    ),
)
