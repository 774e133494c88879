"""Fetching a message part by URLAUTH (RFC 4467, 5524, LS-2.8): the procedure, without a connection of its own.

`fetch_url` is a generator: it yields the IMAP command to run next and is sent its answer, so that the same lines run
over a socket and over a script of octets.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from lemonade_media.config import Identity, MediaConfig
from lemonade_media.decode import MediaPart
from lemonade_media.failures import Failure, FailureKind
from lemonade_media.faults import LoginInClear, UrlNormalised
from lemonade_wire.faults import Fault
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ImapClient
from lemonade_wire.imap.command import Command
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.response import FetchedUrl, UrlFetch
from lemonade_wire.imap.url import ImapUrl

Procedure = Generator[Command, CommandDone, MediaPart]


class FetchError(Exception):
    """A URL gives nothing to play; `failure` says what the caller is told."""

    def __init__(self, kind: FailureKind, why: str) -> None:
        super().__init__(why)
        self.failure = Failure(kind, why)


@dataclass(frozen=True)
class FetchPlan:
    """A URL that may be fetched, as it was given, and the server it names."""

    url: str = field(repr=False)
    host: str
    port: int


def plan_fetch(url: str, config: MediaConfig) -> FetchPlan:
    """Read a URL and see whether its server is allowed; raises FetchError."""
    try:
        parsed = ImapUrl.parse(url)
    except ImapParseError as problem:
        raise FetchError(FailureKind.BAD_URL, str(problem)) from problem
    if not config.allows(parsed.host, parsed.effective_port):
        raise FetchError(FailureKind.HOST_REFUSED, f"content on {parsed.host} is not fetched by this server")
    return FetchPlan(url, parsed.host, parsed.effective_port)


def fetch_url(
    plan: FetchPlan, engine: ImapClient, identity: Identity | None, trace: str, fault: Fault | None = None
) -> Procedure:
    """Log in and fetch the part, decoded; raises FetchError. `engine` has greeted and knows the capabilities.

    The URL goes out octet for octet as it came: its token holds for nothing else (RFC 4467 section 5).
    """
    if engine.capabilities is None:
        yield commands.capability()
    yield from _log_in(engine, identity, trace, fault)
    if engine.capabilities is None:  # LS-2.8-9: what counts is what is offered after login
        yield commands.capability()
    if not engine.has("URLAUTH=BINARY") and not engine.has("URLFETCH=BINARY"):  # RFC 5524 section 6 misprints it
        raise FetchError(FailureKind.NO_BINARY, "the IMAP server has no URLAUTH=BINARY")
    url = fault.normalise(plan.url) if isinstance(fault, UrlNormalised) else plan.url
    done = yield commands.urlfetch(url, ("BODYPARTSTRUCTURE", "BINARY"))
    if not done.ok:
        raise FetchError(FailureKind.REFUSED, f"the IMAP server answered URLFETCH with {_result(done)}")
    answers = [one for response in done.untagged if isinstance(response, UrlFetch) for one in response.fetched]
    for fetched in answers:
        if fetched.url == url:
            return _part(fetched)
    raise FetchError(FailureKind.REFUSED, "the IMAP server's URLFETCH answer lacks the URL")


def _log_in(
    engine: ImapClient, identity: Identity | None, trace: str, fault: Fault | None
) -> Generator[Command, CommandDone, None]:
    if isinstance(fault, LoginInClear):
        done = yield commands.login(*((identity.user, identity.password) if identity else ("anonymous", trace)))
    elif identity is not None:  # LS-2.8-3
        if not engine.has("AUTH=PLAIN"):
            raise FetchError(FailureKind.LOGIN_REFUSED, "the IMAP server offers no AUTH=PLAIN")
        done = yield commands.authenticate_plain(identity.user, identity.password)
    else:  # LS-2.8-6
        if not engine.has("AUTH=ANONYMOUS"):
            raise FetchError(FailureKind.LOGIN_REFUSED, "the IMAP server offers no AUTH=ANONYMOUS")
        done = yield commands.authenticate_anonymous(trace)
    if not done.ok:
        raise FetchError(FailureKind.LOGIN_REFUSED, f"the IMAP server answered the login with {_result(done)}")


def _result(done: CommandDone) -> str:
    """Return the result and its code; not the text, in which a server may repeat the URL."""
    code = done.status.code_name
    return f"{done.status.result} [{code}]" if code else done.status.result


def _part(fetched: FetchedUrl) -> MediaPart:
    if fetched.refused:
        raise FetchError(FailureKind.NOT_FOUND, "the IMAP server gives nothing for this URL")
    if fetched.too_large:
        raise FetchError(FailureKind.TOO_LARGE, "the part is larger than this server fetches")
    if fetched.binary is None:
        if fetched.binary_came:
            raise FetchError(FailureKind.UNDECODABLE_ENCODING, "the IMAP server cannot undo the part's encoding")
        raise FetchError(FailureKind.REFUSED, "the IMAP server's URLFETCH answer lacks BINARY")
    structure = fetched.structure
    if structure is None:
        return MediaPart("application/octet-stream", {}, fetched.binary)
    return MediaPart(structure.content_type, {name.lower(): value for name, value in structure.params}, fetched.binary)
