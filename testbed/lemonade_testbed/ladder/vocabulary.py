"""The words that the labels of a ladder are made of: closed lists, so that a typing error is found at once."""

from __future__ import annotations

from difflib import get_close_matches


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SIP_METHODS = _words(
    """
    INVITE ACK BYE CANCEL OPTIONS INFO UPDATE PRACK SUBSCRIBE NOTIFY REFER MESSAGE REGISTER PUBLISH
    """
)
INFO_KINDS = _words(
    """
    playcollect play playrecord configure_leg configure_conference managecontent faxplay faxrecord stop
    response keypress dtmf-relay dtmf encrypted other
    """
)
TAGGED = frozenset({"OK", "NO", "BAD"})
IGNORED_COMMANDS = _words(
    """
    LOGIN AUTHENTICATE CAPABILITY STARTTLS ENABLE ID NAMESPACE LIST STATUS SELECT EXAMINE SEARCH NOOP
    UNSELECT CLOSE LOGOUT
    """
)
"""Commands that are left out of a ladder that does not name them, with their replies (and the greeting)."""
IMAP_COMMANDS = IGNORED_COMMANDS | _words(
    """
    FETCH GENURLAUTH URLFETCH RESETKEY GETMETADATA SETMETADATA GETANNOTATION SETANNOTATION APPEND STORE
    COPY MOVE EXPUNGE IDLE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LSUB CHECK SETACL GETACL MYRIGHTS
    LISTRIGHTS DELETEACL
    """
)


def nearest(word: str, allowed: frozenset[str] | tuple[str, ...]) -> str:
    """Return what to say behind an unknown word: the nearest allowed one, or all."""
    near = get_close_matches(word, sorted(allowed), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"
