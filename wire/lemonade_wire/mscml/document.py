"""MSCML documents: read into requests and responses, and written (RFC 5022 sections 4 and 11)."""

from __future__ import annotations

import re

from lemonade_wire.mscml.reading import REQUESTS, Tolerance, read_request, read_response
from lemonade_wire.mscml.request import Audio, Play, PlayCollect, Prompt, Request, Variable, request_name
from lemonade_wire.mscml.response import Response
from lemonade_wire.mscml.timevalue import write_time
from lemonade_wire.mscml.xmltree import Element, XmlError, parse_xml

__all__ = ["CONTENT_TYPE", "MscmlError", "Tolerance", "parse_document", "write_document"]

CONTENT_TYPE = "application/mediaservercontrol+xml"
_OPEN_AUDIO = re.compile(rb"(<audio\s[^<>]*[^/<>])>(\s*</prompt>)")
_DEFAULTS = PlayCollect()


class MscmlError(ValueError):
    """A document that is not to be carried out.

    `request` and `id` are those of the request where they could be read: then `response()` is what to answer in an
    INFO of its own; without them the SIP request itself gets 400.
    """

    def __init__(self, why: str, request: str | None = None, id: str | None = None) -> None:  # noqa: A002  MSCML's word
        super().__init__(why)
        self.request = request
        self.id = id

    def response(self) -> Response | None:
        """Return the 400 response, or None where the request could not be read."""
        return Response(self.request, 400, "Bad Request", self.id) if self.request else None


def parse_document(
    octets: bytes, *, tolerance: Tolerance | None = None, charset: str | None = None
) -> Request | Response:
    """Read a document; `charset` is the parameter of the content type. Raises MscmlError and nothing else."""
    tolerance = tolerance or Tolerance()
    try:
        root = parse_xml(octets, charset)
    except XmlError as error:
        closed = _OPEN_AUDIO.sub(rb"\1/>\2", octets) if tolerance.close_audio else octets
        if closed == octets:
            raise _error(str(error), error.root) from error
        try:
            root = parse_xml(closed, charset)
        except XmlError as again:
            raise _error(str(again), again.root) from again
    try:
        return _read(root, tolerance)
    except ValueError as error:
        raise _error(str(error), root) from error


def write_document(content: Request | Response) -> bytes:
    """Write a schema-valid document: UTF-8, no line breaks, what equals its default left out.

    Responses to play and playcollect carry the durations and digits that RFC 5022 section 10 requires, zero and empty
    where they are None.
    """
    body = _response(content) if isinstance(content, Response) else Element("request", {}, [_request(content)])
    root = Element("MediaServerControl", {"version": "1.0"}, [body])
    return f'<?xml version="1.0" encoding="utf-8"?>{root}'.encode()


def _read(root: Element, tolerance: Tolerance) -> Request | Response:
    if root.name != "MediaServerControl" or "version" not in root.attributes:
        raise ValueError("no MediaServerControl with its version")
    if len(root.children) != 1:
        raise ValueError("one request or response is wanted")
    body = root.children[0]
    if body.name == "response":
        return read_response(body)
    if body.name != "request" or len(body.children) != 1:
        raise ValueError("one request is wanted")
    return read_request(body.children[0], tolerance)


def _error(why: str, root: Element | None) -> MscmlError:
    """Make the error with what could be read of the request."""
    bodies = root.children[:1] if root is not None and root.name == "MediaServerControl" else []
    requests = [child for body in bodies if body.name == "request" for child in body.children[:1]]
    if requests and requests[0].name in REQUESTS:
        return MscmlError(why, requests[0].name, requests[0].attributes.get("id"))
    return MscmlError(why)


def _request(request: Request) -> Element:
    element = Element(request_name(request), _attributes(id=request.id))
    if isinstance(request, PlayCollect):
        _playcollect(element, request)
    elif isinstance(request, Play) and request.prompt:
        element.children.append(_prompt(request.prompt))
    return element


def _playcollect(element: Element, request: PlayCollect) -> None:
    times = {
        "skipinterval": (request.skip_interval_ms, _DEFAULTS.skip_interval_ms),
        "firstdigittimer": (request.first_digit_ms, _DEFAULTS.first_digit_ms),
        "interdigittimer": (request.interdigit_ms, _DEFAULTS.interdigit_ms),
        "extradigittimer": (request.extra_digit_ms, _DEFAULTS.extra_digit_ms),
    }
    switches = {
        "cleardigits": (request.clear_digits, _DEFAULTS.clear_digits),
        "barge": (request.barge, _DEFAULTS.barge),
        "maskdigits": (request.mask_digits, _DEFAULTS.mask_digits),
    }
    element.attributes |= {name: write_time(value) for name, (value, usual) in times.items() if value != usual}
    element.attributes |= {name: _yes(value) for name, (value, usual) in switches.items() if value != usual}
    element.attributes |= _attributes(
        # The escape key is always written: the draft's clients rely on it (E-21).
        escapekey=request.escape_key,
        returnkey=None if request.return_key == _DEFAULTS.return_key else request.return_key,
        ffkey=request.ff_key,
        rwkey=request.rw_key,
        interdigitcriticaltimer=_maybe_time(request.interdigit_critical_ms),
        maxdigits=None if request.max_digits is None else str(request.max_digits),
    )
    if request.prompt:
        element.children.append(_prompt(request.prompt))
    if request.patterns:
        regexes = [Element("regex", _attributes(value=item.value, name=item.name)) for item in request.patterns]
        element.children.append(Element("pattern", {}, regexes))


def _prompt(prompt: Prompt) -> Element:
    usual = Prompt(())
    times = {
        "offset": (prompt.offset_ms, usual.offset_ms),
        "delay": (prompt.delay_ms, usual.delay_ms),
        "duration": (prompt.duration_ms, usual.duration_ms),
    }
    attributes = _attributes(
        locale=prompt.locale,
        stoponerror="yes" if prompt.stop_on_error else None,
        repeat=None if prompt.repeat == 1 else "infinite" if prompt.repeat is None else str(prompt.repeat),
    )
    attributes |= {name: write_time(value) for name, (value, default) in times.items() if value != default}
    return Element("prompt", attributes, [_item(item) for item in prompt.items])


def _item(item: Audio | Variable) -> Element:
    if isinstance(item, Audio):
        return Element("audio", _attributes(url=item.url, encoding=item.encoding))
    return Element("variable", _attributes(type=item.kind, subtype=item.subtype, value=item.value))


def _response(response: Response) -> Element:
    duration, offset, digits = response.play_duration_ms, response.play_offset_ms, response.digits
    if response.request in ("play", "playcollect"):
        duration, offset = duration or 0, offset or 0
    if response.request == "playcollect":
        digits = digits or ""
    attributes = _attributes(
        id=response.id,
        request=response.request,
        code=str(response.code),
        text=response.text or "",
        reason=response.reason,
        playduration=_maybe_time(duration),
        playoffset=_maybe_time(offset),
        digits=digits,
        name=response.name,
    )
    element = Element("response", attributes)
    if response.error_info:
        info = response.error_info
        element.children.append(
            Element("error_info", _attributes(code=str(info.code), text=info.text, context=info.context))
        )
    return element


def _attributes(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _maybe_time(ms: float | None) -> str | None:
    return None if ms is None else write_time(ms)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
