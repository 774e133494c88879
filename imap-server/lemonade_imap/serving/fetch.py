"""FETCH carried out (RFC 3501, 6.4.5; RFC 3516, 4.2; RFC 7162, 3.1.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.enabling import enable_condstore
from lemonade_imap.serving.lines import Lines, Wish, marks_seen, summary_item
from lemonade_imap.serving.mirror import Mirror
from lemonade_imap.serving.selection import chosen
from lemonade_imap.serving.visiting import current
from lemonade_imap.store.base import Summary
from lemonade_imap.view import View, flag_list
from lemonade_wire.imap.section import FetchItem

_SPARSE = 8
"""One of how many messages at most may be asked for that they are looked up one by one, and not all listed."""


async def fetch(context: Context, command: c.Fetch) -> Replies:
    """Answer one line for every message that is there."""
    backend, view = context.backend, context.view
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    if command.changed_since is not None or any(item.name == "MODSEQ" for item in command.items):
        yield Batch(enable_condstore(context))
    wish = _wish(context, command)
    if command.changed_since is None and wish.is_remembered:
        mirror = await current(backend, view.mailbox)
        rows = _remembered(view, mirror, uids, wish)
        yield Batch(rows)
        yield _done(command, gone=len(rows) < len(uids))
        return
    listed: dict[int, Summary] | None = None
    gone = False
    if command.changed_since is not None or (wish.is_summary and len(uids) * _SPARSE > len(view.uids)):
        summaries = await backend.call(backend.store.summaries, view.mailbox, command.changed_since or 0)
        listed = {summary.uid: summary for summary in summaries}
        there = [uid for uid in uids if uid in listed]
        # where changes are asked for, who is not listed may just not have changed
        gone = command.changed_since is None and len(there) < len(uids)
        uids = there
    if listed is not None and wish.is_summary:
        yield Batch([_summary(view, listed[uid], wish) for uid in uids])
    else:
        numbered = [(view.number(uid), uid) for uid in uids]
        lines = Lines(backend.store, view.mailbox, numbered, wish, backend.behaviour)
        async for reply in _written(context, lines):
            yield reply
        gone = gone or lines.gone
    yield _done(command, gone=gone)


def _done(command: c.Fetch, *, gone: bool) -> Done:
    """Return the answer; raises Refused where messages are gone whose client was not told yet (RFC 2180, 4.1.2)."""
    if gone and not command.by_uid:
        raise Refused("NO", "[EXPUNGEISSUED] some of the messages are there no more")
    return Done(f"{'UID ' * command.by_uid}FETCH completed")


def _remembered(view: View, mirror: Mirror, uids: list[int], wish: Wish) -> list[bytes]:
    """Write lines column by column: mail programs ask for the flags of all messages at once."""
    everyone = uids == mirror.uids
    places = range(len(uids)) if everyone else [at for uid in uids if (at := mirror.find(uid)) is not None]
    there = uids if everyone else [mirror.uids[at] for at in places]
    numbers = range(1, len(there) + 1) if there == view.uids else map(view.number, there)
    columns: dict[str, tuple[bytes, Callable[[], Iterable[int | bytes]]]] = {
        "UID": (b"UID %d", lambda: there),
        "FLAGS": (
            b"FLAGS %s",
            lambda: (flag_list(uid, mirror.flags[at], wish.recent) for at, uid in zip(places, there, strict=True)),
        ),
        "MODSEQ": (b"MODSEQ (%d)", lambda: (mirror.modseqs[at] for at in places)),
    }
    wanted = [columns[item.name] for item in wish.items]
    template = b"* %%d FETCH (%s)" % b" ".join(form for form, _ in wanted)
    return [template % row for row in zip(numbers, *(column() for _, column in wanted), strict=True)]


def _summary(view: View, message: Summary, wish: Wish) -> bytes:
    items = (summary_item(message, item.name, wish.recent) for item in wish.items)
    return b"* %d FETCH (%s)" % (view.number(message.uid), b" ".join(items))


def _wish(context: Context, command: c.Fetch) -> Wish:
    names = {item.name for item in command.items}
    # RFC 7162, 3.1.4.1: CHANGEDSINCE asks for MODSEQ too
    added = ["UID"] * command.by_uid + ["MODSEQ"] * (command.changed_since is not None)
    items = (*(FetchItem(name) for name in added if name not in names), *command.items)
    marks = not context.view.read_only and any(marks_seen(item) for item in items)
    return Wish(items, marks, context.view.modseqs, context.view.recent)


async def _written(context: Context, lines: Lines) -> AsyncIterator[Reply]:
    """Yield the lines of messages whose indexes or octets are wanted; raises Refused at the end for BINARY's sake."""
    backend, view = context.backend, context.view
    try:
        while some := await backend.call(lines.some):
            for reply in some:
                yield reply
    finally:
        if lines.marked:
            backend.hub.changed(view.mailbox.ident)
            view.knows(lines.marked)
    if lines.undecoded:
        # RFC 3516, 4.3: the other items and messages are answered all the same
        raise Refused("NO", "[UNKNOWN-CTE] the transfer encoding of a part does not come off")


HANDLERS: Handlers = {c.Fetch: fetch}
