"""MSCML documents: read into requests, responses and notifications, and written (RFC 5022 sections 4 and 11)."""

from __future__ import annotations

import re

from lemonade_wire.mscml.prompts import Tolerance
from lemonade_wire.mscml.reading import read_notification, read_request, read_response
from lemonade_wire.mscml.request import Request
from lemonade_wire.mscml.response import Keypress, Response
from lemonade_wire.mscml.structure import REQUESTS, check_request
from lemonade_wire.mscml.writing import keypress_element, request_element, response_element
from lemonade_wire.mscml.xmltree import Element, XmlError, parse_xml

__all__ = ["CONTENT_TYPE", "Document", "MscmlError", "Tolerance", "parse_document", "write_document"]

CONTENT_TYPE = "application/mediaservercontrol+xml"
Document = Request | Response | Keypress
"""What a body holds: one request, one response or one notification of a key press."""
_MAX_TEXT = 200
_OPEN_AUDIO = re.compile(rb"(<audio\s[^<>]*[^/<>])>(\s*</prompt>)")


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
        """Return the 400 response, which says what is wrong, or None where the request could not be read."""
        if self.request is None:
            return None
        # Section 8 has words of its own for <managecontent>.
        text = "Bad Request" if self.request == "managecontent" else f"Bad Request: {str(self)[:_MAX_TEXT]}"
        return Response(self.request, 400, text, self.id)


def parse_document(octets: bytes, *, tolerance: Tolerance | None = None, charset: str | None = None) -> Document:
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


def write_document(content: Document) -> bytes:
    """Write a schema-valid document: UTF-8, no line breaks, what equals its default left out."""
    match content:
        case Response():
            body = response_element(content)
        case Keypress():
            body = Element("notification", {}, [keypress_element(content)])
        case request:
            body = Element("request", {}, [request_element(request)])
    root = Element("MediaServerControl", {"version": "1.0"}, [body])
    return f'<?xml version="1.0" encoding="utf-8"?>{root}'.encode()


def _read(root: Element, tolerance: Tolerance) -> Document:
    if root.name != "MediaServerControl" or "version" not in root.attributes:
        raise ValueError("no MediaServerControl with its version")
    if len(root.children) != 1:
        raise ValueError("one request, response or notification is wanted")
    body = root.children[0]
    if body.name == "response":
        return read_response(body)
    if body.name == "notification":
        return read_notification(body)
    return read_request(check_request(root), tolerance)


def _error(why: str, root: Element | None) -> MscmlError:
    """Make the error with what could be read of the request."""
    bodies = root.children[:1] if root is not None and root.name == "MediaServerControl" else []
    requests = [child for body in bodies if body.name == "request" for child in body.children[:1]]
    if requests and requests[0].name in REQUESTS:
        return MscmlError(why, requests[0].name, requests[0].attributes.get("id"))
    return MscmlError(why)
