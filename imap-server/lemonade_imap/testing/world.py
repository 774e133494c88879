"""A server in memory for tests, with the accounts of the README and one voice message in joe's INBOX."""

from __future__ import annotations

import base64

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.store.base import StoredMailbox
from lemonade_imap.testing import LoopbackConnection, LoopbackServer
from lemonade_imap.testing.messages import mailbox_of
from lemonade_imap.urlauth import Roles
from lemonade_wire.faults import Fault

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

    def __init__(self, behaviour: ImapBehaviour | Fault | None = None, config: ServerConfig = CONFIG) -> None:
        assert behaviour is None or isinstance(behaviour, ImapBehaviour)
        self.config, self.behaviour = config, behaviour
        self.log: list[str] = []
        self.server = LoopbackServer(config, behaviour=behaviour, log=self.log.append)
        self.joe = self.login("joe")
        self.append(VOICE)

    @property
    def inbox(self) -> StoredMailbox:
        """joe's INBOX as it is stored."""
        return mailbox_of(self.server.store)

    def connect(self) -> LoopbackConnection:
        """Return a connection whose greeting was read."""
        client = self.server.connect()
        client.receive_data(b"")
        return client

    def login(self, user: str) -> LoopbackConnection:
        """Return a connection on which this user is logged in."""
        client = self.connect()
        assert b"\r\nl OK " in b"\r\n" + client.receive_data(f"l LOGIN {user} secret\r\n".encode())
        return client

    def anonymous(self) -> LoopbackConnection:
        """Return a connection with an anonymous login."""
        client = self.connect()
        assert client.receive_data(b"l AUTHENTICATE ANONYMOUS bWU=\r\n").startswith(b"l OK ")
        return client

    def append(self, message: bytes) -> None:
        """Append a message to joe's INBOX."""
        answer = self.joe.receive_data(b"p APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
        assert b"p OK [APPENDUID " in answer, answer

    def authorise(self, access: str, rump: str = RUMP) -> str:
        """Return the ticket that GENURLAUTH gives joe for the audio part."""
        answer = self.joe.receive_data(f'g GENURLAUTH "{rump}{access}" INTERNAL\r\n'.encode()).decode()
        assert answer.endswith("\r\ng OK GENURLAUTH completed\r\n"), answer
        return answer.split('"')[1]

    def fetch(self, client: LoopbackConnection, url: str, params: str = "") -> bytes:
        """Return the octets of the URLFETCH response behind the URL, up to the tagged OK."""
        asked = f'("{url}" {params})' if params else f'"{url}"'
        answer = client.receive_data(f"u URLFETCH {asked}\r\n".encode())
        begin, end = f'* URLFETCH "{url}" '.encode(), b"\r\nu OK URLFETCH completed\r\n"
        assert answer.startswith(begin), answer
        assert answer.endswith(end), answer
        return answer[len(begin) : -len(end)]
