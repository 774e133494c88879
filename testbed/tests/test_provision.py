from __future__ import annotations

import io
import json
import socket
import threading
from pathlib import Path

import pytest

from lemonade_testbed.errors import ContractBroken, LoginRefused
from lemonade_testbed.runtime.provision import append, change_key
from lemonade_testbed.scenario.world import HostAddress, Setup, World
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

MESSAGE = b"Subject: hello\n\nbody\r\n"
STORED = b"Subject: hello\r\n\r\nbody\r\n"


class Talk:
    """A server with a script of pairs: what it sends, and what it must receive after that."""

    def __init__(self, *script: tuple[bytes, bytes]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.script = script
        self.seen: list[bytes] = []
        self.peer = ""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        connection, (self.peer, _) = self.listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for say, expect in self.script:
                stream.write(say)
                stream.flush()
                self.seen.append(stream.read(len(expect)))

    def world(self, folder: Path) -> World:
        port = self.listener.getsockname()[1]
        places = {
            "imap": HostAddress("127.0.0.1", port, "imap.example.com"),
            "testbed": HostAddress("127.0.0.4", 0, "testbed"),
        }
        return World(Setup(folder, {"joe": "secret"}, salt="00"), places)


def fill(talk: Talk, folder: Path, mailbox: str = "INBOX") -> list[dict[str, object]]:
    sink = io.StringIO()
    try:
        append(talk.world(folder), Trace("testbed", sink, Redactor("00")), ("joe", "secret"), mailbox, MESSAGE)
    finally:
        talk.thread.join(10)
        talk.listener.close()
        assert talk.seen == [expect for _, expect in talk.script][: len(talk.seen)]
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_by_login_with_the_message_as_a_literal_and_no_password_traced(tmp_path: Path) -> None:
    talk = Talk(
        (b"* OK hello\r\n", b"t1 CAPABILITY\r\n"),
        (b"* CAPABILITY IMAP4rev1\r\nt1 OK done\r\n", b't2 LOGIN "joe" "secret"\r\n'),
        (b"t2 OK in\r\n", b't3 APPEND "INBOX" {%d}\r\n' % len(STORED)),
        (b"+ go on\r\n", STORED + b"\r\n"),
        (b"t3 OK stored\r\n", b"t4 LOGOUT\r\n"),
        (b"* BYE then\r\nt4 OK bye\r\n", b""),
    )
    events = fill(talk, tmp_path)
    assert talk.peer == "127.0.0.4"
    assert "secret" not in json.dumps(events)
    texts = [str(event["text"]) for event in events if event["way"] == "sent"]
    assert texts[0] == "t1 CAPABILITY"
    assert texts[2] == f't3 APPEND "INBOX" {{{len(STORED)}}}'


def test_by_plain_where_the_server_shows_it_and_into_a_mailbox_that_is_made(tmp_path: Path) -> None:
    announce = b't%d APPEND "my box" {%d}\r\n'
    talk = Talk(
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n", b"t1 AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n"),
        (b"t1 OK in\r\n", announce % (2, len(STORED))),
        (b"+ go on\r\n", STORED + b"\r\n"),
        (b"t2 NO [TRYCREATE] no such box\r\n", b't3 CREATE "my box"\r\n'),
        (b"t3 OK made\r\n", announce % (4, len(STORED))),
        (b"+ go on\r\n", STORED + b"\r\n"),
        (b"t4 OK stored\r\n", b"t5 LOGOUT\r\n"),
        (b"* BYE then\r\nt5 OK bye\r\n", b""),
    )
    fill(talk, tmp_path, "my box")
    assert len(talk.seen) == 8


IN = (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", b"t1 AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n")
ANNOUNCED = (b"t1 OK in\r\n", b't2 APPEND "INBOX" {%d}\r\n' % len(STORED))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([(b"* BYE full\r\n", b"")], "imap: greeted with BYE full"),
        ([(b"* OK hi\r\n", b"t1 CAPABILITY\r\n"), (b"(((\r\n", b"")], "imap: broke the grammar"),
        ([IN, (b"t1 NO wrong password\r\n", b"")], "imap: answered AUTHENTICATE with NO wrong password"),
        ([IN, ANNOUNCED, (b"t2 NO [OVERQUOTA] full\r\n", b"")], "imap: refused the message: NO full"),
        ([IN, (b"* BYE shutting down\r\n", b"")], "imap: said BYE shutting down"),
        ([], "imap: closed the connection before its greeting"),
        ([IN], "imap: closed the connection before the answer to AUTHENTICATE"),
    ],
)
def test_a_server_that_refuses_is_named_with_its_answer(
    tmp_path: Path, script: list[tuple[bytes, bytes]], why: str
) -> None:
    with pytest.raises(ContractBroken) as caught:
        fill(Talk(*script), tmp_path)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(("answer", "refused"), [(b"NO wrong", True), (b"BAD what", False)])
def test_only_no_is_a_refused_login(tmp_path: Path, answer: bytes, refused: bool) -> None:
    with pytest.raises(ContractBroken) as caught:
        fill(Talk(IN, (b"t1 " + answer + b"\r\n", b"")), tmp_path)
    assert isinstance(caught.value, LoginRefused) is refused


def test_a_server_that_cannot_be_reached_breaks_the_contract(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    places = {
        "imap": HostAddress("127.0.0.1", port, "imap.example.com"),
        "testbed": HostAddress("127.0.0.4", 0, "testbed"),
    }
    world = World(Setup(tmp_path, {"joe": "secret"}), places)
    (tmp_path / "imap.log").write_text("last words\n")
    with pytest.raises(ContractBroken, match="imap: cannot be reached") as caught:
        append(world, Trace("testbed", None, Redactor("")), ("joe", "secret"), "INBOX", MESSAGE)
    assert caught.value.log == ("last words",)


def test_a_key_is_changed_by_the_owner_of_the_mailbox(tmp_path: Path) -> None:
    talk = Talk(
        (b"* OK [CAPABILITY IMAP4rev1 URLAUTH] hello\r\n", b't1 LOGIN "joe" "secret"\r\n'),
        (b"t1 OK in\r\n", b't2 RESETKEY "INBOX"\r\n'),
        (b"t2 OK new key\r\n", b"t3 LOGOUT\r\n"),
        (b"* BYE then\r\nt3 OK bye\r\n", b""),
    )
    change_key(talk.world(tmp_path), Trace("testbed", None, Redactor("")), ("joe", "secret"), "INBOX")
    talk.thread.join(10)
    talk.listener.close()
    assert talk.seen == [expect for _, expect in talk.script]
