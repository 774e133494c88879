"""The XML of MSCML: parsed without DTD and entities and within limits, then its elements are checked (RFC 5022, 11)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self
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
    """An XML document is not well formed, too large or too deep, or has a DTD.

    `root` is the part of the document that was read before the error; None if there is none.
    """

    def __init__(self, why: str, root: Element | None) -> None:
        super().__init__(why)
        self.root = root


@dataclass
class Element:
    """An element. MSCML has no text content: `has_text` is true if there was some (besides blanks); it is dropped."""

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
    """Parse a document; raises XmlError and no other exception.

    `charset`, the parameter of the MIME type, has precedence over the encoding that the document declares.
    """
    if len(octets) > MAX_OCTETS:
        raise XmlError(f"more than {MAX_OCTETS} octets", None)
    if charset is not None and not _CHARSET.fullmatch(charset):
        raise XmlError("bad charset", None)
    builder = _Builder()
    parser = ParserCreate(charset)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    # A DTD is refused, so that no entity is expanded and no external file is read.
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        parser.Parse(octets, True)
    except (ExpatError, LookupError, ValueError) as error:  # the last two also for encodings that Python does not know
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


@dataclass(frozen=True)
class _Shape:
    """The content of an element: the attributes and children that it may have, and those that it must have.

    `required` are attributes and `needs` is a child that must be present. Children are in the order of `children`, each
    at most once, except the child `many`, which may be repeated. With `choice` all children have one name. With `mixed`
    children may be repeated, in any order.
    """

    attributes: frozenset[str]
    required: frozenset[str]
    children: dict[str, _Shape]
    needs: str = ""
    many: str = ""
    choice: bool = False
    mixed: bool = False

    @classmethod
    def of(cls, attributes: str = "", children: dict[str, _Shape] | None = None, **more: Any) -> Self:  # noqa: ANN401
        """Make a shape; `attributes` are separated by blanks, and an attribute with `!` is required."""
        names = attributes.split()
        return cls(
            frozenset(name.rstrip("!") for name in names),
            frozenset(name[:-1] for name in names if name.endswith("!")),
            children or {},
            **more,
        )


_LEVEL = "gain gaindelta rate ratedelta"
_PROMPT = _Shape.of(
    f"baseurl locale offset delay duration repeat stoponerror {_LEVEL}",
    {"audio": _Shape.of(f"url! encoding {_LEVEL}"), "variable": _Shape.of("type! subtype value!")},
    mixed=True,
)
_GRAMMAR = _Shape.of("value! name")
_PATTERN = _Shape.of(
    "", {"regex": _GRAMMAR, "mgcpdigitmap": _GRAMMAR, "megacodigitmap": _GRAMMAR}, choice=True, many="regex"
)
_GAIN = _Shape.of(
    "",
    {"auto": _Shape.of("startlevel targetlevel silencethreshold"), "fixed": _Shape.of("level")},
    choice=True,
)
_PLAYING = "id prompturl promptencoding offset"
_BARGING = "barge cleardigits escapekey"
_FAX = _Shape.of("id lclid rmtid prompturl recurl", {"prompt": _PROMPT})
_LEG_EVENTS = _Shape.of(
    "", {"keypress": _Shape.of("report! maskdigits"), "signal": _Shape.of("type! report!")}, many="signal"
)
_TALKERS = _Shape.of("", {"activetalkers": _Shape.of("report! interval")}, needs="activetalkers")

_REQUESTS: dict[str, _Shape] = {
    "configure_conference": _Shape.of(
        "id reservedtalkers reserveconfmedia", {"subscribe": _Shape.of("", {"events": _TALKERS}, needs="events")}
    ),
    "configure_leg": _Shape.of(
        "id type mixmode dtmfclamp toneclamp",
        {
            "inputgain": _GAIN,
            "outputgain": _GAIN,
            "configure_team": _Shape.of("id action!", {"teammate": _Shape.of("id!")}, many="teammate"),
            "subscribe": _Shape.of("", {"events": _LEG_EVENTS}, needs="events"),
        },
    ),
    "play": _Shape.of(_PLAYING, {"prompt": _PROMPT}),
    "playcollect": _Shape.of(
        # The draft's example has `escape` instead of escapekey (E-21).
        f"{_PLAYING} {_BARGING} escape returnkey ffkey rwkey skipinterval maxdigits maskdigits "
        "firstdigittimer interdigittimer extradigittimer interdigitcriticaltimer",
        {"prompt": _PROMPT, "pattern": _PATTERN},
    ),
    "playrecord": _Shape.of(
        f"{_PLAYING} {_BARGING} recurl! recencoding mode duration beep initsilence endsilence recstopmask",
        {"prompt": _PROMPT},
    ),
    "managecontent": _Shape.of("id src! dest action httpmethod name fetchtimeout mimetype"),
    "faxplay": _FAX,
    "faxrecord": _FAX,
    "stop": _Shape.of("id"),
}
_DOCUMENT = _Shape.of("version!", {"request": _Shape.of("", _REQUESTS, choice=True)})
REQUESTS = frozenset(_REQUESTS)
"""The element names of all requests."""
_OF_XML = ("xmlns:", "xsi:")


def check_request(root: Element) -> Element:
    """Return the element of the request in a document; raises ValueError if the document is not valid.

    A default namespace on the root is no error: MSCML has none, and some programs write one.
    """
    root.attributes.pop("xmlns", None)
    _check(root, _DOCUMENT)
    return root.children[0].children[0]


def _check(element: Element, shape: _Shape) -> None:
    for name in element.attributes:
        if name not in shape.attributes and not name.startswith(_OF_XML):
            raise ValueError(f"<{element.name}> has no attribute {name}")
    for name in sorted(shape.required - set(element.attributes)):
        raise ValueError(f"<{element.name}> without {name}")
    if element.has_text:
        raise ValueError(f"text within <{element.name}>")
    names = [child.name for child in element.children]
    counts = Counter(names)
    for child in element.children:
        if child.name not in shape.children:
            raise ValueError(f"<{child.name}> does not belong into <{element.name}>")
        if counts[child.name] > 1 and child.name != shape.many and not shape.mixed:
            raise ValueError(f"more than one <{child.name}> in <{element.name}>")
        _check(child, shape.children[child.name])
    if shape.needs and shape.needs not in names:
        raise ValueError(f"<{element.name}> without <{shape.needs}>")
    if shape.mixed or shape.choice:
        if not names or (shape.choice and len(set(names)) > 1):
            raise ValueError(f"<{element.name}> has {' or '.join(shape.children)}")
    elif names != sorted(names, key=list(shape.children).index):
        raise ValueError(f"the order within <{element.name}> is {', '.join(shape.children)}")
