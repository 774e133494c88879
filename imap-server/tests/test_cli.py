"""The program `lemonade-imap` in a process of its own, with Python's imaplib as its client."""

from __future__ import annotations

import imaplib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemonade_imap.cli import config_from, main, parser
from lemonade_wire.nodecli import NodeOptions

RUMP = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;EXPIRE=2099-01-01T00:00:00Z;URLAUTH="
BASIC = ["--listen", "127.0.0.1:0", "--name", "imap.example.com", "--user", "joe:sesame", "--user", "ms:sesame"]
imaplib.Commands.update(dict.fromkeys(("GENURLAUTH", "URLFETCH", "GETMETADATA"), ("AUTH", "SELECTED")))


class Server:
    """A running server."""

    def __init__(self, folder: Path, *more: str) -> None:
        command = [sys.executable, "-c", "from lemonade_imap.cli import main; main()", *BASIC, "--data", str(folder)]
        self.process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said = ""
        while not (found := re.search(r"ready on 127\.0\.0\.1:(\d+)", self.said)):
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.port = int(found[1])

    def connect(self) -> imaplib.IMAP4:
        return imaplib.IMAP4("127.0.0.1", self.port, timeout=10)

    def login(self, user: str) -> imaplib.IMAP4:
        client = self.connect()
        client.login(user, "sesame")
        return client

    def end(self, how: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def run(*more: str) -> Server:
        running.append(Server(tmp_path / "data", *more))
        return running[-1]

    yield run
    for server in running:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


def urlfetch(client: imaplib.IMAP4, url: str, params: str) -> bytes:
    client.xatom("URLFETCH", f'("{url}" {params})')
    _, data = client.response("URLFETCH")
    return b"".join(part if isinstance(part, bytes) else b"".join(part) for part in data)


def test_imaplib_works_and_what_was_answered_survives_kill_9(
    start: Callable[..., Server], voice: bytes, sound: bytes, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.jsonl"
    server = start("--trace", str(trace))
    joe = server.login("joe")
    assert joe.append("INBOX", "", "", voice)[0] == "OK"
    assert joe.select()[1] == [b"1"]
    structure = joe.fetch("1", "(BODYSTRUCTURE)")[1][0]
    assert isinstance(structure, bytes)
    assert b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 700' in structure
    whole = joe.fetch("1", "(BODY.PEEK[])")[1][0]
    assert isinstance(whole, tuple)
    assert whole[1] == voice
    assert joe.xatom("GENURLAUTH", f'"{RUMP}anonymous"', "INTERNAL")[0] == "OK"
    authorised = joe.response("GENURLAUTH")[1][0]
    assert isinstance(authorised, bytes)
    ticket = authorised.decode().strip('"')
    validity = joe.response("UIDVALIDITY")[1]
    anonymous = server.connect()
    anonymous.authenticate("ANONYMOUS", lambda _: b"me@example.net")
    assert sound in urlfetch(anonymous, ticket, "BINARY")
    server.end(signal.SIGKILL)

    server = start("--trace", str(trace))
    joe = server.login("joe")
    assert joe.select()[1] == [b"1"]
    assert joe.response("UIDVALIDITY")[1] == validity
    assert sound in urlfetch(joe, ticket, "BODYPARTSTRUCTURE BINARY")
    code, said = server.end(signal.SIGTERM)
    assert code == 0
    assert said.endswith("imap: stopped\n")
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        joe.noop()

    written = trace.read_text() + said
    assert "sesame" not in written
    assert ticket.rpartition(":")[2] not in written
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    states = [event["state"] for event in events if event["event"] == "node"]
    assert states == ["started", "ready", "started", "ready", "stopping", "stopped"]
    texts = [event["text"] for event in events if event["event"] == "imap" and event["way"] == "received"]
    assert sum(bool(re.fullmatch(r"\S+ LOGIN joe \*\*\*", text)) for text in texts) == 2
    (fetched,) = [
        event
        for event in events
        if event["event"] == "imap" and event["text"].startswith("* URLFETCH") and "STRUCTURE" in event["text"]
    ]
    assert fetched["side"] == "server"
    assert fetched["literals"][-1]["size"] == len(sound)
    assert re.search(r":INTERNAL:fp-[0-9a-f]{16}\" \(BODYPARTSTRUCTURE .* \(BINARY ~\{512\}\)$", fetched["text"])


def test_a_second_server_on_the_same_data_is_refused(start: Callable[..., Server], tmp_path: Path) -> None:
    start()
    command = [sys.executable, "-c", "from lemonade_imap.cli import main; main()", *BASIC]
    second = subprocess.run(
        [*command, "--data", str(tmp_path / "data")], capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 1
    assert "in use by another server" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_url_may_contain_the_listening_port(start: Callable[..., Server], voice: bytes) -> None:
    server = start("--fault", "capability-without-binary")
    joe = server.login("joe")
    joe.append("INBOX", "", "", voice)
    with_port = RUMP.replace("imap.example.com", f"imap.example.com:{server.port}")
    assert joe.xatom("GENURLAUTH", f'"{with_port}anonymous"', "INTERNAL")[0] == "OK"
    joe.response("CAPABILITY")
    listed = joe.capability()[1][0]
    assert isinstance(listed, bytes)
    assert b"URLAUTH=BINARY" not in listed


def test_options_may_name_accounts_that_do_not_exist_yet(
    start: Callable[..., Server], voice: bytes, tmp_path: Path
) -> None:
    server = start("--submit-user", "later", "--fetch-user", "later", "--application", "stream=ms")
    joe = server.login("joe")
    joe.append("INBOX", "", "", voice)
    assert joe.xatom("GENURLAUTH", f'"{RUMP}submit+joe"', "INTERNAL")[0] == "OK"
    (ticket,) = joe.response("GENURLAUTH")[1]
    assert isinstance(ticket, bytes)
    with pytest.raises(imaplib.IMAP4.error):
        server.login("later")
    program = [sys.executable, "-c", "from lemonade_imap.cli import main; main()", "user", "add", "later"]
    subprocess.run([*program, "--data", str(tmp_path / "data")], input="sesame\n", text=True, timeout=20, check=True)
    later = server.login("later")
    later.xatom("URLFETCH", ticket.decode())
    assert later.response("URLFETCH")[1] != [None]
    assert "'later' may fetch URLs but is not an account yet" in server.said
    assert "'ms' may fetch" not in server.said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--listen", "nowhere"], "HOST:PORT is expected"),
        (["--user", "joe"], "NAME:PASSWORD"),
        (["--user", "Anonymous:x"], "anonymous cannot be an account"),
        (["--user", "joe:again"], "an account may be given only once"),
        (["--name", "imap.example.com:143"], "is not a host"),
        (["--application", "stream"], "APP=USER[,USER]"),
        (["--application", "user=joe"], "names another access identifier"),
        (["--media-servers", "a\nb"], "one line"),
        (["--fault", "token-not-chekked"], "did you mean 'token-not-checked'?"),
        (["--profile", "rfc9999"], "draft-07"),
        (["--unknown"], "--unknown"),
    ],
)
def test_invalid_options_exit_with_2_and_say_what_is_valid(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*BASIC, "--data", str(tmp_path), *more])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_options_become_settings(tmp_path: Path) -> None:
    argv = [*BASIC, "--data", str(tmp_path), "--admin", "root:x", "--submit-user", "ms", "--name", "Other.Example"]
    options = parser().read([*argv, "--application", "Stream=ms", "--application", "stream=joe"])
    config = config_from(options, NodeOptions.from_namespace("imap", options))
    assert config.passwords == {"joe": "sesame", "ms": "sesame", "root": "x"}
    assert config.admins == {"root"}
    assert config.roles.submit_users == {"ms"}
    assert config.roles.applications == {"stream": {"ms", "joe"}}
    assert config.serves("OTHER.example", None)
    assert config.serves("imap.example.com", 143)
    assert not config.serves("imap.example.com", 144)
    assert not config.serves("imap.example.org", None)
