"""STARTTLS and TLS from the first octet, with raw sockets and with Python's imaplib as clients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from lemonade_imap.testing.processes import Server, StartServer

MAIL = b"Subject: hello\r\n\r\nworld\r\n"


class Line:
    """A connection read line by line."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=10)
        self._reader = self.socket.makefile("rb")

    def read(self) -> bytes:
        return self._reader.readline()

    def ask(self, octets: bytes) -> bytes:
        self.socket.sendall(octets)
        return self.read()

    def secure(self, trust: ssl.SSLContext) -> None:
        self.socket = trust.wrap_socket(self.socket, server_hostname="imap.example.com")
        self._reader = self.socket.makefile("rb")


def scram(user: str, password: str) -> Callable[[bytes], bytes]:
    """Return imaplib's `authobject` for SCRAM-SHA-256."""
    bare = f"n={user},r=clientnonce"
    sent: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        if not sent:
            sent.append(b"n,," + bare.encode())
            return sent[0]
        if challenge.startswith(b"v="):
            assert challenge == sent[1]
            return b""
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={fields['r']}".encode()
        whole = b",".join((bare.encode(), challenge, final))
        signature = hmac.digest(hashlib.sha256(key).digest(), whole, "sha256")
        sent.append(
            b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), whole, "sha256"))
        )
        return final + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))

    return answer


def round_of(client: imaplib.IMAP4) -> None:
    """Carry out the usual commands of a client that is logged in."""
    assert client.append("INBOX", r"(\Seen)", "", MAIL)[0] == "OK"
    assert client.select()[1] == [b"1"]
    fetched = client.fetch("1", "(FLAGS BODY.PEEK[])")[1][0]
    assert isinstance(fetched, tuple)
    assert fetched[1] == MAIL
    assert client.search(None, "SUBJECT", "hello")[1] == [b"1"]
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge()[1] == [b"1"]
    assert client.logout()[0] == "BYE"


@pytest.mark.parametrize("how", ["clear", "starttls", "tls"])
@pytest.mark.parametrize("login", ["LOGIN", "PLAIN", "SCRAM-SHA-256"])
def test_imaplib_carries_out_a_usual_session(server: Server, how: str, login: str) -> None:
    if how == "tls":
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=server.trust, timeout=10)
        assert "STARTTLS" not in client.capabilities
    else:
        client = imaplib.IMAP4(server.host, server.port, timeout=10)
        assert "STARTTLS" in client.capabilities
    if how == "starttls":
        client.starttls(server.trust)
        assert "STARTTLS" not in client.capabilities
    if login == "LOGIN":
        client.login("joe", "sesame")
    elif login == "PLAIN":
        client.authenticate("PLAIN", lambda _: b"\0joe\0sesame")
    else:
        client.authenticate("SCRAM-SHA-256", scram("joe", "sesame"))
    round_of(client)


def test_a_wrong_password_is_refused_by_every_mechanism(server: Server) -> None:
    client = imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=server.trust, timeout=20)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login("joe", "wrong")
    for user, password in (("joe", "wrong"), ("nobody", "sesame")):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("SCRAM-SHA-256", scram(user, password))


def test_passwords_without_tls_are_refused_if_the_policy_forbids_them(start: StartServer) -> None:
    server = start("--cleartext-login", "never", "--urlmech", "confidential")
    client = imaplib.IMAP4(server.host, server.port, timeout=10)
    assert {"LOGINDISABLED", "STARTTLS", "AUTH=SCRAM-SHA-256"} <= set(client.capabilities)
    assert "AUTH=PLAIN" not in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.login("joe", "sesame")
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.authenticate("PLAIN", lambda _: b"\0joe\0sesame")
    client.starttls(server.trust)
    assert "LOGINDISABLED" not in client.capabilities
    assert "AUTH=PLAIN" in client.capabilities
    client.login("joe", "sesame")
    client.select()
    assert client.response("URLMECH")[1] == [b"INTERNAL"]
    clear = imaplib.IMAP4(server.host, server.port, timeout=10)
    clear.authenticate("SCRAM-SHA-256", scram("joe", "sesame"))
    clear.select()
    assert clear.response("URLMECH")[1] == [None]


def test_commands_in_the_clear_behind_starttls_are_not_carried_out(server: Server) -> None:
    line = Line(server)
    line.read()
    assert line.ask(b"a STARTTLS\r\nb LOGIN joe sesame\r\nc CREATE injected\r\n").startswith(b"a OK ")
    line.secure(server.trust)
    # None of these commands was carried out, and the first answer belongs to the first command under TLS.
    assert line.ask(b"d CAPABILITY\r\n").startswith(b"* CAPABILITY IMAP4rev1 ")
    assert line.read().startswith(b"d OK ")
    assert line.ask(b"e SELECT INBOX\r\n").startswith(b"e BAD ")
    assert line.ask(b"f LOGIN joe sesame\r\n").startswith(b"f OK ")
    listed = line.ask(b'g LIST "" *\r\n') + line.read()
    assert b"injected" not in listed
    assert "octets after STARTTLS were in the clear" in server.end()


def test_starttls_is_accepted_once_and_only_before_login(server: Server) -> None:
    line = Line(server)
    line.read()
    assert line.ask(b"a STARTTLS x\r\n").startswith(b"a BAD ")
    assert line.ask(b"b STARTTLS\r\n").startswith(b"b OK ")
    line.secure(server.trust)
    assert line.ask(b"c STARTTLS\r\n") == b"c BAD TLS is active already\r\n"
    clear = Line(server)
    clear.read()
    assert clear.ask(b"a LOGIN joe sesame\r\n").startswith(b"a OK ")
    assert clear.ask(b"b STARTTLS\r\n").startswith(b"b BAD ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_refused(server: Server) -> None:
    trust = server.trust
    trust.minimum_version = ssl.TLSVersion.TLSv1
    trust.maximum_version = ssl.TLSVersion.TLSv1_1
    trust.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection((server.host, server.tls_port), timeout=10) as plain,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        trust.wrap_socket(plain, server_hostname="imap.example.com")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        trust = server.trust
        trust.minimum_version = trust.maximum_version = version
        client = imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=trust, timeout=10)
        assert client.logout()[0] == "BYE"
    assert "Unhandled" not in server.end()


def test_a_client_that_trusts_another_authority_does_not_connect(server: Server) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=ssl.create_default_context(), timeout=10)
    # The server still serves other clients.
    assert imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=server.trust, timeout=10).logout()[0] == "BYE"


def test_no_output_contains_the_key_or_a_password(server: Server, certs: Path) -> None:
    client = imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=server.trust, timeout=10)
    client.login("joe", "sesame")
    with socket.create_connection((server.host, server.tls_port), timeout=10) as plain:
        plain.sendall(b"a LOGIN joe sesame\r\n")
        while plain.recv(1000):
            pass
    said = server.end()
    assert "sesame" not in said
    key = (certs / "imap.example.com.key").read_text().splitlines()
    assert not any(text in said for text in key)


def test_a_large_message_is_sent_both_ways_through_tls(server: Server) -> None:
    client = imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=server.trust, timeout=60)
    client.login("joe", "sesame")
    mail = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 200_000 + b"\r\n"
    assert client.append("INBOX", "", "", mail)[0] == "OK"
    client.select()
    fetched = client.fetch("1", "(BODY.PEEK[])")[1][0]
    assert isinstance(fetched, tuple)
    assert fetched[1] == mail
