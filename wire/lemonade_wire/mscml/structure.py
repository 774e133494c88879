"""Which attributes and children each element of a request has (RFC 5022 section 11).

Section 4.1 wants documents that are valid, and the schema has no place for anything that it does not name: no other
attribute, no text, no other order. What is invalid is refused by name, and not passed over: the next server may take it
for something. Declarations of prefixes, and what XML Schema has everywhere (`xmlns:x`, `xsi:schemaLocation`), are
nobody's matter. What attributes hold is for `reading.py` to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from lemonade_wire.mscml.xmltree import Element


@dataclass(frozen=True)
class _Shape:
    """An element: its attributes and children, and which of both must be there.

    Children come in their order and once, those in `many` any number of times; of a `choice` all have one name; where
    they are `mixed` they come in any order.
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
        """Make one; an attribute with `!` must be there."""
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
        # `escape` is the draft's word for escapekey (E-21).
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
"""The names of all requests."""
_OF_XML = ("xmlns:", "xsi:")


def check_request(root: Element) -> Element:
    """Return the request's element in a document; raises ValueError where something is not the schema's."""
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
    for child in element.children:
        if child.name not in shape.children:
            raise ValueError(f"<{child.name}> does not belong into <{element.name}>")
        if names.count(child.name) > 1 and child.name != shape.many and not shape.mixed:
            raise ValueError(f"more than one <{child.name}> in <{element.name}>")
        _check(child, shape.children[child.name])
    if shape.needs and shape.needs not in names:
        raise ValueError(f"<{element.name}> without <{shape.needs}>")
    if shape.mixed or shape.choice:
        if not names or (shape.choice and len(set(names)) > 1):
            raise ValueError(f"<{element.name}> has {' or '.join(shape.children)}")
    elif names != sorted(names, key=list(shape.children).index):
        raise ValueError(f"the order within <{element.name}> is {', '.join(shape.children)}")
