from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.imap.shown_command import shown_command
from lemonade_wire.testing.spellings import LOGIN_SPELLINGS, PASSWORD, shown_forms


@pytest.mark.parametrize("line", LOGIN_SPELLINGS)
def test_no_spelling_of_a_login_shows_its_password(line: str) -> None:
    assert shown_forms(shown_command(line).encode(), PASSWORD) == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a LOGIN joe x", "a LOGIN joe ***"),
        ('a login "jo\\"e x" y', 'a login "jo\\"e x" ***'),
        ("a LOGIN {3} {6}", "a LOGIN {3} ***"),
        ("a LOGIN x", "a LOGIN ***"),
        ("a LOGIN", "a LOGIN ***"),
        ("a AUTHENTICATE PLAIN", "a AUTHENTICATE PLAIN"),
        ("a AUTHENTICATE", "a AUTHENTICATE"),
        ("a authenticate scram-sha-256 AAAA", "a authenticate scram-sha-256 ***"),
        ("a AUTHENTICATE PLAINX", "a AUTHENTICATE ***"),
        ("a NOOP\rb LOGIN joe x", "***"),
        ("a NOOP \rb LOGIN joe x", "a NOOP ***"),
        ("a\tNOOP", "***"),
        ("hello", "***"),
    ],
)
def test_what_may_be_a_secret_is_replaced(line: str, shown: str) -> None:
    assert shown_command(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        "",
        "DONE",
        "a1 NOOP",
        "a UID FETCH 1:* (FLAGS)",
        'a GENURLAUTH "imap://h/a;URLAUTH=anonymous" INTERNAL',
        "a URLFETCH {70}",
        "a APPEND INBOX (\\Seen) {5+}",
        'a LOGIN "anonymous" "postmaster@example.net"',
    ],
)
def test_other_commands_are_shown(line: str) -> None:
    assert shown_command(line) == line


@given(st.text(alphabet='a LOGINX"\\{}3\r\n\t', max_size=60))
def test_a_line_of_any_form_is_shown_or_not(line: str) -> None:
    shown = shown_command(line)
    assert shown == line or "***" in shown
