"""Fixtures of the server's tests: a voice message, and a server in memory with the accounts of the README."""

from __future__ import annotations

import pytest

from lemonade_imap.testing.world import SOUND, VOICE, World


@pytest.fixture
def world() -> World:
    """A server with the correct behaviour."""
    return World()


@pytest.fixture
def make_world() -> type[World]:
    """Return a function that makes a server with another behaviour or other settings."""
    return World


@pytest.fixture
def sound() -> bytes:
    """The decoded octets of the message's audio part."""
    return SOUND


@pytest.fixture
def voice() -> bytes:
    """A voice message with an audio part."""
    return VOICE
