"""Where a running request stands, and what a notification says of it (RFC 5022 section 7.1)."""

from __future__ import annotations

from enum import Enum

from lemonade_wire.mscml.response import Command


class Phase(Enum):
    """The phase of a request; the package's docstring has the table."""

    FETCHING = "fetching"
    PLAYING = "playing"
    STOPPING = "stopping"
    OVER = "over"
    COLLECTING = "collecting"
    BEEPING = "beeping"
    RECORDING = "recording"

    @property
    def command(self) -> Command:
        """What the leg does in this phase, in the words of `<status>`."""
        if self is Phase.COLLECTING:
            return "collect"
        return "record" if self in {Phase.BEEPING, Phase.RECORDING} else "play"
