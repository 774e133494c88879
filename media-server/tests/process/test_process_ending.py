"""The start and end of the real `lemonade-media`: the processes that it leaves, and the duration of its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lemonade_media.testing.processes import RunMedia, mail, until
from lemonade_wire.sip.event import ByeReceived, CallAnswered

COMMAND = [sys.executable, "-c", "from lemonade_media.cli import main; main()"]
CONTENT = bytes(range(160, 320 - 64)) * 40  # 3840 octets: 24 packets, 0.48 s


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_answers_options_and_ends_on_sigterm_with_its_sender(media: RunMedia, tmp_path: Path) -> None:
    with media() as (run, peer):
        answer = peer.ask_options()
        assert answer.startswith(b"SIP/2.0 200 ")
        assert b"application/mediaservercontrol+xml" in answer
        senders = children(run.pid)
        assert senders, "the RTP sender is a process of its own"
        for octets in (b"", b"\0" * 50, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 2000):
            peer.sip.sendto(octets, peer.server)
        assert peer.ask_options().startswith(b"SIP/2.0 ")
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0
        until(lambda: not any(alive(sender) for sender in senders))
    log = (tmp_path / "media.log").read_text()
    assert "Traceback" not in log
    states = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [event["state"] for event in states if event["event"] == "node"] == [
        "started",
        "ready",
        "stopping",
        "stopped",
    ]


def ending(folder: Path) -> tuple[float, list[dict[str, Any]]]:
    """Return the seconds that the end of a server took, and its trace records of that time."""
    traced = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    states = {event["state"]: index for index, event in enumerate(traced) if event["event"] == "node"}
    last = traced[states["stopping"] : states["stopped"] + 1]
    return last[-1]["t"] - last[0]["t"], last


@pytest.mark.parametrize("withheld", [(), (b"ACK",), (b"",)], ids=["answers", "no-ack", "silent"])
def test_sigterm_hangs_up_every_call_and_logs_out_within_two_seconds(
    media: RunMedia, tmp_path: Path, withheld: tuple[bytes, ...]
) -> None:
    """The end does not wait for a caller that answers nothing any more, nor for one whose ACKs are all lost."""
    with (
        mail(CONTENT * 100) as imap,
        media(*imap, "--imap-idle", "30") as (run, peer),
    ):
        peer.ask_options()
        peer.call()
        peer.run(lambda: len(peer.packets) > 3)
        if withheld == (b"ACK",):
            peer.withheld = withheld
        for number in range(2, 11):
            peer.call()
            peer.run(partial(peer.had, number, CallAnswered))
        senders = children(run.pid)
        run.send_signal(signal.SIGTERM)
        if withheld != (b"",):
            peer.run(lambda: sum(isinstance(event, ByeReceived) for event in peer.events) == 10)
            peer.run(lambda: run.poll() is not None)
        assert run.wait(10) == 0
        assert not any(alive(sender) for sender in senders)
    seconds, traced = ending(tmp_path)
    assert seconds < 2
    byes = [event for event in traced if event["event"] == "sip" and event["text"].startswith("BYE ")]
    assert len({event["text"].partition("Call-ID: ")[2].partition("\r\n")[0] for event in byes}) == 10
    assert any(event["event"] == "imap" and "LOGOUT" in json.dumps(event) for event in traced)
    assert "Traceback" not in (tmp_path / "media.log").read_text()


def test_killed_server_takes_its_sender_with_it(media: RunMedia) -> None:
    with media() as (run, peer):
        peer.ask_options()
        senders = children(run.pid)
        assert senders
        run.kill()
        run.wait(5)
        until(lambda: not any(alive(sender) for sender in senders), 5)


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "--listen", address, "--rtp-ports", "23100-23199"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert address.rpartition(":")[2] in done.stderr
