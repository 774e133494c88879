"""The servers that are measured: each alone on a bridge of its own, filled with the same mail over IMAP."""

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

from lemonade_testbed.runtime.base import ContractBroken
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.world import IMAP_NAME
from lemonade_testbed.speed.client import Connection, ServerFailedError, close_all
from lemonade_testbed.vendors.bench import PASSWORD, USER, Bench
from lemonade_testbed.vendors.catalogue import REFERENCE, Vendor
from lemonade_testbed.vendors.runtime import seed

REFERENCE_IMAGE = "lemonade-imap"
FETCHER = "mediaserver"
BIG, SMALL = 10_000_000, 20_000
"""Octets of the decoded parts that are fetched: both a multiple of nothing, as attachments are."""
CROWD = 100_000
"""Messages in the crowded mailbox."""
_FEW, _TOGETHER = 1000, 100
"""Messages that are copied into it at once, and those that one APPEND stores."""


@dataclass
class Server:
    """One server that runs and is filled."""

    name: str
    node: DockerNode
    address: tuple[str, int]

    def connect(self, user: str = USER, count: int = 1) -> list[Connection]:
        """Return connections that are logged in as `user`; raises ServerFailedError."""
        made: list[Connection] = []
        try:
            for _ in range(count):
                made.append(Connection(self.address))
                made[-1].run(f"LOGIN {user} {PASSWORD}".encode())
        except ServerFailedError:
            close_all(made)
            raise
        return made

    def cpu_seconds(self) -> float:
        """Return the CPU time that all processes of the container have had."""
        stats = self.node.container.stats(stream=False, one_shot=True)
        return int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def resident(self) -> float:
        """Return the MB (of a million octets) that its processes hold, shared pages counted once.

        It is asked as the account that the server runs as, which may look at its own processes.
        Raises ServerFailedError.
        """
        reading = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'"
        _, output = self.node.container.exec_run(["sh", "-c", reading])
        words = output.decode("utf-8", "replace").split()
        if not words or not words[0].isdigit():
            raise ServerFailedError(f"does not let its memory be read: {' '.join(words)}")
        return int(words[0]) * 1024 / 1e6

    def ticket(self, connection: Connection, uid: int) -> bytes:
        """Return a URL of part 2 of a message, authorised by its owner for the media server."""
        rump = f"imap://{USER}@{IMAP_NAME}/INBOX/;UID={uid}/;SECTION=2;URLAUTH=submit+{USER}"
        answer = connection.run(genurlauth(rump))
        return answer.kept.split()[2].strip(b'"')


def genurlauth(rump: str) -> bytes:
    """Return the command that authorises a URL."""
    return f'GENURLAUTH "{rump}" INTERNAL'.encode()


@contextmanager
def servers(folder: Path, vendors: Sequence[Vendor], *, crowd: int = CROWD) -> Iterator[list[Server]]:
    """Start the reference server and the vendors' and fill them; logs go below `folder`. Nothing is left behind.

    Raises EnvironmentBroken, ContractBroken, ServerFailedError.
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


def _start(bench: Bench, name: str, image: str) -> Server:
    node = bench.node("imap", image)
    ready, seen = bench.start(node)
    if not ready:
        log = node.log().decode("utf-8", "replace").splitlines()
        raise ContractBroken("imap", f"{name} was never ready: {seen}", log)
    seed(node)
    place = bench.world.roles["imap"]
    return Server(name, node, (str(place.address), place.port))


def _fill(server: Server, crowd: int) -> None:
    """Put both attachments into INBOX (UID 1 and 2), and `crowd` small messages into a mailbox of their own."""
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
        # from another mailbox: a Maildir is slow in copying what is in the midst of growing
        connection.run(b"SELECT Few")
        for _ in range(crowd // _FEW):
            connection.run(b"COPY 1:%d Crowd" % _FEW)


def _append(mailbox: str, message: bytes, times: int = 1) -> bytes:
    return b"APPEND %s%s" % (mailbox.encode(), b" {%d+}\r\n%s" % (len(message), message) * times)


def _mail(size: int) -> bytes:
    """Return a voice message of `size` octets, base64 in lines of 76 as mail programs write it."""
    octets = random.Random(size).randbytes(size)
    mail = MIMEMultipart()
    mail["From"] = mail["To"] = "joe@example.com"
    mail["Subject"] = f"{size} octets"
    mail.attach(MIMEText("Listen to this.\n"))
    part = MIMEAudio(b"", "basic")
    part.set_payload(base64.encodebytes(octets).decode("ascii"))
    mail.attach(part)
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
