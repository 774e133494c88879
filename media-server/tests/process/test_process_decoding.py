"""Decoding in the real `lemonade-media`: what a part that takes long to decode changes for others, and at the end."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from lemonade_media.testing import long_flac
from lemonade_media.testing.processes import RunMedia, mail, until
from lemonade_wire.sip.event import CallRefused


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def working(pid: int) -> list[int]:
    """Return the decoding processes of a media server that have taken 0.1 s of processor time."""
    found = []
    for process in (process for child in children(pid) for process in children(child)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if int(fields[11]) + int(fields[12]) >= 10:
            found.append(process)
    return found


def test_sip_is_answered_during_decoding_and_sigterm_ends_everything_within_two_seconds(media: RunMedia) -> None:
    with mail(long_flac(5000)) as imap, media(*imap) as (run, peer):
        peer.ask_options()
        for _ in range(5):
            peer.call()
        peer.run(lambda: len(working(run.pid)) == 3)
        waits = []
        for _ in range(20):
            began = time.monotonic()
            assert peer.ask_options().startswith(b"SIP/2.0 ")
            waits.append(time.monotonic() - began)
        assert sorted(waits)[10] < 0.05
        processes = [process for child in children(run.pid) for process in (child, *children(child))]
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0
        assert time.monotonic() - began < 2
        until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))


def test_a_part_that_takes_too_long_fails_as_one_that_is_broken(media: RunMedia) -> None:
    with mail(long_flac(5000)) as imap, media(*imap, "--decode-cpu", "1", "--decoders", "1") as (_, peer):
        peer.ask_options()
        peer.call()
        peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events), 20)
        (refused,) = (event.response for event in peer.events if isinstance(event, CallRefused))
    assert refused is not None
    assert refused.status == 488
    assert "takes more than this server allows" in (refused.headers.get("Warning") or "")


def test_a_caller_that_gives_up_ends_the_decoding(media: RunMedia) -> None:
    with mail(long_flac(5000)) as imap, media(*imap) as (run, peer):
        peer.ask_options()
        call = peer.call()
        peer.run(lambda: bool(working(run.pid)))
        peer.ua.cancel(call, now=time.monotonic())
        peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
        until(lambda: not working(run.pid), 2)
