"""Fetching a message part by URLAUTH (RFC 4467, 5524, LS-2.8): the procedure, without a connection of its own.

It is a generator: it yields the IMAP command to run next and is sent its answer, so that the same lines run over a
socket and over a script of octets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lemonade_media.decode import MediaPart
from lemonade_media.entering import Steps, result_of
from lemonade_media.failures import FailureKind, FetchError
from lemonade_media.faults import DraftFetch, UrlNormalised
from lemonade_media.imap_settings import ImapSettings
from lemonade_media.lenient import decode_leniently
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.hosts import host_key
from lemonade_wire.imap.response import FetchedUrl, Status, UrlFetch
from lemonade_wire.imap.url import ImapUrl


@dataclass(frozen=True)
class FetchPlan:
    """A URL that may be fetched, as it was given, and the server it names.

    `privileged`: the media server uses its own identity there.
    """

    url: str = field(repr=False)
    host: str
    port: int
    privileged: bool = False


def plan_fetch(url: str, settings: ImapSettings, caller: str) -> FetchPlan:
    """Read a URL and see whether its server is allowed to who calls from the address `caller`; raises FetchError."""
    try:
        parsed = ImapUrl.parse(url)
    except ImapParseError as problem:
        raise FetchError(FailureKind.BAD_URL, str(problem)) from problem
    host, port = host_key(parsed.host), parsed.effective_port
    if not settings.allows(host, port):
        raise FetchError(FailureKind.HOST_REFUSED, f"content on {parsed.host} is not fetched by this server")
    return FetchPlan(url, host, port, settings.identity is not None and settings.trusts(caller))


def fetch_part(url: str, settings: ImapSettings, fault: Fault | None = None) -> Steps[MediaPart]:
    """Fetch the part, decoded, on a connection that is entered; raises FetchError.

    The URL goes out octet for octet as it came: its token holds for nothing else (RFC 4467 section 5).
    """
    url = fault.normalise(url) if isinstance(fault, UrlNormalised) else url
    answer = yield from _ask(url, "BODYPARTSTRUCTURE", "BINARY", fault=fault)
    if answer.stumbled:
        answer = yield from _ask(url, "BINARY")
        if answer.fetched.binary is not None:
            described = yield from _ask(url, "BODYPARTSTRUCTURE")
            answer = replace(answer, fetched=replace(answer.fetched, structure=described.fetched.structure))
    if settings.decodes_itself and (answer.stumbled or answer.undecodable):
        encoded = yield from _ask(url, "BODYPARTSTRUCTURE", "BODY")
        return _part(_decoded(encoded.fetched), settings.max_part_octets)
    return _part(answer.fetched, settings.max_part_octets)


@dataclass(frozen=True)
class _Answer:
    """What was said of the URL, and what the server complained of besides (untagged NO)."""

    fetched: FetchedUrl
    complaints: str

    @property
    def stumbled(self) -> bool:
        """Whether it may be the description that the server cannot give, and no fault of the content.

        Dovecot describes decoded parts only where it can decode all of them: one that it cannot spoils the others.
        """
        neither = self.undecodable and self.fetched.structure is None
        return neither or (self.fetched.refused and _CANNOT_READ in self.complaints)

    @property
    def undecodable(self) -> bool:
        """Whether the server says that it cannot decode the content."""
        return self.fetched.binary_came and self.fetched.binary is None and not self.fetched.too_large


_CANNOT_READ = "failed to read"


def _ask(url: str, *params: str, fault: Fault | None = None) -> Steps[_Answer]:
    command = commands.urlfetch(url, params)
    if isinstance(fault, DraftFetch):
        command = commands.raw(f'URLFETCH ( "{url}" {" ".join(params)} )')
    done = yield command
    if not done.ok:
        raise FetchError(FailureKind.REFUSED, f"the IMAP server answered URLFETCH with {result_of(done)}")
    complaints = [one.text.lower() for one in done.untagged if isinstance(one, Status) and one.result == "NO"]
    answers = [one for response in done.untagged if isinstance(response, UrlFetch) for one in response.fetched]
    for fetched in answers:
        if fetched.url == url:
            return _Answer(fetched, "\n".join(complaints))
    raise FetchError(FailureKind.REFUSED, "the IMAP server's URLFETCH answer lacks the URL")


def _decoded(fetched: FetchedUrl) -> FetchedUrl:
    """Take off the encoding of what came as it is stored; raises FetchError."""
    if fetched.body is None or fetched.structure is None:
        return replace(fetched, binary_came=fetched.body_came)
    try:
        octets = decode_leniently(fetched.body, fetched.structure.encoding)
    except ValueError as problem:
        raise FetchError(FailureKind.UNDECODABLE_ENCODING, str(problem)) from None
    return replace(fetched, binary=octets, binary_came=True)


def _part(fetched: FetchedUrl, most: int) -> MediaPart:
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
        return MediaPart("application/octet-stream", {}, fetched.binary)
    return MediaPart(structure.content_type, {name.lower(): value for name, value in structure.params}, fetched.binary)
