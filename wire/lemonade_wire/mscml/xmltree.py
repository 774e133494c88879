"""XML as MSCML uses it: elements and attributes, no DTD, no entities but the five of XML, small and flat."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers.expat import ExpatError, ParserCreate

MAX_OCTETS = 64 * 1024
_MAX_DEPTH = 16
_BLANKS = " \t\r\n"
_CHARSET = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)


class XmlError(ValueError):
    """A document that is not well formed, or not of the plain kind taken here; `root` is what could be read."""

    def __init__(self, why: str, root: Element | None) -> None:
        super().__init__(why)
        self.root = root


@dataclass
class Element:
    """An element. MSCML has no text: `has_text` says that there was some besides blanks, what it was is dropped."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    has_text: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        attributes = "".join(f' {name}="{_escape(value)}"' for name, value in self.attributes.items())
        if not self.children:
            return f"<{self.name}{attributes}/>"
        return f"<{self.name}{attributes}>{''.join(map(str, self.children))}</{self.name}>"


def parse_xml(octets: bytes, charset: str | None = None) -> Element:
    """Read a document; raises XmlError and nothing else. `charset` (of the MIME type) goes before the XML's own."""
    if len(octets) > MAX_OCTETS:
        raise XmlError(f"more than {MAX_OCTETS} octets", None)
    if charset is not None and not _CHARSET.fullmatch(charset):
        raise XmlError("bad charset", None)
    builder = _Builder()
    parser = ParserCreate(charset)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    # Without a DTD there are no entities to expand, and nothing outside the document to read.
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        parser.Parse(octets, True)
    except (ExpatError, LookupError, ValueError) as error:  # the last two: encodings that Python does not know
        raise XmlError(str(error), builder.root) from error
    if builder.root is None:
        raise XmlError("no element", None)
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        if len(self._open) > _MAX_DEPTH:
            raise ValueError(f"deeper than {_MAX_DEPTH} elements")

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        if text.strip(_BLANKS):
            self._open[-1].has_text = True

    def refuse(self, *_: object) -> None:
        raise ValueError("a DTD is not taken")


def _escape(text: str) -> str:
    return _NOT_XML.sub("", text).translate(_ESCAPES)
