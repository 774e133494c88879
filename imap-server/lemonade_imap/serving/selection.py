"""Which messages a command means (RFC 3501, 2.3.1 and 9)."""

from __future__ import annotations

from lemonade_imap.grammar.sequence import SequenceSet
from lemonade_imap.serving.backend import Refused
from lemonade_imap.view import View


def chosen(view: View, messages: SequenceSet, *, by_uid: bool) -> list[int]:
    """Return the UIDs of messages named by UID or sequence number, ascending.

    A UID that no message has is passed over (RFC 3501, 6.4.8); for such a sequence number Refused is raised (9,
    seq-number: BAD).
    """
    if by_uid:
        return messages.pick(view.uids)
    if messages.exceeds(len(view.uids)):
        raise Refused("BAD", "no message has this sequence number")
    return [view.uids[number - 1] for number in messages.pick(range(1, len(view.uids) + 1))]
