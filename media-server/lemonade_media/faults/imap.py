"""The faults of the media server as an IMAP client: connection, login and URLFETCH."""

from __future__ import annotations

from collections.abc import Iterable

from lemonade_wire.faults import FaultRow

LOGIN_IN_CLEAR = FaultRow("login-in-clear", "uses LOGIN on an unencrypted connection", ("LS-2.8-4", "LS-2.8-6"))
NO_STARTTLS = FaultRow("no-starttls", "authenticates without STARTTLS", ("LS-2.8-2",))
CERTIFICATE_UNCHECKED = FaultRow("certificate-unchecked", "takes every certificate of an IMAP server", ("LS-2.8-2",))
CAPABILITIES_BEFORE_LOGIN = FaultRow(
    "capabilities-before-login", "goes by what an IMAP server lists before the login", ("LS-2.8-9",)
)
CONNECTION_PER_FETCH = FaultRow(
    "connection-per-fetch", "makes an IMAP connection for every fetch, though it is told to keep them", ("LS-2.8-14",)
)
NO_LOGOUT = FaultRow("no-logout", "closes IMAP connections without LOGOUT", ("LS-2.8-15",))
TRUSTS_EVERYBODY = FaultRow(
    "trusts-everybody", "fetches by its own account for callers that it does not trust", ("LS-3-9",)
)
IDENTITY_UNUSED = FaultRow("identity-unused", "logs in anonymously though it has an account", ("LS-2.8-3",))
ANOTHER_IMAP_SERVER = FaultRow(
    "another-imap-server",
    "fetches from another allowed IMAP server than the one that the URL names",
    ("LS-2.1-5", "LS-2.8-1"),
)
URL_NORMALISED = FaultRow("url-normalised", "writes the URL's keywords in lower case before it fetches", ("LS-2.8-8",))
STRUCTURE_NOT_ASKED = FaultRow(
    "structure-not-asked", "uses URLFETCH with BINARY and without BODYPARTSTRUCTURE", ("LS-2.8-10", "LS-2.1-11")
)
BINARY_NOT_CHECKED = FaultRow(
    "binary-not-checked", "uses URLFETCH BINARY though URLAUTH=BINARY is not offered", ("LS-2.8-9",)
)
VIDEO_REFUSED = FaultRow(
    "video-refused", "plays no part whose type is video, its sound neither", ("LS-2.6-4", "LS-2.7-10")
)
TAGS_ALIKE = FaultRow("tags-alike", "gives each command on an IMAP connection the same tag", ("RFC3501-2.2.1",))
DRAFT_FETCH = FaultRow(
    "draft-fetch",
    "uses LOGIN anonymous null, and blanks inside the parentheses of URLFETCH (E-30, E-31)",
    ("LS-2.8-6", "LS-2.8-7"),
)

IMAP_FAULTS = (
    LOGIN_IN_CLEAR,
    NO_STARTTLS,
    CERTIFICATE_UNCHECKED,
    CAPABILITIES_BEFORE_LOGIN,
    CONNECTION_PER_FETCH,
    NO_LOGOUT,
    TRUSTS_EVERYBODY,
    IDENTITY_UNUSED,
    ANOTHER_IMAP_SERVER,
    URL_NORMALISED,
    STRUCTURE_NOT_ASKED,
    BINARY_NOT_CHECKED,
    VIDEO_REFUSED,
    TAGS_ALIKE,
    DRAFT_FETCH,
)


def choose_another(named: str, allowed: Iterable[str]) -> str:
    """Return the first allowed host that is not the named one, for `ANOTHER_IMAP_SERVER`; `named` if there is none."""
    return next((host for host in allowed if host != named), named)
