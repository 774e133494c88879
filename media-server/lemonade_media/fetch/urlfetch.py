"""Fetches a message part by an authorised IMAP URL with URLFETCH (RFC 4467, RFC 5524, LS-2.8), without I/O.

`fetch_part` is a generator: it yields the IMAP command to run next, and its caller sends it the result. So the same
code runs over a socket and in a test without one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lemonade_media.decoding.decode import FetchedPart, decode_leniently
from lemonade_media.faults.imap import DRAFT_FETCH, STRUCTURE_NOT_ASKED, URL_NORMALISED
from lemonade_media.fetch.login import Steps
from lemonade_media.fetch.settings import ImapSettings
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_media.model.plans import FetchPlan
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.login import result_of
from lemonade_wire.imap.response import FetchedUrl, StatusResponse, UrlFetchResponse
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import host_key


def plan_fetch(url: str, settings: ImapSettings, caller: str) -> FetchPlan:
    """Read a URL and check that its server is allowed; `caller` is the IP address of the caller.

    Raises FetchError (BAD_URL or HOST_REFUSED).
    """
    try:
        parsed = ImapUrl.parse(url)
    except ImapParseError as problem:
        raise FetchError(FailureKind.BAD_URL, str(problem)) from problem
    host, port = host_key(parsed.host), parsed.effective_port
    if not settings.allows(host, port):
        raise FetchError(FailureKind.HOST_REFUSED, f"content on {parsed.host} is not fetched by this server")
    return FetchPlan(url, host, port, settings.identity is not None and settings.trusts(caller))


def fetch_part(url: str, settings: ImapSettings, fault: Fault | None = None) -> Steps[FetchedPart]:
    """Fetch the part without its transfer encoding, on a connection that is logged in; raises FetchError.

    The URL is sent with the same octets as it came, since its token is valid only for them (RFC 4467 section 5).
    BODYPARTSTRUCTURE (content type) and BINARY (octets) are asked for together. If the server gives neither for an
    error in the description, each is asked for alone.
    """
    url = url.replace(";UID=", ";uid=") if fault is URL_NORMALISED else url
    described = () if fault is STRUCTURE_NOT_ASKED else ("BODYPARTSTRUCTURE",)
    answer = yield from _ask(url, *described, "BINARY", fault=fault)
    if answer.stumbled:
        answer = yield from _ask(url, "BINARY")
        if answer.fetched.binary is not None:
            told = yield from _ask(url, "BODYPARTSTRUCTURE")
            answer = replace(answer, fetched=replace(answer.fetched, structure=told.fetched.structure))
    if settings.decodes_itself and (answer.stumbled or answer.undecodable):
        encoded = yield from _ask(url, "BODYPARTSTRUCTURE", "BODY")
        return _part(_decoded(encoded.fetched), settings.max_part_octets)
    return _part(answer.fetched, settings.max_part_octets)


@dataclass(frozen=True)
class _Answer:
    """The server's answer for the URL, and the texts of its untagged NO responses, in lower case."""

    fetched: FetchedUrl
    complaints: str

    @property
    def stumbled(self) -> bool:
        """Whether the server may have failed to make the BODYPARTSTRUCTURE, while the part itself can be fetched.

        Dovecot gives the structure of a decoded part only if it can decode all parts of the message.
        """
        neither = self.undecodable and self.fetched.structure is None
        return neither or (self.fetched.refused and _CANNOT_READ in self.complaints)

    @property
    def undecodable(self) -> bool:
        """Whether the server says, by `(BINARY NIL)`, that it cannot decode the part (RFC 5524)."""
        return self.fetched.binary_came and self.fetched.binary is None and not self.fetched.too_large


_CANNOT_READ = "failed to read"


def _ask(url: str, *params: str, fault: Fault | None = None) -> Steps[_Answer]:
    command = commands.urlfetch(url, params)
    if fault is DRAFT_FETCH:
        command = commands.raw(f'URLFETCH ( "{url}" {" ".join(params)} )')
    done = yield command
    if not done.ok:
        raise FetchError(FailureKind.REFUSED, f"the IMAP server answered URLFETCH with {result_of(done.status)}")
    complaints = [one.text.lower() for one in done.untagged if isinstance(one, StatusResponse) and one.result == "NO"]
    answers = [one for response in done.untagged if isinstance(response, UrlFetchResponse) for one in response.fetched]
    for fetched in answers:
        if fetched.url == url:
            return _Answer(fetched, "\n".join(complaints))
    raise FetchError(FailureKind.REFUSED, "the IMAP server's URLFETCH answer lacks the URL")


def _decoded(fetched: FetchedUrl) -> FetchedUrl:
    """Decode the transfer encoding of a part that was fetched as it is stored (BODY); raises FetchError."""
    if fetched.body is None or fetched.structure is None:
        return replace(fetched, binary_came=fetched.body_came)
    try:
        octets = decode_leniently(fetched.body, fetched.structure.encoding)
    except ValueError as problem:
        raise FetchError(FailureKind.UNDECODABLE_ENCODING, str(problem)) from None
    return replace(fetched, binary=octets, binary_came=True)


def _part(fetched: FetchedUrl, most: int) -> FetchedPart:
    if fetched.refused:
        raise FetchError(FailureKind.NOT_FOUND, "the IMAP server gives nothing for this URL")
    if fetched.too_large or len(fetched.binary or b"") > most:
        raise FetchError(FailureKind.TOO_LARGE, "the part is larger than this server fetches")
    if fetched.binary is None:
        if fetched.binary_came:
            raise FetchError(FailureKind.UNDECODABLE_ENCODING, "the IMAP server cannot undo the part's encoding")
        raise FetchError(FailureKind.REFUSED, "the IMAP server's URLFETCH answer lacks BINARY")
    structure = fetched.structure
    if structure is None:
        return FetchedPart("application/octet-stream", {}, fetched.binary)
    return FetchedPart(
        structure.content_type, {name.lower(): value for name, value in structure.params}, fetched.binary
    )
