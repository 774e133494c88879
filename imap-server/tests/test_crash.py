"""`kill -9` of a real server at random moments under load: what was answered OK is there afterwards, and as it was.

LEMONADE_KILLS=200 pytest imap-server/tests/test_crash.py
"""

from __future__ import annotations

import imaplib
import os
import random
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

KILLS = int(os.environ.get("LEMONADE_KILLS", "10"))
BASIC = ["--listen", "127.0.0.1:0", "--name", "imap.example.com", "--user", "joe:sesame"]
BOXES = ("INBOX", "a", "b/c")
imaplib.Commands.update(dict.fromkeys(("GENURLAUTH", "URLFETCH"), ("AUTH", "SELECTED")))


class Server:
    """A server in a process of its own."""

    def __init__(self, data: Path) -> None:
        program = "from lemonade_imap.cli import main; main()"
        command = [sys.executable, "-c", program, *BASIC, "--data", str(data)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.port = int(found[1])

    def login(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        client.login("joe", "sesame")
        return client

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@dataclass
class Promised:
    """What was answered OK about one mailbox, over all its servers.

    `kept`: flags of the messages that must be there, by UID. `doubtful`: UIDs of which something was asked that was
    never answered. `texts`: the text of every UID that was ever seen, those of removed messages too.
    """

    validity: str = ""
    kept: dict[int, set[str]] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    texts: dict[int, str] = field(default_factory=dict)

    def saw(self, uid: int, text: str) -> None:
        """Take note of a message: a UID stands for one text for ever."""
        assert self.texts.setdefault(uid, text) == text, f"UID {uid} was given again"


class Load(threading.Thread):
    """One client that changes its mailbox until the server is gone."""

    def __init__(self, server: Server, box: str, promised: Promised, seed: int) -> None:
        super().__init__()
        self._client = server.login()
        self._box, self._promised = box, promised
        self._random = random.Random(seed)
        self.answered = 0
        self.wrong: BaseException | None = None
        self.working = threading.Event()

    def run(self) -> None:
        try:
            self._ok(self._client.select(self._box))
            while True:
                self._append()
                self._change()
                self.working.set()
        except (imaplib.IMAP4.abort, OSError):
            pass
        except BaseException as problem:  # the test looks at it
            self.wrong = problem
        finally:
            self.working.set()

    def _ok(self, answer: tuple[str, object]) -> None:
        assert answer[0] == "OK", answer
        self.answered += 1

    def _append(self) -> None:
        text = f"{self._box} {self._random.getrandbits(64):x}"
        body = f"Subject: {text}\r\n\r\n".encode() + b"x" * self._random.choice((10, 5000, 200_000))
        result, data = self._client.append(self._box, "(begun)", "", body)
        self._ok((result, data))
        uid = int(re.search(rb"APPENDUID \d+ (\d+)", data[0])[1])  # type: ignore[index,arg-type]
        self._promised.saw(uid, text)
        self._promised.kept[uid] = {"begun"}

    def _change(self) -> None:
        uid = self._random.choice([*self._promised.kept])
        flags = self._promised.kept.pop(uid)
        self._promised.doubtful.add(uid)
        keyword = f"k{self._random.randrange(4)}"
        self._ok(self._client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({keyword})"))
        if len(self._promised.kept) > 20:
            self._ok(self._client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
            self._ok(self._client.uid("EXPUNGE", str(uid)))
        else:
            self._promised.kept[uid] = flags | {keyword}
        self._promised.doubtful.discard(uid)


def check(client: imaplib.IMAP4, box: str, promised: Promised) -> None:
    """Compare a mailbox with what was promised, and take over what is there now."""
    assert client.select(box)[0] == "OK"
    (validity,) = client.response("UIDVALIDITY")[1]
    assert isinstance(validity, bytes)
    assert promised.validity in {"", validity.decode()}
    promised.validity = validity.decode()
    there: dict[int, set[str]] = {}
    fetched = client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")[1]
    for item in fetched:
        if not isinstance(item, tuple):
            continue
        told, octets = item
        uid, size = (int(re.search(word + rb" (\d+)", told)[1]) for word in (rb"UID", rb"RFC822.SIZE"))  # type: ignore[index]
        flags = re.search(rb"FLAGS \(([^)]*)\)", told)
        assert flags is not None
        assert len(octets) == size
        subject, _, body = octets.partition(b"\r\n\r\n")
        promised.saw(uid, subject.decode().removeprefix("Subject: "))
        assert body == b"x" * len(body)
        assert len(body) in {10, 5000, 200_000}
        there[uid] = set(flags[1].decode().split()) - {"\\Recent"}
    for uid, wanted in promised.kept.items():
        assert uid in there, f"{box}: message {uid} was answered OK and is lost"
        assert there[uid] == wanted, f"{box}: flags of message {uid}"
    surplus = there.keys() - promised.kept.keys() - promised.doubtful
    assert len(surplus) <= 1, f"{box}: {surplus} came from nowhere"  # the one whose APPEND was not answered
    promised.kept, promised.doubtful = there, set()
    (next_uid,) = client.response("UIDNEXT")[1]
    assert isinstance(next_uid, bytes)
    assert int(next_uid) > max(promised.texts, default=0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_what_was_answered_survives_kill_9_at_any_moment(data: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    promised = {box: Promised() for box in BOXES}
    server = Server(data)
    client = server.login()
    for box in (*BOXES[1:], "kept"):
        assert client.create(box)[0] == "OK"
    assert client.append("kept", "", "", b"Subject: t\r\n\r\nticket")[0] == "OK"  # type: ignore[arg-type]
    rump = "imap://joe@imap.example.com/kept/;UID=1/;SECTION=TEXT;URLAUTH=anonymous"
    assert client.xatom("GENURLAUTH", f'"{rump}"', "INTERNAL")[0] == "OK"
    (ticket,) = client.response("GENURLAUTH")[1]
    assert isinstance(ticket, bytes)
    answered = 0
    try:
        for kill in range(KILLS):
            loads = [Load(server, box, promised[box], chance.getrandbits(32)) for box in BOXES]
            for load in loads:
                load.start()
            for load in loads:
                load.working.wait()
            threading.Event().wait(chance.uniform(0, 0.5))
            server.kill()
            for load in loads:
                load.join()
                assert load.wrong is None, f"seed {seed}, kill {kill}: {load.wrong!r}"
                answered += load.answered
            server = Server(data)
            client = server.login()
            for box in BOXES:
                check(client, box, promised[box])
            assert client.xatom("URLFETCH", ticket.decode())[0] == "OK"
            assert b"ticket" in repr(client.response("URLFETCH")[1]).encode(), (
                f"kill {kill}: the ticket is worth nothing"
            )
    finally:
        server.kill()
    # a server that never got anything done would keep all its promises
    assert answered > 20 * KILLS
    sys.stdout.write(f"{KILLS} kills, {answered} commands answered OK, seed {seed}\n")
