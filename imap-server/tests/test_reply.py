from __future__ import annotations

from lemonade_imap.reply import Body, Reply
from lemonade_wire.imap.framing import Literal, LogicalLine


def test_a_line_of_pieces_is_one_text_around_its_literals() -> None:
    reply = Reply.of(b"* 1 FETCH (", b"BODY[] ", Literal.of(b"ab"), b" UID 1", b")")
    assert reply.line == LogicalLine((b"* 1 FETCH (BODY[] ", Literal.of(b"ab"), b" UID 1)"))
    assert reply.text == b"* 1 FETCH (BODY[] {2} UID 1)"
    assert Reply.join([b"a", b"b"]) == Reply.of(b"a", b"b")


def test_a_body_that_is_still_to_be_read_makes_no_line() -> None:
    body = Body(7, iter([b"content"]), binary=True)
    reply = Reply.of(b"* URLFETCH x ", body)
    assert reply.line is None
    assert reply.text == b"* URLFETCH x ~{7}"
    assert Body(7, iter([])).mark == b"{7}"
    # what it holds shows nowhere
    assert "content" not in repr(reply)
