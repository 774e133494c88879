"""Client programs of Debian carry out a usual session; a missing program skips its test, except in CI."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pty
import select
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lemonade_imap.testing.processes import Server

Program = Callable[[str, str], str]
MAIL = b"From: alice@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nworld\r\n"


def run(*command: str, home: Path, given: bytes = b"") -> bytes:
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, env=environ, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def login(server: Server) -> imaplib.IMAP4:
    client = imaplib.IMAP4(server.host, server.port, timeout=10)
    client.login("joe", "sesame")
    return client


def test_curl_carries_out_a_usual_session(server: Server, program: Program, tmp_path: Path) -> None:
    curl: tuple[str, ...] = (
        program("curl", "curl"),
        "--silent",
        "--show-error",
        "--cacert",
        str(server.certs / "ca.pem"),
    )
    curl = (*curl, "--user", "joe:sesame")
    (tmp_path / "mail").write_bytes(MAIL)
    clear, secure = f"imap://localhost:{server.port}", f"imaps://localhost:{server.tls_port}"
    run(*curl, "--ssl-reqd", "--upload-file", "mail", f"{clear}/INBOX", home=tmp_path)
    assert run(*curl, f"{secure}/INBOX;MAILINDEX=1", home=tmp_path) == MAIL
    assert run(*curl, "--login-options", "AUTH=PLAIN", f"{secure}/INBOX?SUBJECT%20hello", home=tmp_path) == (
        b"* SEARCH 1\r\n"
    )
    run(*curl, "--request", r"STORE 1 +Flags \Flagged", f"{secure}/INBOX", home=tmp_path)
    assert rb"\Flagged" in run(*curl, "--request", "FETCH 1 FLAGS", f"{clear}/INBOX", home=tmp_path)
    assert b"INBOX" in run(*curl, f"{clear}/", home=tmp_path)
    assert b"IMAP4rev1" in run(*curl, "--request", "CAPABILITY", f"{clear}/", home=tmp_path)


def test_mbsync_synchronises_in_both_directions(server: Server, program: Program, tmp_path: Path) -> None:
    mbsync = program("mbsync", "isync")
    login(server).append("INBOX", "", "", MAIL)  # a date of now
    (tmp_path / "mail").mkdir()
    shutil.copy(server.certs / "ca.pem", tmp_path)
    # The paths begin at the home folder, because a blank in the path of that folder would end them.
    (tmp_path / "rc").write_text(
        f"""
IMAPAccount it
Host localhost
Port {server.port}
User joe
PassCmd "echo sesame"
SSLType STARTTLS
CertificateFile ~/ca.pem

IMAPStore far
Account it

MaildirStore near
Path ~/mail/
Inbox ~/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Expunge Both
Sync All
SyncState *
"""
    )
    run(mbsync, "--config", "rc", "all", home=tmp_path)
    (kept,) = (tmp_path / "mail" / "INBOX").glob("*/*,*")
    assert b"Subject: hello" in kept.read_bytes()
    # A message or flag that is written on one side is on the other side after the next run.
    kept.rename(kept.parent.parent / "cur" / (kept.name.partition(":")[0] + ":2,FS"))
    (tmp_path / "mail" / "INBOX" / "new" / "1.mine").write_bytes(b"Subject: mine\n\nhere\n")
    run(mbsync, "--config", "rc", "all", home=tmp_path)
    client = login(server)
    assert client.select()[1] == [b"2"]
    assert client.search(None, "FLAGGED", "SEEN", "SUBJECT", "hello")[1] == [b"1"]
    assert client.search(None, "SUBJECT", "mine")[1] == [b"2"]


def on_terminal(*command: str, home: Path) -> None:
    """Run a program that needs a terminal, and wait for its end."""
    ours, theirs = pty.openpty()
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "vt100", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=home) as running:
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # the error of a terminal whose other end is closed
            while select.select([ours], [], [], 30)[0] and (octets := os.read(ours, 4096)):
                shown += octets
        if running.poll() is None:
            running.terminate()
        os.close(ours)
    assert running.returncode == 0, bytes(shown)


def test_mutt_reads_and_saves(server: Server, program: Program, tmp_path: Path) -> None:
    mutt = program("mutt", "mutt")
    login(server).append("INBOX", "", "", MAIL)  # a date of now
    shutil.copy(server.certs / "ca.pem", tmp_path)
    (tmp_path / "rc").write_text(
        """
set imap_user=joe imap_pass=sesame ssl_force_tls=yes ssl_starttls=yes ssl_verify_host=yes
set ssl_ca_certificates_file=~/ca.pem
set mbox_type=Maildir folder=~ confirmappend=no confirmcreate=no delete=yes quit=yes mark_old=no wait_key=no
push "<save-message><kill-line>~/saved<enter><sync-mailbox><quit>"
"""
    )
    on_terminal(mutt, "-F", "rc", "-f", f"imap://localhost:{server.port}/INBOX", home=tmp_path)
    (saved,) = (tmp_path / "saved").glob("*/*")
    assert b"Subject: hello" in saved.read_bytes()
    # A message that is saved to another mailbox is deleted in this one.
    assert login(server).select()[1] == [b"0"]
