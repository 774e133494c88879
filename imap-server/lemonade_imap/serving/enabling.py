"""ENABLE (RFC 5161), and what enables CONDSTORE (RFC 7162, 3.1)."""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Batch
from lemonade_imap.serving.context import Context, Handlers, Replies, line

CONDSTORE = "CONDSTORE"
ENABLED_BY_NAME = frozenset({CONDSTORE, "METADATA", "METADATA-SERVER"})
"""What ENABLE knows; an extension that answers unasked adds its name, and looks into the session's `enabled`."""


async def _enable(context: Context, command: c.Enable) -> Replies:
    session = context.session
    new = [name for name in dict.fromkeys(command.names) if name in ENABLED_BY_NAME - session.enabled]
    if CONDSTORE in new:
        yield Batch(enable_condstore(context))
    session.enabled |= set(new)
    yield line(" ".join(["* ENABLED", *new]))


def enable_condstore(context: Context) -> list[bytes]:
    """Note that the client knows mod-sequences, and return what it is told of the selected mailbox the first time."""
    session, view = context.session, context.session.view
    if CONDSTORE in session.enabled:
        return []
    session.enabled.add(CONDSTORE)
    if view is None:
        return []
    view.modseqs = True
    return [b"* OK [HIGHESTMODSEQ %d] mod-sequences are told" % view.highest_modseq]


HANDLERS: Handlers = {c.Enable: _enable}
