"""The INVITEs of RFC 4475 and RFC 5118 that the user agent accepts, sent to the media server."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_media.testing import CALLER, Replay

TORTURE = Path(__file__).parents[2] / "wire" / "tests" / "torture"


@pytest.mark.parametrize(
    ("name", "user", "other", "ivr"),
    [
        ("rfc4475/esc01", b"sips%3Auser%40example.com", 488, 200),
        ("rfc4475/longreq", b"user", 488, 200),
        ("rfc4475/escruri", b"user", 488, 200),
        ("rfc4475/baddate", b"user", 488, 200),
        ("rfc4475/inv2543", b"UserB", 488, 200),
        ("rfc4475/invut", b"user", 488, 415),
        ("rfc4475/sdp01", b"user", 406, 406),
        ("rfc5118/mult-ip-in-sdp", b"user", 488, 200),
        ("rfc5118/ipv6-in-sdp", b"user", 488, 488),  # G.726 alone
        ("rfc5118/ipv4-mapped-ipv6", b"user", 488, 488),
    ],
)
def test_torture_invites_get_their_statuses_from_the_media_server(name: str, user: bytes, other: int, ivr: int) -> None:
    """Each is sent unchanged, to a user that is no service, and with `ivr` as the user."""
    data = (TORTURE / f"{name}.dat").read_bytes()
    for asked, status in ((data, other), (data.replace(b"sip:" + user, b"sip:ivr", 1), ivr)):
        replay = Replay()
        replay.callee.datagram_received(asked, CALLER, replay.now)
        replay.settle()
        assert [said for said in replay.log if said.startswith("server")] == ["server 100", f"server {status}"]
