"""Faults in a session's capabilities, logins and tagged responses, and secrets in the server's log."""

from __future__ import annotations

import base64
from collections.abc import Callable

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.faults.kinds import DecisionFault, LineFault, always, without
from lemonade_wire.faults import Fault


def _refusing(refused: str) -> Callable[[str], bool]:
    return lambda command: command == refused


def _with_token(spell: Callable[[str], str]) -> Callable[[str, str], str]:
    """Return a decision that logs the token of an authorised URL, written as `spell` returns it."""
    return lambda rump, authorised: f"authorised {rump} by {spell(authorised.rpartition(':')[2])}"


SESSION_FAULTS: tuple[Fault, ...] = (
    DecisionFault(
        "capability-without-binary",
        "CAPABILITY does not list URLAUTH=BINARY",
        ("LS-2.1-10",),
        ImapBehaviour.capabilities,
        without("URLAUTH=BINARY"),
    ),
    DecisionFault(
        "capability-without-anonymous",
        "CAPABILITY does not list AUTH=ANONYMOUS",
        ("LS-2.1-10",),
        ImapBehaviour.capabilities,
        without("AUTH=ANONYMOUS"),
    ),
    DecisionFault(
        "anonymous-without-binary",
        "CAPABILITY does not list URLAUTH=BINARY in anonymous sessions",
        ("LS-2.1-10",),
        ImapBehaviour.capabilities,
        lambda names: without("URLAUTH=BINARY")(names) if "METADATA-SERVER" in names else names,
    ),
    DecisionFault(
        "anonymous-login-refused",
        "AUTHENTICATE ANONYMOUS is answered NO though CAPABILITY lists it",
        ("RFC3501-6.1.1",),
        ImapBehaviour.accepts_anonymous,
        always(False),
    ),
    DecisionFault(
        "starttls-refused",
        "STARTTLS is answered NO though CAPABILITY lists it",
        ("RFC3501-6.2.1",),
        ImapBehaviour.refuses,
        _refusing("STARTTLS"),
    ),
    DecisionFault("fetch-refused", "FETCH is answered NO", ("LS-2.1-1",), ImapBehaviour.refuses, _refusing("FETCH")),
    DecisionFault(
        "urlfetch-refused",
        "URLFETCH is answered NO, whatever is asked for",
        ("LS-2.8-11",),
        ImapBehaviour.refuses,
        _refusing("URLFETCH"),
    ),
    DecisionFault(
        "resetkey-refused",
        "RESETKEY is answered NO",
        ("RFC4467-7-3", "RFC4467-7-4"),
        ImapBehaviour.refuses,
        _refusing("RESETKEY"),
    ),
    LineFault(
        "search-unmarked",
        "writes the response to SEARCH without the asterisk of an untagged response",
        ("RFC3501-7",),
        "SEARCH",
        rb"^\* SEARCH",
        rb"SEARCH",
    ),
    DecisionFault(
        "uid-not-told",
        "leaves UID out of the responses to UID FETCH",
        ("RFC3501-6.4.8",),
        ImapBehaviour.tells_uid,
        always(False),
    ),
    DecisionFault(
        "noop-answered-twice",
        "NOOP gets two tagged responses",
        ("RFC3501-2.2.2",),
        ImapBehaviour.count_results,
        lambda command: 2 if command == "NOOP" else 1,
    ),
    LineFault(
        "logout-without-bye", "LOGOUT is answered without BYE", ("RFC3501-6.1.3",), "LOGOUT", rb"^\* BYE", rb"* OK"
    ),
    DecisionFault(
        "ticket-in-log-bare",
        "the log tells the token of every ticket without :INTERNAL: before it",
        ("LS-3-11",),
        ImapBehaviour.authorised_line,
        _with_token(str),
    ),
    DecisionFault(
        "ticket-in-log-base64",
        "the log tells the token of every ticket in base64",
        ("LS-3-11",),
        ImapBehaviour.authorised_line,
        _with_token(lambda token: base64.b64encode(token.encode("ascii")).decode("ascii")),
    ),
    DecisionFault(
        "ticket-in-log-percent-encoded",
        "the log tells the token of every ticket percent-encoded, in upper case",
        ("LS-3-11",),
        ImapBehaviour.authorised_line,
        _with_token(lambda token: "".join(f"%{octet:02X}" for octet in token.upper().encode("ascii"))),
    ),
    DecisionFault(
        "ticket-in-log-folded",
        "the log breaks the line in the middle of the token of every ticket",
        ("LS-3-11",),
        ImapBehaviour.authorised_line,
        _with_token(lambda token: f"{token[:30]}\\r\\n {token[30:]}"),
    ),
    DecisionFault(
        "password-in-log",
        "the log tells the password of every login that shows one, as the octets of a sentence",
        ("LS-3-11",),
        ImapBehaviour.logged_mechanism,
        # As it is, the log would hide it: the server knows the passwords of its options.
        lambda way, password: f"{way} {list(f'with the password {password}'.encode())}",
    ),
)
