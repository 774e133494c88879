from __future__ import annotations

from pathlib import Path

from lemonade_testbed.differential.odd import OF_ALL, odd_section
from lemonade_testbed.differential.script import line_of
from lemonade_wire.imap.framing import Literal

TABLE = r"""About it.

=== first of all
Subject: x\c
--- ENVELOPE
ENVELOPE (...)
--- SEARCH CHARSET UTF-8 SUBJECT "gr\xC3\xBC"
1

=== second
Subject: unix\n\nbody\xFC\n
"""


def test_every_message_has_its_mailbox_and_its_questions(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    path.write_text(TABLE)
    section = odd_section(path)
    assert section.messages == {"odd 1": b"Subject: x", "odd 2": b"Subject: unix\n\nbody\xfc\n"}
    texts = [one.text for one in section.steps]
    assert texts[:4] == ["CREATE odd1", "APPEND odd1 {odd 1}", "EXAMINE odd1", "FETCH 1 (ENVELOPE)"]
    assert len(texts) == 2 * (3 + len(OF_ALL)) + 1
    search = next(text for text in texts if text.startswith("SEARCH"))
    assert line_of(search, section.messages).parts == (
        b"SEARCH CHARSET UTF-8 SUBJECT ",
        Literal.of("grü".encode()),
        b"",
    )
    assert section.steps[3].at == "first of all, 1: FETCH 1 (ENVELOPE)"
