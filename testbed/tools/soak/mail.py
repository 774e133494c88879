"""Logins: IMAP sessions one after the other, each with a login, a search, a fetch, a new ticket and a logout."""

from __future__ import annotations

import socket

from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import ClientEvent, CommandDone, GreetingReceived, ImapClient
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.response import GenUrlAuthResponse

USER, PASSWORD, NAME = "joe", "sesame", "imap.example.com"
PATIENCE = 30.0
_RUMP = f"imap://{USER}@{NAME}/INBOX/;UID=1/;SECTION=2;URLAUTH=anonymous"
_SOUND = bytes(range(160, 240)) * 25  # 0.25 s of G.711
_MESSAGE = (
    b"From: joe@example.com\r\nSubject: soak\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nListen to this.\r\n--b\r\nContent-Type: audio/basic\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + _SOUND
    + b"\r\n--b--\r\n"
)


class SoakError(Exception):
    """A node refused what it had to do, or did not answer in time."""


class MailSession:
    """A connection to the IMAP server, used command by command."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._client = ImapClient()
        self._events: list[ClientEvent] = []
        self._socket = socket.create_connection(address, PATIENCE)
        while not any(isinstance(event, GreetingReceived) for event in self._events):
            self._receive()

    def __enter__(self) -> MailSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self, command: ImapCommand) -> CommandDone:
        """Send a command and wait for its end; raises SoakError unless the answer is OK, and OSError."""
        tag = self._client.send(command)
        while True:
            self._socket.sendall(self._client.data_to_send())
            self._receive()
            for event in self._events:
                if isinstance(event, CommandDone) and event.tag == tag:
                    self._events.clear()
                    if not event.ok:
                        raise SoakError(f"{command.name}: {event.status.result}")
                    return event

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise SoakError("the IMAP server closed the connection")
        self._events += self._client.receive_data(data)


def provision(address: tuple[str, int]) -> None:
    """Store the message whose part is played; raises SoakError or OSError."""
    with MailSession(address) as session:
        session.run(commands.login(USER, PASSWORD))
        session.run(commands.append("INBOX", _MESSAGE))


def log_in(address: tuple[str, int], *, scram: bool) -> str:
    """Carry out one session from login to logout; returns a new ticket. Raises SoakError or OSError."""
    with MailSession(address) as session:
        login = commands.authenticate_scram if scram else commands.login
        session.run(login(USER, PASSWORD))
        session.run(commands.select("INBOX"))
        session.run(commands.uid_search())
        session.run(commands.uid_fetch_bodystructure(1))
        done = session.run(commands.genurlauth(_RUMP))
        session.run(commands.logout())
    for response in done.untagged:
        if isinstance(response, GenUrlAuthResponse):
            return response.urls[0]
    raise SoakError("GENURLAUTH gave no URL")
