"""Reads and writes MSCML documents: requests, responses and notifications (RFC 5022 sections 4 and 11)."""

from __future__ import annotations

import re

from lemonade_wire.mscml.messages import Keypress, MscmlResponse, Request
from lemonade_wire.mscml.prompts import Tolerance
from lemonade_wire.mscml.reading import read_notification, read_request, read_response
from lemonade_wire.mscml.structure import REQUESTS, Element, XmlError, check_request, parse_xml
from lemonade_wire.mscml.writing import keypress_element, request_element, response_element

__all__ = ["CONTENT_TYPE", "Document", "MscmlError", "Tolerance", "parse_document", "write_document"]

CONTENT_TYPE = "application/mediaservercontrol+xml"
Document = Request | MscmlResponse | Keypress
"""The content of a body: one request, one response or one notification of a key press."""
_MAX_TEXT = 200
_OPEN_AUDIO = re.compile(rb"(<audio\s[^<>]*[^/<>])>(\s*</prompt>)")


class MscmlError(ValueError):
    """An MSCML document is malformed or not valid, and must not be carried out.

    `request` and `id` are the name and the id of the request, if they could be read: then `response()` is sent in an
    INFO of its own. Without them the SIP request is answered 400.
    """

    def __init__(self, why: str, request: str | None = None, id: str | None = None) -> None:  # noqa: A002  MSCML's word
        super().__init__(why)
        self.request = request
        self.id = id

    def response(self) -> MscmlResponse | None:
        """Return the MSCML response 400 with the error as its text, or None if the request could not be read."""
        if self.request is None:
            return None
        # RFC 5022 section 8 defines the exact text for <managecontent>.
        text = "Bad Request" if self.request == "managecontent" else f"Bad Request: {str(self)[:_MAX_TEXT]}"
        return MscmlResponse(self.request, 400, text, self.id)


# RFC 5022 section 4.1: <MediaServerControl version="1.0"> with one child:
#   <request>       one request element, for example <playcollect>
#   <response>      the result of a request
#   <notification>  here only <keypress>
def parse_document(octets: bytes, *, tolerance: Tolerance | None = None, charset: str | None = None) -> Document:
    """Parse a document; `charset` is the parameter of the Content-Type. Raises MscmlError and no other exception."""
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
    """Return a valid document in UTF-8 without line breaks; attributes that equal their default are left out."""
    match content:
        case MscmlResponse():
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
    """Make the error, with the name and the id of the request if they could be read."""
    bodies = root.children[:1] if root is not None and root.name == "MediaServerControl" else []
    requests = [child for body in bodies if body.name == "request" for child in body.children[:1]]
    if requests and requests[0].name in REQUESTS:
        return MscmlError(why, requests[0].name, requests[0].attributes.get("id"))
    return MscmlError(why)
