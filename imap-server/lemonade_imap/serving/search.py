"""Carries out SEARCH and writes SEARCH or ESEARCH responses (RFC 3501, 6.4.4; RFC 4731, 3.1; RFC 7162, 3.1.5).

A sequence number that no message has matches nothing. This deviates from the "should" of RFC 3501, 9 (seq-number),
which FETCH, STORE and COPY follow: clients search for `1:*` in mailboxes that may be empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.sequence import write_set
from lemonade_imap.reply import ReplyBatch
from lemonade_imap.serving.backend import Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.serving.matching import Found, MessageSearch
from lemonade_imap.serving.selecting import enable_condstore

_CHARSETS = "US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R ISO-2022-JP SHIFT_JIS EUC-KR GB18030 BIG5"


async def _search(context: Context, command: c.Search) -> Replies:
    view = context.view
    if command.charset is not None:
        # The list has the most usual charsets; the server accepts every charset that Python knows.
        raise Refused("NO", f"[BADCHARSET ({_CHARSETS})] this charset is not known")
    search = MessageSearch(context.backend.store, view, command.key, view.recent)
    with_modseq = command.key.has("MODSEQ")
    if with_modseq:
        yield ReplyBatch(enable_condstore(context))
    found: list[Found] = []
    while (some := await context.backend.runner.call_in_turn(context.user, search.next_batch)) is not None:
        found += some
    shown = [one.uid if command.by_uid else one.number for one in found]
    if command.results is not None:
        told = _results(found, shown, command.results, with_modseq=with_modseq)
        # A tag contains no character that must be escaped in a quoted string.
        yield line(" ".join([f'* ESEARCH (TAG "{context.tag}")', *["UID"] * command.by_uid, *told]))
        return
    highest = [f"(MODSEQ {max(one.modseq for one in found)})"] if with_modseq and found else []
    yield line(" ".join(["* SEARCH", *map(str, shown), *highest]))


def _results(found: Sequence[Found], shown: Sequence[int], wanted: Sequence[str], *, with_modseq: bool) -> list[str]:
    """Return the items of ESEARCH that RETURN asks for; without a match only COUNT is sent (RFC 4731, 3.1)."""
    told: list[str] = []
    if shown:
        told += [f"MIN {shown[0]}"] if "MIN" in wanted else []
        told += [f"MAX {shown[-1]}"] if "MAX" in wanted else []
        told += [f"ALL {write_set(shown)}"] if "ALL" in wanted else []
    told += [f"COUNT {len(shown)}"] if "COUNT" in wanted else []
    if with_modseq and found:
        # RFC 4731, 3.2: if RETURN asks only for MIN and MAX, the mod-sequence is that of these messages.
        ends = {"MIN": found[0], "MAX": found[-1]}
        named = [ends[word] for word in wanted] if ends.keys() >= set(wanted) else found
        told.append(f"MODSEQ {max(one.modseq for one in named)}")
    return told


HANDLERS: Handlers = {c.Search: _search}
