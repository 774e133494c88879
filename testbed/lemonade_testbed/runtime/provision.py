"""Stores a message in a mailbox by IMAP, logged in as the mailbox's owner, which works with any IMAP server."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

from lemonade_testbed.errors import ContractBroken, LoginRefused
from lemonade_testbed.scenario.world import World
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.client import CommandDone, ConnectionBye, GreetingReceived, ImapClient, ResponseUnreadable
from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.trace import Json, Trace

PATIENCE = 30.0
"""Seconds after which an answer of the server is no longer awaited."""
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


class ProvisionConnection:
    """A blocking clear-text connection to the IMAP server that has the users' mail, from the testbed's own address.

    It is a context manager. Every method raises ContractBroken if the server refuses a command, closes the connection
    or does not answer.
    """

    def __init__(self, world: World, trace: Trace, patience: float = PATIENCE) -> None:
        self._world = world
        self._name = world.setup.first("imap").name
        self._trace = trace
        self._patience = patience
        self._engine = ImapClient(tag_prefix="t", tracer=self._traced)
        self._socket: socket.socket | None = None
        self._local = self._remote = ""

    def __enter__(self) -> Self:
        place, here = self._world.roles[self._name], self._world.roles["testbed"].address
        try:
            self._socket = socket.create_connection(
                (place.address, place.port), self._patience, source_address=(here, 0)
            )
        except OSError as problem:
            raise self.broken(f"cannot be reached: {problem}") from problem
        self._local = "{}:{}".format(*self._socket.getsockname())
        self._remote = f"{place.address}:{place.port}"
        while not self._engine.greeted:
            self._receive("its greeting")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()

    def log_in(self, user: str, password: str) -> None:
        """Authenticate with AUTHENTICATE PLAIN if the server announces it, else with LOGIN.

        Raises LoginRefused if the server answers NO.
        """
        if self._engine.capabilities is None:
            self.run(commands.capability())
        plain = self._engine.has("AUTH=PLAIN")
        command = commands.authenticate_plain(user, password) if plain else commands.login(user, password)
        done = self.ask(command)
        if not done.ok:
            broken = self._answered(command, done)
            raise LoginRefused(broken.role, broken.why, broken.log) if done.status.result == "NO" else broken

    def log_out(self) -> None:
        """End the session; how LOGOUT is answered is the judge's to say, who sees it between the nodes as well."""
        with suppress(ContractBroken):
            self.run(commands.logout())

    def run(self, command: ImapCommand) -> CommandDone:
        """Send a command and return its tagged response, which must be OK."""
        done = self.ask(command)
        if not done.ok:
            raise self._answered(command, done)
        return done

    def _answered(self, command: ImapCommand, done: CommandDone) -> ContractBroken:
        return self.broken(f"answered {command.name} with {done.status.result} {done.status.text}".rstrip())

    def ask(self, command: ImapCommand) -> CommandDone:
        """Send a command and return its tagged response, whether it is OK, NO or BAD."""
        tag = self._engine.send(command)
        self._flush()
        while True:
            for event in self._receive(f"the answer to {command.name}"):
                if isinstance(event, CommandDone) and event.tag == tag:
                    return event

    def _receive(self, awaited: str) -> list[object]:
        self._flush()
        try:
            data = self._open.recv(65536)
        except OSError as problem:
            raise self.broken(f"{awaited} did not come: {problem}") from problem
        if not data:
            raise self.broken(f"closed the connection before {awaited}")
        events = self._engine.receive_data(data)
        self._flush()
        for event in events:
            match event:
                case GreetingReceived(status) if status.result == "BYE":
                    raise self.broken(f"greeted with BYE {status.text}")
                case ConnectionBye(status, expected=False):
                    raise self.broken(f"said BYE {status.text}")
                case ResponseUnreadable(why):
                    raise self.broken(f"broke the grammar: {why}")
        return list(events)

    def _flush(self) -> None:
        data = self._engine.data_to_send()
        try:
            self._open.sendall(data)
        except OSError as problem:
            raise self.broken(f"broke off: {problem}") from problem

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("the connection is used as a context manager")
        return self._socket

    def _traced(self, way: str, text: str, literals: list[Json]) -> None:
        self._trace.emit(
            "imap", way=way, side="client", local=self._local, remote=self._remote, text=text, literals=literals
        )

    def broken(self, why: str) -> ContractBroken:
        """Return the exception that says what the server did wrong, with the server's last log lines."""
        return ContractBroken(self._name, why, self._world.log_tail(self._name))


def append(world: World, trace: Trace, owner: tuple[str, str], mailbox: str, message: bytes) -> None:
    """Append a message to its owner's mailbox; if the server answers TRYCREATE, create it first (RFC 3501, 6.3.11).

    Line ends become CRLF, as RFC 5322 requires. Raises ContractBroken.
    """
    command = commands.append(mailbox, _BARE_NEWLINE.sub(b"\r\n", message))
    with ProvisionConnection(world, trace) as connection:
        connection.log_in(*owner)
        done = connection.ask(command)
        if done.status.code_name == "TRYCREATE":
            connection.run(commands.create(mailbox))
            connection.run(command)
        elif not done.ok:
            why = f"refused the message: {done.status.result} {done.status.text}".rstrip()
            raise connection.broken(why)
        connection.log_out()


def change_key(world: World, trace: Trace, owner: tuple[str, str], mailbox: str) -> None:
    """Revoke every URL that was authorised for a mailbox, with RESETKEY (RFC 4467, 7); raises ContractBroken."""
    with ProvisionConnection(world, trace) as connection:
        connection.log_in(*owner)
        connection.run(commands.resetkey(mailbox))
        connection.log_out()
