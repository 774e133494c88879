"""What the client writes shows no ticket and no password, however an IMAP server repeats them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lemonade_wire.testing.spellings import PASSWORD, SPELLINGS, TICKET, TOKEN, shown_forms

HOST = f"127.92.{os.getpid() % 250}.1"
PROGRAM = [sys.executable, "-c", "from lemonade_client.cli import main; main()"]
SCRIPT = f"""account: {{host: imap.example.com, user: joe, password: {PASSWORD}}}
media: "sip:ms.test"
media-length: 0.5
steps:
  - find-part: {{type: audio/*}}
"""
DEEPER = {"base64 of percent-encoding"}
"""Spellings in which a password alone is not looked for: it is too short there to tell it from other words."""


def one_line(text: str) -> bytes:
    """Return a text without line breaks, which a status response cannot have."""
    return re.sub(r"[\r\n]", " ", text).encode()


def repeated() -> list[bytes]:
    """Return the secrets in each spelling."""
    said = [one_line(spell(TICKET)) for spell in SPELLINGS.values()]
    return said + [one_line(spell(PASSWORD)) for name, spell in SPELLINGS.items() if name not in DEEPER]


def serve(listener: socket.socket, refusal: bytes) -> None:
    """Greet, repeat the secrets in answer to CAPABILITY, and refuse the first command after it."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"* OK ready\r\n")
        tag = lines.readline().split()[0]
        for said in repeated():
            connection.sendall(b"* OK [ALERT] joe %s\r\n* NO joe (%s)\r\n" % (said, said))
            connection.sendall(b"* URLFETCH {%d}\r\n%s NIL\r\n" % (len(said), said))
        connection.sendall(b"* CAPABILITY IMAP4rev1 URLAUTH\r\n%s OK done\r\n" % tag)
        if line := lines.readline():
            connection.sendall(b"* BYE %s\r\n%s NO %s\r\n" % (refusal, line.split()[0], refusal))


@pytest.mark.parametrize("secret", [TICKET, PASSWORD])
def test_what_a_server_repeats_is_not_written(tmp_path: Path, secret: str) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(60)
        server = threading.Thread(target=serve, args=(listener, b"no " + secret.encode()))
        server.start()
        where = ["--listen", f"{HOST}:0", "--resolve", f"imap.example.com={HOST}:{listener.getsockname()[1]}"]
        files = ["--script", str(tmp_path / "script.yaml"), "--trace", str(tmp_path / "trace.jsonl")]
        done = subprocess.run([*PROGRAM, *where, *files], capture_output=True, timeout=60, check=False)
        server.join(60)
    trace = (tmp_path / "trace.jsonl").read_bytes()
    assert trace.count(b"* OK [ALERT]") == len(repeated())
    assert b"step 1/1 find-part: failed" in done.stderr
    for written in (trace, done.stderr):
        assert shown_forms(written, TOKEN) == []
        assert shown_forms(written, PASSWORD) == []
