"""Accounts that `lemonade-imap user` manages, in addition to those of the command line."""

from __future__ import annotations

import base64
import imaplib
import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_imap.sasl import ITERATIONS
from lemonade_imap.testing.processes import StartServer


def user(folder: Path, *words: str) -> None:
    command = [sys.executable, "-c", "from lemonade_imap.cli import main; main()", "user", *words]
    subprocess.run([*command, "--data", str(folder)], input=b"pencil\n", check=True, timeout=30)


def challenge_for(server: imaplib.IMAP4, name: str) -> dict[str, str]:
    """Return the server's first SCRAM message for this name."""
    asked: list[bytes] = []

    def answer(challenge: bytes) -> bytes | None:
        asked.append(challenge)
        return f"n,,n={name},r=x".encode() if len(asked) == 1 else None

    with pytest.raises(imaplib.IMAP4.error):
        server.authenticate("SCRAM-SHA-256", answer)
    return dict(part.split("=", 1) for part in asked[1].decode().split(","))


def connect(port: int) -> imaplib.IMAP4:
    return imaplib.IMAP4("127.0.0.1", port, timeout=10)


def test_an_account_made_while_the_server_runs_can_log_in(start: StartServer, tmp_path: Path) -> None:
    server = start()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        connect(server.port).login("eve", "pencil")
    user(tmp_path / "data", "add", "eve")
    client = connect(server.port)
    assert client.login("eve", "pencil")[0] == "OK"
    assert client.select()[0] == "OK"
    administrator = connect(server.port)
    administrator.authenticate("PLAIN", lambda _: b"eve\0root\0sesame")
    assert administrator.select()[0] == "OK"
    user(tmp_path / "data", "remove", "eve")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        connect(server.port).login("eve", "pencil")


def test_an_unknown_name_gets_a_challenge_like_an_account(start: StartServer, tmp_path: Path) -> None:
    server = start()
    user(tmp_path / "data", "add", "eve")
    names = ("joe", "eve", "nobody", "somebody")
    before = {name: challenge_for(connect(server.port), name) for name in names}
    server.end()
    server = start()
    for name in names:
        asked = challenge_for(connect(server.port), name)
        assert asked["s"] == before[name]["s"]
        assert asked["r"] != before[name]["r"]
        assert (len(base64.b64decode(asked["s"])), asked["i"]) == (16, str(ITERATIONS))
    assert len({asked["s"] for asked in before.values()}) == 4
