from __future__ import annotations

import pytest

from lemonade_wire.imap import command


@pytest.mark.parametrize(
    ("one", "octets"),
    [
        (command.logout(), b"LOGOUT\r\n"),
        (command.examine("A B"), b'EXAMINE "A B"\r\n'),
        (command.create("x"), b'CREATE "x"\r\n'),
        (command.list_mailboxes(), b'LIST "" "*"\r\n'),
        (command.resetkey(), b"RESETKEY\r\n"),
        (command.resetkey("INBOX"), b'RESETKEY "INBOX"\r\n'),
        (command.setmetadata("/shared/x", b"v"), b'SETMETADATA "" ("/shared/x" "v")\r\n'),
        (command.setmetadata("/shared/x", None), b'SETMETADATA "" ("/shared/x" NIL)\r\n'),
        (command.urlfetch("imap://h/a%20b/;UID=1"), b'URLFETCH "imap://h/a%20b/;UID=1"\r\n'),
        (command.raw("uid fetch 1 (FLAGS)"), b"uid fetch 1 (FLAGS)\r\n"),
    ],
)
def test_commands_on_the_wire(one: command.Command, octets: bytes) -> None:
    assert one.line.octets() == octets


def test_raw_commands_have_a_name_and_no_line_break() -> None:
    assert command.raw("uid fetch 1 FLAGS").name == "UID FETCH"
    assert command.raw("Noop").name == "NOOP"
    with pytest.raises(ValueError, match="one line"):
        command.raw("NOOP\r\nLOGOUT")


def test_a_command_does_not_show_its_secrets() -> None:
    assert "secret" not in repr(command.login("joe", "secret"))
    assert "secret" not in repr(command.authenticate_plain("joe", "secret"))


def test_sasl_messages_on_the_wire() -> None:
    assert command.sasl_line(b"\0joe\0secret") == b"AGpvZQBzZWNyZXQ="
    assert command.sasl_line(b"") == b""
    assert command.sasl_line(b"", initial=True) == b"="
