"""What traces and reports may show of a client's IMAP line: no password, and nothing of a line that is no command.

command       = tag SP command-name [SP arguments]     the name may be UID SP command-name (RFC 3501, section 9)
login         = "LOGIN" SP userid SP password
authenticate  = "AUTHENTICATE" SP auth-type [SP initial-response]     RFC 4959, section 3
"""

from __future__ import annotations

import re

from lemonade_wire.redaction import STARS

_RFC_3501 = """
    CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST
    LSUB STATUS APPEND CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY NAMESPACE ENABLE IDLE UNSELECT MOVE
"""
"""RFC 3501, and what RFC 9051 adds."""
_EXTENSIONS = """
    SETQUOTA GETQUOTA GETQUOTAROOT ID SETACL DELETEACL GETACL LISTRIGHTS MYRIGHTS RESETKEY GENURLAUTH URLFETCH COMPRESS
    SORT THREAD LANGUAGE COMPARATOR GETANNOTATION SETANNOTATION CONVERT CANCELUPDATE GETMETADATA SETMETADATA NOTIFY
    UNAUTHENTICATE ESEARCH REPLACE UIDBATCHES
"""
"""RFC 2087, 2971, 4314, 4467, 4978, 5255, 5256, 5257, 5259, 5267, 5464, 5465, 7377, 8437, 8508 and 9586."""
_COMMANDS = frozenset((_RFC_3501 + _EXTENSIONS).split())
"""The names of commands whose arguments are shown, apart from LOGIN and AUTHENTICATE."""
_MECHANISM = re.compile(
    r"(?:PLAIN|LOGIN|ANONYMOUS|EXTERNAL|GSSAPI|CRAM-MD5|DIGEST-MD5|NTLM|OTP|OAUTHBEARER|XOAUTH2"
    r"|SCRAM-SHA-(?:1|256|512)(?:-PLUS)?)(?=\Z| )",
    re.IGNORECASE,
)
"""The name of a SASL mechanism; any other word could be a message of SASL."""
_COMMAND = re.compile(
    r'(?P<head>[^\s+*(){%"\\]+ +(?:UID +)?(?P<name>[A-Z]+))(?: +(?P<rest>.*))?', re.IGNORECASE | re.DOTALL
)
_ANONYMOUS = re.compile(r"(?:anonymous|\"anonymous\") ", re.IGNORECASE)
_NAME = re.compile(r'("(?:[^"\\]|\\["\\])*"|[^\s"(){]+|\{[0-9]+[+-]?\}) ')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shown_command(text: str) -> str:
    """Return the text of a client's line with `***` instead of what may be a secret; `text` itself if nothing is.

    Shown are the commands that IMAP has, without the password of LOGIN and the initial response of AUTHENTICATE; and
    DONE. Any other line may be a misspelt LOGIN, or an answer to a challenge of SASL. The password of the user
    `anonymous` is shown, because it is a mail address and no secret (RFC 5092, section 3.2).
    """
    if not text or text.upper() == "DONE":
        return text
    command = _COMMAND.fullmatch(text)
    if command is None or command["name"].upper() not in _COMMANDS:
        return STARS
    head, rest = command["head"], command["rest"] or ""
    if _CONTROL.search(text):  # a bare CR may have another command behind it
        return STARS if _CONTROL.search(head) else f"{head} {STARS}"
    match command["name"].upper():
        case "LOGIN":
            name = _NAME.match(rest)
            if _ANONYMOUS.match(rest):
                return text
            return f"{head} {name[1]} {STARS}" if name else f"{head} {STARS}"
        case "AUTHENTICATE":
            mechanism = _MECHANISM.match(rest)
            if mechanism is None:
                return f"{head} {STARS}" if rest else head
            return f"{head} {mechanism[0]} {STARS}" if rest[mechanism.end() :].strip() else f"{head} {mechanism[0]}"
    return text
