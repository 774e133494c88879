"""Connections of the real `lemonade-media` to IMAP servers: their number, their duration, and their ends."""

from __future__ import annotations

import json
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from lemonade_media.testing.processes import Peer, RunMedia, mail
from lemonade_wire.sip.event import ByeReceived, CallRefused
from lemonade_wire.sip.message import SipResponse

CONTENT = bytes(range(160, 320 - 64)) * 40  # 3840 octets: 24 packets, 0.48 s


def test_a_kept_connection_serves_the_next_call_and_is_left_on_sigterm(media: RunMedia, tmp_path: Path) -> None:
    with mail(CONTENT) as imap, media(*imap, "--imap-idle", "60") as (run, peer):
        peer.ask_options()
        for number in (1, 2):
            peer.call()
            peer.run(partial(peer.had, number, ByeReceived))
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0
    traced = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    said = [event["text"].split()[1] for event in traced if event["event"] == "imap" and event["way"] == "sent"]
    assert said == ["AUTHENTICATE", "URLFETCH", "URLFETCH", "LOGOUT"]


def refusal(peer: Peer) -> SipResponse:
    """Return the response that refuses the call."""
    peer.run(lambda: any(isinstance(event, CallRefused) for event in peer.events))
    (refused,) = (event.response for event in peer.events if isinstance(event, CallRefused))
    assert refused is not None
    return refused


def test_a_part_above_the_limit_is_refused(media: RunMedia) -> None:
    with mail(CONTENT) as imap, media(*imap, "--imap-max-part", str(len(CONTENT) - 1)) as (_, peer):
        peer.ask_options()
        peer.call()
        refused = refusal(peer)
    assert refused.status == 400
    assert "larger than this server fetches" in (refused.headers.get("Warning") or "")


def test_a_fetch_above_its_time_limit_is_aborted(media: RunMedia) -> None:
    with mail(None) as imap, media(*imap, "--imap-fetch-time", "0.3") as (_, peer):
        peer.ask_options()
        peer.call()
        refused = refusal(peer)
    assert refused.status == 400
    assert "did not answer URLFETCH within" in (refused.headers.get("Warning") or "")


@pytest.mark.parametrize("cap", ["--imap-connections", "--imap-connections-per-server"])
def test_a_fetch_that_waits_too_long_for_a_connection_is_refused(media: RunMedia, cap: str) -> None:
    asked = threading.Event()
    with mail(None, asked) as imap, media(*imap, cap, "1", "--imap-wait", "0.3") as (_, peer):
        peer.ask_options()
        peer.call()
        peer.run(asked.is_set)
        peer.call()
        refused = refusal(peer)
    assert refused.status == 503
    assert refused.headers.get("Retry-After") == "10"
