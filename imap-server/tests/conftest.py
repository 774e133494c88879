"""What the server's tests share: a message, and a server in memory with the accounts of the README."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from lemonade_imap.behaviour import Behaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.loopback import LoopbackConnection, LoopbackServer
from lemonade_imap.urlauth import Roles

SOUND = bytes(range(256)) * 2
VOICE = (
    b"From: Alice <alice@example.net>\r\n"
    b"To: joe@imap.example.com\r\n"
    b"Subject: Voice message\r\n"
    b"Date: Tue, 17 Nov 2026 08:12:44 +0100\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b1"\r\n'
    b"\r\n"
    b"--b1\r\n"
    b"Content-Type: text/plain; charset=us-ascii\r\n"
    b"\r\n"
    b"Hello Joe\r\n"
    b"--b1\r\n"
    b"Content-Type: audio/basic\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n" + base64.encodebytes(SOUND).replace(b"\n", b"\r\n") + b"--b1\r\n"
    b"Content-Type: audio/basic\r\n"
    b"Content-Transfer-Encoding: x-unknown\r\n"
    b"\r\n"
    b"????\r\n"
    b"--b1--\r\n"
)
CONFIG = ServerConfig(
    names=("imap.example.com",),
    port=1143,
    passwords={"joe": "secret", "ann": "secret", "mediaserver": "secret", "admin": "secret"},
    admins=frozenset({"admin"}),
    roles=Roles(frozenset({"mediaserver"}), {"stream": frozenset({"mediaserver"})}),
    media_servers="<sip:ivr@media.example.net>:authuser",
)
RUMP = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;URLAUTH="


class World:
    """A server in memory with one voice message in joe's INBOX."""

    def __init__(self, behaviour: Behaviour | None = None, config: ServerConfig = CONFIG) -> None:
        self.config, self.behaviour = config, behaviour
        self.log: list[str] = []
        self.server = LoopbackServer(config, behaviour=behaviour, log=self.log.append)
        self.joe = self.login("joe")
        self.append(VOICE)

    def connect(self) -> LoopbackConnection:
        """Return a connection whose greeting is read."""
        client = self.server.connect()
        client.receive_data(b"")
        return client

    def login(self, user: str) -> LoopbackConnection:
        """Return a session of this user."""
        client = self.connect()
        assert b"\r\nl OK " in b"\r\n" + client.receive_data(f"l LOGIN {user} secret\r\n".encode())
        return client

    def anonymous(self) -> LoopbackConnection:
        """Return an anonymous session."""
        client = self.connect()
        assert client.receive_data(b"l AUTHENTICATE ANONYMOUS bWU=\r\n").startswith(b"l OK ")
        return client

    def append(self, message: bytes) -> None:
        """Put a message into joe's INBOX."""
        answer = self.joe.receive_data(b"p APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
        assert b"p OK [APPENDUID " in answer, answer

    def authorise(self, access: str, rump: str = RUMP) -> str:
        """Return the ticket that joe gets for the audio part."""
        answer = self.joe.receive_data(f'g GENURLAUTH "{rump}{access}" INTERNAL\r\n'.encode()).decode()
        assert answer.endswith("\r\ng OK GENURLAUTH completed\r\n"), answer
        return answer.split('"')[1]

    def fetch(self, client: LoopbackConnection, url: str, params: str = "") -> bytes:
        """Return the answer to URLFETCH: what stands behind the URL, up to the tagged OK."""
        asked = f'("{url}" {params})' if params else f'"{url}"'
        answer = client.receive_data(f"u URLFETCH {asked}\r\n".encode())
        begin, end = f'* URLFETCH "{url}" '.encode(), b"\r\nu OK URLFETCH completed\r\n"
        assert answer.startswith(begin), answer
        assert answer.endswith(end), answer
        return answer[len(begin) : -len(end)]


@pytest.fixture
def world() -> World:
    """A right server."""
    return World()


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Make a server with a behaviour or settings of its own."""
    return World


@pytest.fixture
def sound() -> bytes:
    """The octets of the message's audio part."""
    return SOUND


@pytest.fixture
def voice() -> bytes:
    """The message."""
    return VOICE
