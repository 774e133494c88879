"""Starts the servers that are measured, each on a bridge of its own, and fills them with the same mail over IMAP."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.mime.audio import MIMEAudio
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

from lemonade_testbed.errors import ContractBroken
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.scenario.world import IMAP_NAME
from lemonade_testbed.vendor_check.bench import PASSWORD, USER, Bench
from lemonade_testbed.vendors.catalogue import REFERENCE, Vendor
from lemonade_testbed.vendors.runtime import seed
from speed.client import BenchConnection, ServerFailedError, close_all

REFERENCE_IMAGE = "lemonade-imap"
FETCHER = "mediaserver"
BIG, SMALL = 10_000_000, 20_000
"""Octets of the decoded parts that are fetched."""
CROWD = 100_000
"""Messages in the large mailbox."""
_WITHOUT_LIMITS = {"LEMONADE_CONNECTION_RATE": "0", "LEMONADE_MAX_CONNECTIONS_PER_ADDRESS": "0"}
"""The limits of the reference server for one address are off: all clients of a measurement have the same address."""
_FEW, _TOGETHER = 1000, 100
"""Messages that one COPY adds to the large mailbox, and messages that one APPEND stores."""


@dataclass
class BenchServer:
    """A running server: its container, and the IP address and port of IMAP."""

    name: str
    node: DockerNode
    address: tuple[str, int]

    def connect(self, user: str = USER, count: int = 1) -> list[BenchConnection]:
        """Return connections that are logged in as `user`; raises ServerFailedError."""
        made: list[BenchConnection] = []
        try:
            for _ in range(count):
                made.append(BenchConnection(self.address))
                made[-1].run(f"LOGIN {user} {PASSWORD}".encode())
        except ServerFailedError:
            close_all(made)
            raise
        return made

    def cpu_seconds(self) -> float:
        """Return the seconds of CPU time that all processes of the container have used."""
        stats = self.node.container.stats(stream=False, one_shot=True)
        return int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def resident(self) -> float:
        """Return the memory of the server's processes in MB (10^6 octets), with shared pages counted once (PSS).

        The command that reads it runs as the container's user, which may read its own processes. Raises
        ServerFailedError if it may not.
        """
        reading = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'"
        _, output = self.node.container.exec_run(["sh", "-c", reading])
        words = output.decode("utf-8", "replace").split()
        if not words or not words[0].isdigit():
            raise ServerFailedError(f"does not let its memory be read: {' '.join(words)}")
        return int(words[0]) * 1024 / 1e6

    def ticket(self, connection: BenchConnection, uid: int) -> bytes:
        """Return a URL of part 2 of the message `uid`, authorised by its owner with `submit+`."""
        rump = f"imap://{USER}@{IMAP_NAME}/INBOX/;UID={uid}/;SECTION=2;URLAUTH=submit+{USER}"
        answer = connection.run(genurlauth(rump))
        return answer.kept.split()[2].strip(b'"')


def genurlauth(rump: str) -> bytes:
    """Return the GENURLAUTH command for a URL without a token."""
    return f'GENURLAUTH "{rump}" INTERNAL'.encode()


@contextmanager
def servers(folder: Path, vendors: Sequence[Vendor], *, crowd: int = CROWD) -> Iterator[list[BenchServer]]:
    """Start the reference server and the vendors' servers, and fill them; all containers are removed at the end.

    Logs are written below `folder`; `crowd` is the number of messages in the large mailbox. Raises EnvironmentBroken,
    ContractBroken if a server does not become ready, and ServerFailedError.
    """
    with ExitStack() as stack:
        found = []
        for name, image in ((REFERENCE, REFERENCE_IMAGE), *((vendor.name, vendor.image) for vendor in vendors)):
            place = folder / name
            place.mkdir(parents=True)
            found.append(_start(stack.enter_context(Bench(place)), name, image))
        for server in found:
            _fill(server, crowd)
        yield found
        for server in found:
            (folder / server.name / "imap.log").write_bytes(server.node.log())


def _start(bench: Bench, name: str, image: str) -> BenchServer:
    node = bench.node("imap", image, _WITHOUT_LIMITS)
    ready, seen = bench.start(node)
    if not ready:
        log = node.log().decode("utf-8", "replace").splitlines()
        raise ContractBroken("imap", f"{name} was never ready: {seen}", log)
    seed(node)
    place = bench.world.roles["imap"]
    return BenchServer(name, node, (str(place.address), place.port))


def _fill(server: BenchServer, crowd: int) -> None:
    """Store a message with each attachment in INBOX (UID 1 and 2), and `crowd` small messages in the mailbox Crowd."""
    (connection,) = server.connect()
    with connection:
        for size in (BIG, SMALL):
            connection.run(_append("INBOX", _mail(size)))
        if not crowd:
            return
        note = b"From: joe@example.com\r\nTo: joe@example.com\r\nSubject: note\r\n\r\nOne of many.\r\n"
        connection.run(b"CREATE Few")
        connection.run(b"CREATE Crowd")
        for _ in range(_FEW // _TOGETHER):
            connection.run(_append("Few", note, _TOGETHER))
        # copied from another mailbox, because a Maildir is slow in copying within a mailbox that grows
        connection.run(b"SELECT Few")
        for _ in range(crowd // _FEW):
            connection.run(b"COPY 1:%d Crowd" % _FEW)


def _append(mailbox: str, message: bytes, times: int = 1) -> bytes:
    return b"APPEND %s%s" % (mailbox.encode(), b" {%d+}\r\n%s" % (len(message), message) * times)


def _mail(size: int) -> bytes:
    """Return a mail with an audio part of `size` octets, encoded in base64 with lines of 76 characters (RFC 2045)."""
    octets = random.Random(size).randbytes(size)
    mail = MIMEMultipart()
    mail["From"] = mail["To"] = "joe@example.com"
    mail["Subject"] = f"{size} octets"
    mail.attach(MIMEText("Listen to this.\n"))
    part = MIMEAudio(b"", "basic")
    part.set_payload(base64.encodebytes(octets).decode("ascii"))
    mail.attach(part)
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
