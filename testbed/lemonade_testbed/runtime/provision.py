"""Fills a mailbox as any mail program would: by IMAP, as its owner, so that any vendor's server can be filled."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import Self

from lemonade_testbed.runtime.base import ContractBroken
from lemonade_testbed.runtime.world import World
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ConnectionBye, GreetingReceived, ImapClient, ResponseUnreadable
from lemonade_wire.imap.command import Command
from lemonade_wire.trace import Json, Trace

PATIENCE = 30.0
"""Seconds that the server may take for one answer."""
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


class Mailbox:
    """A plain blocking connection to the world's IMAP server from the testbed's own address, as a context manager.

    Every method raises ContractBroken where the server refuses, breaks off or stays silent.
    """

    def __init__(self, world: World, trace: Trace, patience: float = PATIENCE) -> None:
        self._world = world
        self._trace = trace
        self._patience = patience
        self._engine = ImapClient(tag_prefix="t", tracer=self._traced)
        self._socket: socket.socket | None = None
        self._local = self._remote = ""

    def __enter__(self) -> Self:
        place, here = self._world.roles["imap"], self._world.roles["testbed"].address
        try:
            self._socket = socket.create_connection(
                (place.address, place.port), self._patience, source_address=(here, 0)
            )
        except OSError as problem:
            raise self._broken(f"cannot be reached: {problem}") from problem
        self._local = "{}:{}".format(*self._socket.getsockname())
        self._remote = f"{place.address}:{place.port}"
        while not self._engine.greeted:
            self._receive()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()

    def log_in(self, user: str, password: str) -> None:
        """Authenticate by the best way that the server shows."""
        if self._engine.capabilities is None:
            self.run(commands.capability())
        if self._engine.has("AUTH=PLAIN"):
            self.run(commands.authenticate_plain(user, password))
        else:
            self.run(commands.login(user, password))

    def run(self, command: Command) -> CommandDone:
        """Send a command and return its OK."""
        done = self.ask(command)
        if not done.ok:
            raise self._broken(f"answered {command.name} with {done.status.result} {done.status.text}".rstrip())
        return done

    def ask(self, command: Command) -> CommandDone:
        """Send a command and return its answer, whatever the result."""
        tag = self._engine.send(command)
        self._flush()
        while True:
            for event in self._receive():
                if isinstance(event, CommandDone) and event.tag == tag:
                    return event

    def _receive(self) -> list[object]:
        self._flush()
        try:
            data = self._open.recv(65536)
        except OSError as problem:
            raise self._broken(f"no answer: {problem}") from problem
        if not data:
            raise self._broken("closed the connection before its answer")
        events = self._engine.receive_data(data)
        self._flush()
        for event in events:
            match event:
                case GreetingReceived(status) if status.result == "BYE":
                    raise self._broken(f"greeted with BYE {status.text}")
                case ConnectionBye(status, expected=False):
                    raise self._broken(f"said BYE {status.text}")
                case ResponseUnreadable(why):
                    raise self._broken(f"broke the grammar: {why}")
        return list(events)

    def _flush(self) -> None:
        data = self._engine.data_to_send()
        try:
            self._open.sendall(data)
        except OSError as problem:
            raise self._broken(f"broke off: {problem}") from problem

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("the connection is used as a context manager")
        return self._socket

    def _traced(self, way: str, text: str, literals: list[Json]) -> None:
        self._trace.emit(
            "imap", way=way, side="client", local=self._local, remote=self._remote, text=text, literals=literals
        )

    def _broken(self, why: str) -> ContractBroken:
        return ContractBroken("imap", why, self._world.log_tail("imap"))


def append(world: World, trace: Trace, owner: tuple[str, str], mailbox: str, message: bytes) -> None:
    """Put a message into its owner's mailbox, which is made where the server asks for it (RFC 3501, 6.3.11).

    Line ends become CRLF, as IMAP and mail want them. Raises ContractBroken.
    """
    command = commands.append(mailbox, _BARE_NEWLINE.sub(b"\r\n", message))
    with Mailbox(world, trace) as connection:
        connection.log_in(*owner)
        done = connection.ask(command)
        if done.status.code_name == "TRYCREATE":
            connection.run(commands.create(mailbox))
            connection.run(command)
        elif not done.ok:
            why = f"refused the message: {done.status.result} {done.status.text}".rstrip()
            raise ContractBroken("imap", why, world.log_tail("imap"))
        connection.run(commands.logout())


def change_key(world: World, trace: Trace, owner: tuple[str, str], mailbox: str) -> None:
    """Make every URL that was authorised for a mailbox worthless (RFC 4467, 7); raises ContractBroken."""
    with Mailbox(world, trace) as connection:
        connection.log_in(*owner)
        connection.run(commands.resetkey(mailbox))
        connection.run(commands.logout())
