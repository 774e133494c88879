"""Actions that come too late for their call."""

from __future__ import annotations

from lemonade_media.agent import Agent
from lemonade_media.replay import SERVER
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent


def test_what_comes_too_late_is_noted_and_does_nothing() -> None:
    notes: list[str] = []
    ua = UserAgent(UaSettings(SERVER))
    agent = Agent(ua, notes.append)
    agent.accept("gone", b"", now=0)
    agent.refuse("gone", 404, now=0)
    agent.bye("gone", now=0)
    agent.info("gone", b"x", "text/plain", now=0)
    agent.respond("gone", 200, now=0)
    assert len(notes) == 4, "the user agent drops late answers itself"
    assert all(note.startswith("too late: ") for note in notes)
    assert ua.outputs() == []
