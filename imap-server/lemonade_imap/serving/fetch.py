"""Carries out FETCH (RFC 3501, 6.4.5; RFC 3516, 4.2; RFC 7162, 3.1.4).

It takes the cheapest source that has all items: the mailbox's cache, the summaries of the store, or the messages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Reply, ReplyBatch
from lemonade_imap.selected_mailbox import SelectedMailbox, flag_list
from lemonade_imap.serving.backend import Done, Refused
from lemonade_imap.serving.cache_refresh import current
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.fetch_response import FetchRequest, FetchResponseWriter, marks_seen, summary_item
from lemonade_imap.serving.mailbox_cache import MailboxCache
from lemonade_imap.serving.selecting import chosen, enable_condstore
from lemonade_imap.store.base import Summary
from lemonade_wire.imap.section import FetchItem

_SPARSE = 8
"""If FETCH asks for at most one in _SPARSE messages, they are read one by one instead of listing the whole mailbox."""


async def fetch(context: Context, command: c.Fetch) -> Replies:
    """Yield a FETCH response for each requested message that exists; raises Refused."""
    backend, view = context.backend, context.view
    uids = chosen(view, command.messages, by_uid=command.by_uid)
    if command.changed_since is not None or any(item.name == "MODSEQ" for item in command.items):
        yield ReplyBatch(enable_condstore(context))
    request = _fetch_request(context, command)
    if command.changed_since is None and request.is_cached:
        cache = await current(backend, view.mailbox)
        rows = _cached_responses(view, cache, uids, request)
        yield ReplyBatch(rows)
        yield _done(command, gone=len(rows) < len(uids))
        return
    listed: dict[int, Summary] | None = None
    gone = False
    if command.changed_since is not None or (request.is_summary and len(uids) * _SPARSE > len(view.uids)):
        summaries = await backend.call(backend.store.summaries, view.mailbox, command.changed_since or 0)
        listed = {summary.uid: summary for summary in summaries}
        there = [uid for uid in uids if uid in listed]
        # With CHANGEDSINCE a message may be missing in the list because it has not changed.
        gone = command.changed_since is None and len(there) < len(uids)
        uids = there
    if listed is not None and request.is_summary:
        yield ReplyBatch([_summary(view, listed[uid], request) for uid in uids])
    else:
        numbered = [(view.number(uid), uid) for uid in uids]
        lines = FetchResponseWriter(backend.store, view.mailbox, numbered, request, backend.behaviour)
        async for reply in _written(context, lines):
            yield reply
        gone = gone or lines.gone
    yield _done(command, gone=gone)


def _done(command: c.Fetch, *, gone: bool) -> Done:
    """Return the result of the command.

    Raises Refused if messages were expunged and the client, which used sequence numbers, was not yet informed of it
    (RFC 2180, 4.1.2).
    """
    if gone and not command.by_uid:
        raise Refused("NO", "[EXPUNGEISSUED] some of the messages were expunged")
    return Done(f"{'UID ' * command.by_uid}FETCH completed")


def _cached_responses(
    view: SelectedMailbox, cache: MailboxCache, uids: list[int], request: FetchRequest
) -> list[bytes]:
    """Return the responses from the cache; items are written column by column.

    This is fast for the flags of all messages of a mailbox, which mail programs ask for at once.
    """
    all_messages = uids == cache.uids
    places = range(len(uids)) if all_messages else [at for uid in uids if (at := cache.find(uid)) is not None]
    there = uids if all_messages else [cache.uids[at] for at in places]
    numbers = range(1, len(there) + 1) if there == view.uids else map(view.number, there)
    columns: dict[str, tuple[bytes, Callable[[], Iterable[int | bytes]]]] = {
        "UID": (b"UID %d", lambda: there),
        "FLAGS": (
            b"FLAGS %s",
            lambda: (flag_list(uid, cache.flags[at], request.recent) for at, uid in zip(places, there, strict=True)),
        ),
        "MODSEQ": (b"MODSEQ (%d)", lambda: (cache.modseqs[at] for at in places)),
    }
    wanted = [columns[item.name] for item in request.items]
    template = b"* %%d FETCH (%s)" % b" ".join(form for form, _ in wanted)
    return [template % row for row in zip(numbers, *(column() for _, column in wanted), strict=True)]


def _summary(view: SelectedMailbox, message: Summary, request: FetchRequest) -> bytes:
    items = (summary_item(message, item.name, request.recent) for item in request.items)
    return b"* %d FETCH (%s)" % (view.number(message.uid), b" ".join(items))


def _fetch_request(context: Context, command: c.Fetch) -> FetchRequest:
    names = {item.name for item in command.items}
    # RFC 7162, 3.1.4.1: CHANGEDSINCE asks for MODSEQ too
    tells_uid = command.by_uid and context.backend.behaviour.tells_uid()
    added = ["UID"] * tells_uid + ["MODSEQ"] * (command.changed_since is not None)
    items = (*(FetchItem(name) for name in added if name not in names), *command.items)
    marks = not context.view.read_only and any(marks_seen(item) for item in items)
    return FetchRequest(items, marks, context.view.modseqs, context.view.recent)


async def _written(context: Context, lines: FetchResponseWriter) -> AsyncIterator[Reply]:
    """Yield responses that need part indexes or octets; raises Refused at the end if BINARY could not be decoded."""
    backend, view = context.backend, context.view
    try:
        while some := await backend.call(lines.next_batch):
            for reply in some:
                yield reply
    finally:
        if lines.marked:
            backend.change_notifier.changed(view.mailbox.ident)
            view.knows(lines.marked)
    for uid in lines.irregular:
        backend.log(f"FETCH BINARY: message {uid}: base64 is decoded that is not to the letter (RFC 2045, 6.8)")
    if lines.beyond_limit:
        raise Refused("NO", f"[LIMIT] {lines.beyond_limit}")
    if lines.undecoded:
        # RFC 3516, 4.3: the other items and messages are answered nevertheless.
        raise Refused("NO", "[UNKNOWN-CTE] the transfer encoding of a part cannot be decoded")


HANDLERS: Handlers = {c.Fetch: fetch}
