from __future__ import annotations

from lemonade_imap.reply import Body, Reply
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine


def test_a_line_of_pieces_is_one_text_around_its_literals() -> None:
    reply = Reply.of(b"* 1 FETCH (", b"BODY[] ", ImapLiteral.of(b"ab"), b" UID 1", b")")
    assert reply.line == LogicalLine((b"* 1 FETCH (BODY[] ", ImapLiteral.of(b"ab"), b" UID 1)"))
    assert reply.text == b"* 1 FETCH (BODY[] {2} UID 1)"
    assert Reply.join([b"a", b"b"]) == Reply.of(b"a", b"b")


def test_a_reply_with_an_unread_body_has_no_line() -> None:
    body = Body(7, iter([b"content"]), binary=True)
    reply = Reply.of(b"* URLFETCH x ", body)
    assert reply.line is None
    assert reply.text == b"* URLFETCH x ~{7}"
    assert Body(7, iter([])).mark == b"{7}"
    # its octets are not in the representation
    assert "content" not in repr(reply)
