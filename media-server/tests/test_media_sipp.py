"""SIPp, an independent SIP client, makes a thousand calls at fifty a second to a media server with one core."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = [sys.executable, "-c", "from lemonade_media.cli import main; main()"]
SERVER = f"127.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}.250"
CALLS, RATE = 1000, 50
WARM_UP = 300
AT_REST = 40
"""Files and sockets without a call: 37 were counted, those of the waiting decoding processes among them."""
THREADS = 14
"""The server's main thread and at most ten for files (Twisted's pool), and the sender's: 12 were counted."""
GROWTH = 40
"""MB by which either process may grow behind the warm-up: twice what was measured from the start to 2,000 calls.

The server had 84 MB at its start, 97 after 1,000 calls, 103 after 2,000, 113 after 3,000, and 114 from 5,000 to 7,000;
its sender had 31 after 1,000 calls, and 32 from then on.
"""
CONTENT = bytes(range(256)) * 31 + bytes(64)  # 8000 octets: one second
HEADERS = """From: <sip:joe@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
To: <sip:annc@[remote_ip]>{tag}
Call-ID: [call_id]
CSeq: 1 {method}
Contact: <sip:joe@[local_ip]:[local_port]>
Max-Forwards: 70
"""
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
SCENARIO = f"""<?xml version="1.0"?>
<scenario name="announcements">
<send retrans="500"><![CDATA[

INVITE sip:annc@[remote_ip]:[remote_port];play=/provisioned/second SIP/2.0
{VIA}{HEADERS.format(tag="", method="INVITE")}Content-Type: application/sdp
Content-Length: [len]

v=0
o=joe 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=recvonly
]]></send>
<recv response="100" optional="true"/>
<recv response="200" rrs="true" timeout="30000"/>
<send><![CDATA[

ACK [next_url] SIP/2.0
{VIA}{HEADERS.format(tag="[peer_tag_param]", method="ACK")}Content-Length: 0

]]></send>
<recv request="BYE" timeout="30000"/>
<send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


def test_a_thousand_calls_at_fifty_a_second_on_one_core(program: Callable[[str, str], str], tmp_path: Path) -> None:
    sipp = program("sipp", "sip-tester")
    (tmp_path / "provisioned").mkdir()
    (tmp_path / "provisioned/second.ulaw").write_bytes(CONTENT)
    (tmp_path / "calls.xml").write_text(SCENARIO)
    with media(tmp_path) as server:
        place_calls(sipp, WARM_UP, tmp_path)  # files and threads that are opened once and kept are open after this
        deadline = time.monotonic() + 30
        while (before := held(server.pid, "fd")) > AT_REST:
            assert time.monotonic() < deadline, f"{before} files and sockets after the warm-up"
            time.sleep(0.05)
        used = resident(server.pid)
        place_calls(sipp, CALLS, tmp_path)
        deadline = time.monotonic() + 30
        while (after := held(server.pid, "fd")) > before:
            assert time.monotonic() < deadline, f"{before} files and sockets before, {after} after"
            time.sleep(0.05)
        assert held(server.pid, "task") <= THREADS
        grown = [after - was for was, after in zip(used, resident(server.pid), strict=True)]
        assert max(grown) < GROWTH, f"server and sender grew by {grown} MB"
        assert server.poll() is None
    assert "Traceback" not in (tmp_path / "media.log").read_text()


def place_calls(sipp: str, calls: int, folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sipp, f"{SERVER}:5060", "-sf", "calls.xml", "-m", str(calls), "-r", str(RATE), "-l", str(CALLS)]
    command += ["-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", "26000", "-nostdin"]
    command += ["-trace_err", "-error_file", "errors", "-trace_stat", "-stf", "counts.csv", "-timeout", "120s"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=150, check=False)
    errors = (folder / "errors").read_text() if (folder / "errors").exists() else ""
    assert done.returncode == 0, errors[:2000]
    with (folder / "counts.csv").open(newline="") as file:
        counts = list(csv.DictReader(file, delimiter=";"))[-1]
    assert (int(counts["SuccessfulCall(C)"]), int(counts["FailedCall(C)"])) == (calls, 0)


@contextmanager
def media(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a media server that may use one core, its RTP sender too."""
    options = [
        "--listen",
        f"{SERVER}:5060",
        "--rtp-ports",
        "24000-25999",
        "--call-rate",
        "0",
        "--provisioned",
        str(folder / "provisioned"),
    ]
    core = min(os.sched_getaffinity(0))
    with (
        (folder / "media.log").open("wb") as log,
        subprocess.Popen(["/usr/bin/env", "taskset", "-c", str(core), *COMMAND, *options], stderr=log) as server,
    ):
        try:
            deadline = time.monotonic() + 30
            while "listening for SIP" not in (folder / "media.log").read_text():
                assert time.monotonic() < deadline, "not ready"
                time.sleep(0.02)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(10)
            finally:
                server.kill()


def processes(pid: int) -> list[Path]:
    """Return the folders below `/proc` of the server and of its sender."""
    senders = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path("/proc", process) for process in (str(pid), *senders)]


def held(pid: int, what: str) -> int:
    """Return how many files and sockets (`fd`) or threads (`task`) the server and its sender have."""
    return sum(len(os.listdir(process / what)) for process in processes(pid))


def resident(pid: int) -> list[float]:
    """Return the MB of memory that the server and its sender hold, each."""
    page = os.sysconf("SC_PAGE_SIZE")
    return [int((process / "statm").read_text().split()[1]) * page / 1e6 for process in processes(pid)]
