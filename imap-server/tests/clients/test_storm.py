"""Many simultaneous clients: many logins at once, and a thousand clients in IDLE."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from lemonade_imap.testing.processes import Server

STORM = 200
IDLE = 1000
MOST_MEMORY = 100 * 1024  # KiB
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise this process's limit of open files so that it can open a socket for each client."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 500
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        pytest.skip(f"{wanted} open files are needed, {before[1]} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A server without limits for the address that all clients of this test have."""
    return start("--unlimited", "127.0.0.0/8")


async def ask(ends: Ends, tag: bytes, command: bytes) -> bytes:
    reader, writer = ends
    writer.write(tag + b" " + command + b"\r\n")
    said = b""
    while not said.startswith(tag):
        said = await reader.readline()
        assert said, "the connection is over"
    return said


@contextlib.asynccontextmanager
async def connected(server: Server, *, tls: bool) -> AsyncIterator[Ends]:
    if tls:
        ends = await asyncio.open_connection(
            server.host, server.tls_port, ssl=server.trust, server_hostname="imap.example.com"
        )
    else:
        ends = await asyncio.open_connection(server.host, server.port)
    try:
        assert (await ends[0].readline()).startswith(b"* OK ")
        yield ends
    finally:
        ends[1].close()


@pytest.mark.parametrize("tls", [False, True])
def test_many_simultaneous_logins_are_served_without_a_refusal(server: Server, tls: bool) -> None:
    async def one(number: int) -> bytes:
        async with connected(server, tls=tls) as ends:
            # Some passwords are wrong; these logins must not delay the others.
            password = b"wrong" if number % 100 == 0 else b"sesame"
            return await ask(ends, b"a", b"LOGIN %s %s" % ((b"joe", b"ann", b"root")[number % 3], password))

    async def storm() -> list[bytes]:
        return await asyncio.gather(*(one(number) for number in range(STORM)))

    said = asyncio.run(storm())
    assert sum(line.startswith(b"a OK ") for line in said) == STORM - STORM // 100
    assert sum(line.startswith(b"a NO [AUTHENTICATIONFAILED]") for line in said) == STORM // 100


@pytest.mark.usefixtures("many_files")
def test_a_thousand_clients_in_idle_take_less_than_100_mb(server: Server) -> None:
    async def one(stack: contextlib.AsyncExitStack) -> None:
        ends = await stack.enter_async_context(connected(server, tls=False))
        assert (await ask(ends, b"a", b"LOGIN joe sesame")).startswith(b"a OK ")
        assert (await ask(ends, b"b", b"SELECT INBOX")).startswith(b"b OK ")
        ends[1].write(b"c IDLE\r\n")
        assert await ends[0].readline() == b"+ idling\r\n"

    async def all_of_them() -> int:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(IDLE // 100):
                await asyncio.gather(*(one(stack) for _ in range(100)))
            status = Path(f"/proc/{server.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1])

    assert asyncio.run(all_of_them()) < MOST_MEMORY
